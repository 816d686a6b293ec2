/** Convolution with a small sparse kernel, in linear light. */
import { borderIndex, type Border, type LinearImage } from './linear.js';

/** A square point-spread function, odd `size`, row by row, the middle element at shift (0, 0). Ours sum to 1. */
export interface Kernel { readonly size: number; readonly data: Float64Array }

/** The picture with `padding` more pixels on each side; `black`: without light. */
export function padLinear(image: LinearImage, padding: number, border: Border | 'black' = 'reflect'): LinearImage {
  if (padding === 0) return image;
  const width = image.width + 2 * padding, height = image.height + 2 * padding;
  const data = new Float32Array(width * height * 3);
  if (border === 'black') {
    for (let y = 0; y < image.height; y++) data.set(image.data.subarray(3 * y * image.width, 3 * (y + 1) * image.width), 3 * ((y + padding) * width + padding));
    return { width, height, data };
  }
  for (let y = 0; y < height; y++) {
    const row = 3 * image.width * borderIndex(y - padding, image.height, border);
    const out = 3 * y * width;
    data.set(image.data.subarray(row, row + 3 * image.width), out + 3 * padding);
    for (const x of [...Array(padding).keys(), ...Array.from({ length: padding }, (_, i) => width - 1 - i)]) {
      const from = row + 3 * borderIndex(x - padding, image.width, border);
      data[out + 3 * x] = image.data[from];
      data[out + 3 * x + 1] = image.data[from + 1];
      data[out + 3 * x + 2] = image.data[from + 2];
    }
  }
  return { width, height, data };
}

/**
 * out(p) = Σ_q kernel(q) · image(p − q): an impulse becomes the kernel. Same size as the image.
 *
 * A shake's kernel is a thin line, some 20 to 200 taps of up to 61×61, so its taps are walked, eight in a pass over a row
 * of interleaved RGB. 96 taps on 224×224 pixels take 6 ms on one server core.
 */
export function convolve(image: LinearImage, kernel: Kernel, { border = 'reflect' as Border | 'black' } = {}): LinearImage {
  const { width, height } = image;
  const radius = (kernel.size - 1) / 2;
  const source = padLinear(image, radius, border);
  const offsets: number[] = [], weights: number[] = [];
  for (let i = 0; i < kernel.data.length; i++) {
    if (kernel.data[i] === 0) continue;
    const dx = (i % kernel.size) - radius, dy = Math.floor(i / kernel.size) - radius;
    offsets.push(3 * ((radius - dy) * source.width + radius - dx));
    weights.push(kernel.data[i]);
  }
  // Whole groups of eight: the extra taps read the first tap's pixels and weigh nothing.
  while (offsets.length % 8 !== 0) {
    offsets.push(offsets[0]);
    weights.push(0);
  }
  const data = new Float32Array(width * height * 3);
  const sums = new Float64Array(width * 3);
  for (let y = 0; y < height; y++) {
    sums.fill(0);
    for (let tap = 0; tap < offsets.length; tap += 8) addEightTaps(sums, source.data, 3 * y * source.width, offsets, weights, tap);
    data.set(sums, 3 * y * width);
  }
  return { width, height, data };
}

function addEightTaps(sums: Float64Array, source: Float32Array, row: number, offsets: number[], weights: number[], tap: number): void {
  const w0 = weights[tap], w1 = weights[tap + 1], w2 = weights[tap + 2], w3 = weights[tap + 3];
  const w4 = weights[tap + 4], w5 = weights[tap + 5], w6 = weights[tap + 6], w7 = weights[tap + 7];
  const o0 = row + offsets[tap], o1 = row + offsets[tap + 1], o2 = row + offsets[tap + 2], o3 = row + offsets[tap + 3];
  const o4 = row + offsets[tap + 4], o5 = row + offsets[tap + 5], o6 = row + offsets[tap + 6], o7 = row + offsets[tap + 7];
  for (let x = 0; x < sums.length; x++) {
    sums[x] += w0 * source[o0 + x] + w1 * source[o1 + x] + w2 * source[o2 + x] + w3 * source[o3 + x]
      + w4 * source[o4 + x] + w5 * source[o5 + x] + w6 * source[o6 + x] + w7 * source[o7 + x];
  }
}
