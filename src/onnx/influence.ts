/** How far what lies beyond a cut reaches into a tile: measured on the exported network, since theory gives only the farthest it could. */
import { randomAt } from '../random.js';

/** A network on one image of three planes in [0, 1]. */
export type RunImage = (image: Float32Array, width: number, height: number) => Promise<Float32Array>;

/**
 * Cuts strips of random noise off at each of the four sides and compares with the uncut strip. Element d is the largest absolute
 * difference met d pixels or more from the cut, for d from 0 to `reach` + 32. `multiple`: what sizes must be divisible by.
 */
export async function influenceBeyondCut(run: RunImage, { multiple, reach }: { multiple: number; reach: number }): Promise<Float64Array> {
  const short = multiple * Math.ceil(64 / multiple), cut = multiple, long = cut + multiple * Math.ceil((reach + 33) / multiple);
  const atDistance = new Float64Array(reach + 33);
  for (const vertical of [false, true]) {
    const random = randomAt(2017, short, long);
    const image = Float32Array.from({ length: 3 * short * long }, () => random.uniform());
    // The value at (channel, place across, place along) of the strip's part [from, to), which lies or stands.
    const strip = async (from: number, to: number): Promise<(c: number, across: number, along: number) => number> => {
      const length = to - from, [height, width] = vertical ? [length, short] : [short, length];
      const place = (c: number, across: number, along: number): number => vertical ? (c * height + along) * width + across : (c * height + across) * width + along;
      const pixels = new Float32Array(3 * short * length);
      for (let c = 0; c < 3; c++) for (let a = 0; a < short; a++) for (let l = 0; l < length; l++) pixels[place(c, a, l)] = image[(c * short + a) * long + from + l];
      const result = await run(pixels, width, height);
      return (c, across, along) => result[place(c, across, along - from)];
    };
    const whole = await strip(0, long);
    for (const [from, to] of [[cut, long], [0, long - cut]]) {
      const tile = await strip(from, to);
      for (let c = 0; c < 3; c++) for (let a = 0; a < short; a++) for (let d = 0; d < Math.min(atDistance.length, to - from); d++) {
        const along = from === 0 ? to - 1 - d : from + d;
        const difference = Math.abs(whole(c, a, along) - tile(c, a, along));
        if (!(difference <= atDistance[d])) atDistance[d] = difference; // NaN counts as the largest
      }
    }
  }
  for (let d = atDistance.length - 2; d >= 0; d--) if (!(atDistance[d] >= atDistance[d + 1])) atDistance[d] = atDistance[d + 1];
  return atDistance;
}
