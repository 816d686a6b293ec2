/** Gaussian windows, moved over a picture a row at a time. */
import { workspace } from './kernels.js';

/** A normalised Gaussian of odd `length`, centred. Its outer product with itself is the two-dimensional window. */
export function gaussian(length: number, sigma: number): Float64Array {
  const half = (length - 1) / 2;
  const kernel = Float64Array.from({ length }, (_, i) => Math.exp(-((i - half) ** 2) / (2 * sigma * sigma)));
  const sum = kernel.reduce((a, b) => a + b);
  return kernel.map((v) => v / sum);
}

/** Where a row of each map lies: `memory[at[map] + x]`. */
export interface MapRows { readonly memory: Float32Array; readonly at: readonly number[] }

export interface SlidingOptions {
  readonly width: number;
  readonly height: number;
  readonly kernel: Float64Array;
  /** How many maps are filtered together. */
  readonly maps: number;
  /** Every how many rows a result is wanted: 1 for each. */
  readonly rowStep?: number;
}

/**
 * Weighted means of `maps` maps over all windows that lie wholly inside (no border). `fill(row, y)` writes row y of each map;
 * `use(means, y)` reads the means of the windows whose top is row y, `width − window + 1` of each map. No picture-sized array is
 * needed: the last rows are kept in a ring, each twice, so that a window's rows always lie one after another.
 */
export function slidingMeans(options: SlidingOptions, fill: (rows: MapRows, y: number) => void, use: (means: MapRows, y: number) => void): void {
  const { width, height, kernel, maps, rowStep = 1 } = options;
  const window = kernel.length, half = (window - 1) / 2, columns = width - window + 1;
  const pitch = Math.ceil(width / 16) * 16 + 16, ringSize = 2 * window * pitch;
  const { memory, at, kernels } = workspace({ weights: half + 1, ring: maps * ringSize, filtered: pitch + window, means: maps * pitch });
  for (let tap = 0; tap <= half; tap++) memory[at.weights + tap] = kernel[half - tap];
  const rows = { memory, at: new Array<number>(maps) };
  const means = { memory, at: Array.from({ length: maps }, (_, map) => at.means + map * pitch) };
  for (let y = 0; y < height; y++) {
    const slot = (y % window) * pitch;
    for (let map = 0; map < maps; map++) rows.at[map] = at.ring + map * ringSize + slot;
    fill(rows, y);
    for (const start of rows.at) memory.copyWithin(start + window * pitch, start, start + width);
    const top = y - window + 1;
    if (top < 0 || top % rowStep !== 0) continue;
    const centre = ((y + 1) % window + half) * pitch;
    for (let map = 0; map < maps; map++) {
      kernels.symmetricSum(at.ring + map * ringSize + centre, pitch, at.weights, half, at.filtered, width);
      kernels.symmetricSum(at.filtered + half, 1, at.weights, half, means.at[map], columns);
    }
    use(means, top);
  }
}
