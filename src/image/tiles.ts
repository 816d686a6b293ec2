/**
 * Cuts a picture into tiles for a network whose receptive field is bounded, so that the joined result equals the whole one.
 *
 * All tiles of a picture have one size (a runtime plans memory per size) and start at multiples of the network's stride (so each
 * sees the phase that the whole picture would show it). On every inner side a tile has `overlap` pixels of true context, which
 * are thrown away; only a strip of `blend` pixels beyond them is shared with the neighbour and cross-faded.
 */

/** What the cut has to respect. */
export interface TileRules {
  /** Every start and size is divisible by it. */
  multiple: number;
  /** Pixels of context that the network sees to each side. */
  overlap: number;
  /** Width of the cross-faded strip. Default 16. */
  blend?: number;
}

/** One window along one axis. It contributes to [from, to), with a weight that rises after `from` and falls before `to`. */
export interface Span { start: number; from: number; to: number; weights: Float32Array }

/** One axis: windows of `size` pixels. They may reach over the picture's end by less than `multiple`; `to` never does. */
export interface Axis { size: number; spans: Span[] }

/** Tiles of one picture, row by row: every span of `down` with every span of `across`. */
export interface TilePlan { across: Axis; down: Axis }

const defaultBlend = 16;
const ceilTo = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple;
const floorTo = (value: number, multiple: number): number => Math.floor(value / multiple) * multiple;

/** `length` pixels in `count` windows, or in fewer when they would not be worth their overlaps. */
export function cutAxis(length: number, count: number, rules: TileRules): Axis {
  const { multiple, overlap, blend = defaultBlend } = rules;
  const padded = ceilTo(length, multiple);
  const shared = ceilTo(2 * overlap + blend, multiple);
  for (let n = count; n > 1; n--) {
    const size = ceilTo((padded + (n - 1) * shared) / n, multiple);
    const step = (padded - size) / (n - 1);
    // Two seams must not run into each other: then three tiles would meet in one pixel.
    if (floorTo(step, multiple) < Math.max(blend, multiple)) continue;
    const starts = Array.from({ length: n }, (_, index) => floorTo((index * (padded - size)) / (n - 1), multiple));
    return { size, spans: spansBetween(starts, size, length, blend) };
  }
  return { size: padded, spans: [{ start: 0, from: 0, to: length, weights: new Float32Array(length).fill(1) }] };
}

function spansBetween(starts: number[], size: number, length: number, blend: number): Span[] {
  // A seam lies in the middle of what two windows share, so both have full context there.
  const seams = starts.slice(1).map((start, index) => Math.round((starts[index] + start + size - blend) / 2));
  return starts.map((start, index) => {
    const from = index === 0 ? 0 : seams[index - 1];
    const to = index === seams.length ? length : seams[index] + blend;
    const weights = new Float32Array(to - from).fill(1);
    for (let k = 0; k < blend; k++) {
      const rising = (k + 0.5) / blend;
      if (index > 0) weights[k] = rising;
      if (index < seams.length) weights[weights.length - blend + k] = 1 - rising;
    }
    return { start, from, to, weights };
  });
}

/** Tiles that contribute about `side`×`side` pixels each (their context comes on top): ⌈width / side⌉ × ⌈height / side⌉ of them. */
export function tilesOfSide(width: number, height: number, side: number, rules: TileRules): TilePlan {
  return { across: cutAxis(width, Math.ceil(width / side), rules), down: cutAxis(height, Math.ceil(height / side), rules) };
}

/** The cheapest tiles (fewest pixels computed in all) of at most `area` pixels each, context included. */
export function tilesOfArea(width: number, height: number, area: number, rules: TileRules): TilePlan {
  // Below twice its context and seam on both sides, a tile would compute mostly what is thrown away.
  const { overlap, blend = defaultBlend } = rules;
  const limit = Math.max(area, (4 * overlap + 2 * blend) ** 2);
  const candidates = (length: number): Axis[] => {
    const axes = new Map<number, Axis>();
    for (let count = 1; count <= Math.ceil(length / 64); count++) {
      const axis = cutAxis(length, count, rules);
      axes.set(axis.spans.length, axis);
    }
    return [...axes.values()];
  };
  const rows = candidates(height);
  let best: TilePlan | undefined, bestCost = Infinity;
  for (const across of candidates(width)) {
    for (const down of rows) {
      const pixels = across.size * down.size;
      const cost = pixels * across.spans.length * down.spans.length;
      // A small tile is always among the candidates, but with a huge multiple even that may exceed the limit: then the smallest wins.
      const penalty = pixels <= limit ? 0 : 1e12 * pixels;
      if (cost + penalty < bestCost) { best = { across, down }; bestCost = cost + penalty; }
    }
  }
  return best!;
}

/** The picture as one tile, padded to the multiple only. */
export function oneTile(width: number, height: number, rules: TileRules): TilePlan {
  return { across: cutAxis(width, 1, rules), down: cutAxis(height, 1, rules) };
}

/** Index of the pixel that stands for `index` outside [0, length): the picture mirrored at its edges, as often as needed. */
export function mirrored(index: number, length: number): number {
  if (length === 1) return 0;
  const period = 2 * (length - 1);
  const folded = ((index % period) + period) % period;
  return folded < length ? folded : period - folded;
}

/** How one of the eight orientations (flips and transposition) of a `width`×`height` plane is laid out: (x, y) lies at origin + x·stepX + y·stepY. */
export interface Orientation { width: number; height: number; origin: number; stepX: number; stepY: number }

/** Orientation 0…7; 0 leaves everything where it is. */
export function orientation(which: number, width: number, height: number): Orientation {
  const flipX = (which & 1) !== 0, flipY = (which & 2) !== 0, transposed = (which & 4) !== 0;
  const [unitX, unitY] = transposed ? [height, 1] : [1, width];
  return {
    width: transposed ? height : width,
    height: transposed ? width : height,
    origin: (flipX ? (width - 1) * unitX : 0) + (flipY ? (height - 1) * unitY : 0),
    stepX: flipX ? -unitX : unitX,
    stepY: flipY ? -unitY : unitY,
  };
}
