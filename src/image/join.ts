/**
 * Joins the tiles of a picture, row by row of tiles, straight into samples.
 *
 * Only pixels that a later tile shares wait as numbers: the seam to the right of the last tile, and the one below the last row of
 * tiles. Where seams cross, a pixel's sum passes from the seam above to the one at the side and on to the one below.
 */
import { largestSample, luma, type Image, type Samples } from './image.js';
import type { Axis, TilePlan } from './tiles.js';

/** Rows of a picture as they were, from row `top` on. */
export interface Rows { top: number; data: Samples }

/** Weighted sums that wait for the tile to the right (`side`) and for the row of tiles below (`below`): three values a pixel. */
export interface Seams { side: Float32Array; below: Float32Array }

/** What neighbours share: pixels of span `index` with the one before and the one after it. */
function sharedOf({ spans }: Axis, index: number): { before: number; after: number } {
  const { from, to } = spans[index];
  return { before: index === 0 ? 0 : spans[index - 1].to - from, after: index === spans.length - 1 ? 0 : to - spans[index + 1].from };
}

/** Seams for one picture; the tiles must then come row by row, from left to right. */
export function newSeams({ across, down }: TilePlan, width: number): Seams {
  const [sideWidth, belowHeight] = [sharedOf(across, 0).after, sharedOf(down, 0).after];
  return { side: new Float32Array(3 * sideWidth * down.size), below: new Float32Array(3 * belowHeight * width) };
}

/**
 * Adds the tile in column `i` and row `j` of the plan. Pixels that no later tile shares become samples of `result`:
 * original + strength · (output − original), rounded and clamped; alpha is copied.
 * @param output three planes of the tile's size, in [0, 1]
 * @param original the picture's rows under the tile; `result` may be the same memory when these are a copy
 */
export function joinTile(seams: Seams, output: Float32Array, { across, down }: TilePlan, i: number, j: number, original: Rows, result: Image, strength: number): void {
  const { side, below } = seams, { width, channels, data } = result, source = original.data;
  const column = across.spans[i], row = down.spans[j], beside = sharedOf(across, i), above = sharedOf(down, j);
  const plane = across.size * down.size, largest = largestSample(data), colours = channels >= 3 ? 3 : 1;
  const sideWidth = side.length / (3 * down.size);
  for (let y = row.from; y < row.to; y++) {
    const rowWeight = row.weights[y - row.from], fromAbove = y < row.from + above.before, toBelow = y >= row.to - above.after;
    let at = (y - row.start) * across.size + column.from - column.start;
    for (let x = column.from; x < column.to; x++, at++) {
      const weight = rowWeight * column.weights[x - column.from];
      let red = weight * output[at], green = weight * output[at + plane], blue = weight * output[at + 2 * plane];
      if (x < column.from + beside.before) {
        const seam = 3 * ((y - row.from) * sideWidth + x - column.from);
        red += side[seam]; green += side[seam + 1]; blue += side[seam + 2];
      } else if (fromAbove) {
        const seam = 3 * ((y - row.from) * width + x);
        red += below[seam]; green += below[seam + 1]; blue += below[seam + 2];
      }
      if (x >= column.to - beside.after) {
        const seam = 3 * ((y - row.from) * sideWidth + x - column.to + beside.after);
        side[seam] = red; side[seam + 1] = green; side[seam + 2] = blue;
      } else if (toBelow) {
        const seam = 3 * ((y - row.to + above.after) * width + x);
        below[seam] = red; below[seam + 1] = green; below[seam + 2] = blue;
      } else {
        const from = ((y - original.top) * width + x) * channels, to = (y * width + x) * channels;
        if (colours === 3) {
          data[to] = blended(source[from], red * largest, strength, largest);
          data[to + 1] = blended(source[from + 1], green * largest, strength, largest);
          data[to + 2] = blended(source[from + 2], blue * largest, strength, largest);
        } else {
          data[to] = blended(source[from], luma(red, green, blue) * largest, strength, largest);
        }
        if (channels > colours) data[to + colours] = source[from + colours];
      }
    }
  }
}

function blended(original: number, output: number, strength: number, largest: number): number {
  const sample = Math.round(original + strength * (output - original));
  return sample < 0 ? 0 : sample > largest ? largest : sample;
}
