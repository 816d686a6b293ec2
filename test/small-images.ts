/** Pictures with seeded noise: the hardest content for seams, and different in every channel. */
import type { Image, RgbImage } from '../src/image/image.js';
import { randomAt } from '../src/random.js';

/** Smooth waves with noise on top, so that neighbouring tiles have something to disagree about at every scale. */
export function noisyImage(width: number, height: number, channels: Image['channels'] = 3, bits: 8 | 16 = 8, seed = 1): Image {
  const random = randomAt(seed, width, height, channels);
  const largest = 2 ** bits - 1;
  const data = bits === 16 ? new Uint16Array(width * height * channels) : new Uint8Array(width * height * channels);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < channels; c++, i++) {
        const wave = 0.5 + 0.3 * Math.sin((x + 2 * c) / 23) * Math.cos(y / 31);
        data[i] = Math.round(largest * Math.min(1, Math.max(0, wave + 0.2 * (random.uniform() - 0.5))));
      }
    }
  }
  return { width, height, channels, data };
}

/** Rectangles of random colours, one over the other: nothing in it is blurred. */
export function hardEdges(width: number, height: number, seed = 1): RgbImage {
  const random = randomAt(seed, width, height), data = new Uint8Array(width * height * 3);
  for (let count = 0; count < 300; count++) {
    const [left, top, w, h] = [random.integer(width), random.integer(height), 5 + random.integer(60), 5 + random.integer(60)];
    const colour = [random.integer(256), random.integer(256), random.integer(256)];
    for (let y = top; y < Math.min(height, top + h); y++) for (let x = left; x < Math.min(width, left + w); x++) data.set(colour, (y * width + x) * 3);
  }
  return { width, height, channels: 3, data };
}

/** The largest difference of two pictures of one shape, in steps of their depth. */
export function largestDifference(a: Image, b: Image): number {
  if (a.width !== b.width || a.height !== b.height || a.channels !== b.channels || a.data.constructor !== b.data.constructor) {
    throw new Error(`shapes differ: ${a.width}×${a.height}×${a.channels} ${a.data.constructor.name}, ${b.width}×${b.height}×${b.channels} ${b.data.constructor.name}`);
  }
  let largest = 0;
  for (let i = 0; i < a.data.length; i++) largest = Math.max(largest, Math.abs(a.data[i] - b.data[i]));
  return largest;
}
