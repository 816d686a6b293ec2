/**
 * Peak signal-to-noise ratio in decibels: −10·log₁₀(MSE + 1e-8), the error taken over all channels and pixels of values in [0, 1].
 *
 * Matches `piq.psnr` 0.8. The 1e-8 caps the value: two identical pictures have 80 dB. Mean PSNR of a set is the mean of these
 * values, not the PSNR of the mean error.
 */
import { luminance, toPlanesPair, type InputOptions, type MetricImage } from './planes.js';

export interface PsnrOptions extends InputOptions {
  /** `all` channels equally (default), or `luminance` alone. */
  channels?: 'all' | 'luminance';
}

export const psnrDefaults = { channels: 'all' } as const satisfies PsnrOptions;

/** PSNR of a pair of pictures of one size, in dB, at most 80. Symmetric. Throws MetricError when sizes differ. */
export function psnr(test: MetricImage, reference: MetricImage, options: PsnrOptions = {}): number {
  const { channels } = { ...psnrDefaults, ...options };
  const [a, b] = toPlanesPair('psnr', test, reference, 1, options);
  const [x, y] = channels === 'luminance' ? [[luminance(a)], [luminance(b)]] : [a.planes, b.planes];
  let squares = 0;
  for (let channel = 0; channel < x.length; channel++) squares += squaredError(x[channel], y[channel]);
  return -10 * Math.log10(squares / (x.length * x[0].length) + 1e-8);
}

function squaredError(x: Float32Array | Float64Array, y: Float32Array | Float64Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) {
    const difference = x[i] - y[i];
    sum += difference * difference;
  }
  return sum;
}
