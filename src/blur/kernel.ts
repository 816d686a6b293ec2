/** Convolution with a small sparse kernel, in linear light. */
import { workspace } from './loops.js';
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
 * out(p) = Σ_q kernel(q) · image(p − q): an impulse becomes the kernel. Same size as the image; summed in 32-bit floats.
 *
 * A shake's kernel is a thin line, some 20 to 200 taps of up to 61×61, so its taps are walked, all of them for 16 values of interleaved RGB at once.
 */
export function convolve(image: LinearImage, kernel: Kernel, { border = 'reflect' as Border | 'black' } = {}): LinearImage {
  return convolveInside(padLinear(image, radiusOf(kernel), border), kernel);
}

/** How far a kernel reaches from its middle, pixels. */
export const radiusOf = ({ size }: Kernel): number => (size - 1) / 2;

/** The same where all of the kernel lies on the picture: its radius less on each side. */
export function convolveInside(source: LinearImage, kernel: Kernel): LinearImage {
  const radius = radiusOf(kernel);
  const width = source.width - 2 * radius, height = source.height - 2 * radius;
  const offsets: number[] = [], weights: number[] = [];
  for (let i = 0; i < kernel.data.length; i++) {
    if (kernel.data[i] === 0) continue;
    const dx = (i % kernel.size) - radius, dy = Math.floor(i / kernel.size) - radius;
    offsets.push(3 * ((radius - dy) * source.width + radius - dx));
    weights.push(kernel.data[i]);
  }
  const taps = weights.length, count = 3 * width;
  const { memory, at, kernels } = workspace({ source: source.data.length, offsets: taps, weights: taps, out: height * count });
  memory.set(source.data, at.source);
  memory.set(weights, at.weights);
  new Int32Array(memory.buffer).set(offsets, at.offsets);
  for (let y = 0; y < height; y++) kernels.sumOfTaps(at.source + 3 * y * source.width, at.offsets, at.weights, taps, at.out + y * count, count);
  return { width, height, data: memory.slice(at.out, at.out + height * count) };
}
