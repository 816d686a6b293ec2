/** Windows of weights, moved over a picture a row at a time. */
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

export interface FusedOptions extends Omit<SlidingOptions, 'kernel'> {
  /** Side of the window in pixels, odd. */
  readonly window: number;
  /** Its weights, row by row. */
  readonly weights: Float32Array;
}

/**
 * The same with any square window, summed as a 32-bit convolution in PyTorch sums it on a CPU: tap after tap along the window's
 * rows, each with one fused multiply-add. Slower than `slidingMeans`, and less accurate: it is for the reference's own rounding.
 */
export function fusedMeans(options: FusedOptions, fill: (rows: MapRows, y: number) => void, use: (means: MapRows, y: number) => void): void {
  const { width, height, window, weights, maps, rowStep = 1 } = options;
  const columns = width - window + 1, pitch = Math.ceil(width / 16) * 16 + 16, line = 2 * pitch, ringSize = 2 * window * line;
  const { memory, at, kernels } = workspace({ given: weights.length, weights: 2 * weights.length, rows: maps * pitch, ring: maps * ringSize, means: maps * pitch });
  memory.set(weights, at.given);
  kernels.widen(at.given, at.weights, weights.length);
  const rows = { memory, at: Array.from({ length: maps }, (_, map) => at.rows + map * pitch) };
  const means = { memory, at: Array.from({ length: maps }, (_, map) => at.means + map * pitch) };
  for (let y = 0; y < height; y++) {
    fill(rows, y);
    for (let map = 0; map < maps; map++) {
      const slot = at.ring + map * ringSize + (y % window) * line;
      kernels.widen(rows.at[map], slot, width);
      memory.copyWithin(slot + window * line, slot, slot + 2 * width);
    }
    const top = y - window + 1;
    if (top < 0 || top % rowStep !== 0) continue;
    const first = at.ring + ((y + 1) % window) * line;
    for (let map = 0; map < maps; map++) kernels.fusedSum(first + map * ringSize, line, at.weights, window, means.at[map], columns);
    use(means, top);
  }
}
