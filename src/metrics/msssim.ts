/**
 * Multi-scale SSIM: Wang, Simoncelli, Bovik, "Multi-scale structural similarity for image quality assessment", Asilomar 2003,
 * DOI 10.1109/ACSSC.2003.1292216.
 *
 * Matches `piq.multi_scale_ssim` 0.8: five scales, 2×2 means between them (pictures with an odd side get their first row and
 * column repeated first), contrast-structure at the finer scales and whole SSIM at the coarsest, negative means counted as 0,
 * each to the power of its weight, multiplied per channel, then the mean over channels. No down-sampling beforehand.
 */
import { MetricError } from '../errors.js';
import { ssimDefaults, ssimPair, windowedSimilarity, type SsimWindow } from './ssim.js';
import type { InputOptions, MetricImage, Planes } from './planes.js';

export interface MsSsimOptions extends InputOptions, SsimWindow {
  /** Exponents from the finest scale to the coarsest; their number is the number of scales. */
  weights?: readonly number[];
}

export const msSsimDefaults = {
  window: ssimDefaults.window, sigma: ssimDefaults.sigma, k1: ssimDefaults.k1, k2: ssimDefaults.k2, channels: 'all',
  weights: [0.0448, 0.2856, 0.3001, 0.2363, 0.1333],
} as const satisfies MsSsimOptions;

/**
 * MS-SSIM of a pair of pictures of one size, in [0, 1]; 1 for identical ones. Symmetric.
 * Throws MetricError when sizes differ or a side is under (window − 1)·2^(scales − 1) + 1 pixels (161).
 */
export function msSsim(test: MetricImage, reference: MetricImage, options: MsSsimOptions = {}): number {
  const settings = { ...msSsimDefaults, ...options };
  const { weights, window } = settings;
  if (weights.length === 0) throw new MetricError('msssim: weights must name at least one scale, got none');
  let [x, y] = ssimPair('msssim', test, reference, (window - 1) * 2 ** (weights.length - 1) + 1, settings);
  const products = x.planes.map(() => 1);
  weights.forEach((weight, scale) => {
    if (scale > 0) [x, y] = [halved(x), halved(y)];
    windowedSimilarity(x, y, settings).forEach(({ ssim, contrast }, channel) => {
      const value = scale === weights.length - 1 ? ssim : contrast;
      products[channel] *= Math.max(0, value) ** weight;
    });
  });
  return products.reduce((a, b) => a + b, 0) / products.length;
}

function halved(image: Planes): Planes {
  const odd = Math.max(image.width % 2, image.height % 2);
  const width = Math.floor((image.width + odd) / 2), height = Math.floor((image.height + odd) / 2);
  return { width, height, planes: image.planes.map((plane) => halvedPlane(plane, image.width, width, height, odd)) };
}

function halvedPlane(plane: Float32Array | Float64Array, stride: number, width: number, height: number, odd: number): Float32Array {
  const out = new Float32Array(width * height);
  for (let y = 0; y < height; y++) {
    const top = Math.max(2 * y - odd, 0) * stride, bottom = (2 * y + 1 - odd) * stride;
    out[y * width] = (plane[top] + plane[bottom] + plane[top + 1 - odd] + plane[bottom + 1 - odd]) / 4;
    for (let x = 1; x < width; x++) {
      const left = 2 * x - odd, right = left + 1;
      out[y * width + x] = (plane[top + left] + plane[top + right] + plane[bottom + left] + plane[bottom + right]) / 4;
    }
  }
  return out;
}
