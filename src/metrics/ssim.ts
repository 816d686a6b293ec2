/**
 * Structural similarity: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural
 * similarity", IEEE TIP 13 (2004), DOI 10.1109/TIP.2003.819861, equation 13.
 *
 * Matches `piq.ssim` 0.8: values in [0, 1], both pictures first mean-pooled by round(min side / 256), Gaussian window of 11
 * with σ 1.5, valid windows only (no border), each channel by itself, then the mean over R, G and B. The authors' MATLAB
 * works on one gray channel; scikit-image's default is a uniform 7×7 window with sample covariance.
 */
import { MetricError } from '../errors.js';
import { gaussian, slidingMeans } from './filter.js';
import { luminance, toPlanesPair, type InputOptions, type MetricImage, type Planes } from './planes.js';
import { meanPool, poolFactor } from './pool.js';

export interface SsimWindow {
  /** Side of the Gaussian window in pixels, odd. */
  window?: number;
  /** Its standard deviation in pixels. */
  sigma?: number;
  /** Stabilising constants: C₁ = k1², C₂ = k2² for values in [0, 1]. */
  k1?: number;
  k2?: number;
  /** `all` channels equally (default), or `luminance` alone. */
  channels?: 'all' | 'luminance';
}

export interface SsimOptions extends InputOptions, SsimWindow {
  /** `auto` pools by round(min side / 256); `none` works on the pixels as they are. */
  downsample?: 'auto' | 'none';
}

export const ssimDefaults = { window: 11, sigma: 1.5, k1: 0.01, k2: 0.03, channels: 'all', downsample: 'auto' } as const satisfies SsimOptions;

/**
 * SSIM of a pair of pictures of one size, in [−1, 1]; 1 for identical ones. Symmetric.
 * Throws MetricError when sizes differ or a side is under `window` (11) pixels.
 */
export function ssim(test: MetricImage, reference: MetricImage, options: SsimOptions = {}): number {
  const settings = { ...ssimDefaults, ...options };
  let [x, y] = ssimPair('ssim', test, reference, settings.window, settings);
  if (settings.downsample === 'auto') {
    const factor = poolFactor(x.width, x.height);
    [x, y] = [meanPool(x, factor), meanPool(y, factor)];
  }
  const similarity = windowedSimilarity(x, y, settings);
  return mean(similarity.map((channel) => channel.ssim));
}

/** Both pictures as planes, of the channels asked for. Shared with MS-SSIM. */
export function ssimPair(metric: string, test: MetricImage, reference: MetricImage, minimum: number, options: InputOptions & SsimWindow): [Planes, Planes] {
  const { window = ssimDefaults.window, channels } = options;
  if (!Number.isInteger(window) || window < 3 || window % 2 === 0) throw new MetricError(`${metric}: window must be an odd number from 3, got ${window}`);
  const pair = toPlanesPair(metric, test, reference, minimum, options);
  return channels === 'luminance' ? [gray(pair[0]), gray(pair[1])] : pair;
}

/** For each channel: the mean of SSIM over all windows, and that of its contrast-structure part alone (MS-SSIM's finer scales). */
export function windowedSimilarity(x: Planes, y: Planes, options: Required<Pick<SsimWindow, 'window' | 'sigma' | 'k1' | 'k2'>>): { ssim: number; contrast: number }[] {
  const { window, sigma, k1, k2 } = options;
  const kernel = gaussian(window, sigma);
  return x.planes.map((plane, channel) => planeSimilarity(plane, y.planes[channel], x.width, x.height, kernel, k1 * k1, k2 * k2));
}

/**
 * Four maps suffice (x, y, x² + y², x·y): the two variances occur only as their sum. Values are taken around 1/2, which leaves
 * variances as they are and costs fewer digits when 32-bit squares are subtracted.
 */
function planeSimilarity(
  x: Float32Array | Float64Array, y: Float32Array | Float64Array, width: number, height: number, kernel: Float64Array, c1: number, c2: number,
): { ssim: number; contrast: number } {
  const columns = width - kernel.length + 1, rows = height - kernel.length + 1;
  let ssimSum = 0, contrastSum = 0;
  slidingMeans({ width, height, kernel, maps: 4 }, ({ memory, at: [xs, ys, squares, cross] }, row) => {
    for (let i = 0, from = row * width; i < width; i++, from++) {
      const a = x[from] - 0.5, b = y[from] - 0.5;
      memory[xs + i] = a;
      memory[ys + i] = b;
      memory[squares + i] = a * a + b * b;
      memory[cross + i] = a * b;
    }
  }, ({ memory, at: [xs, ys, squares, cross] }) => {
    for (let i = 0; i < columns; i++) {
      const a = memory[xs + i], b = memory[ys + i], meanX = a + 0.5, meanY = b + 0.5;
      const contrast = (2 * (memory[cross + i] - a * b) + c2) / (memory[squares + i] - a * a - b * b + c2);
      contrastSum += contrast;
      ssimSum += contrast * (2 * meanX * meanY + c1) / (meanX * meanX + meanY * meanY + c1);
    }
  });
  return { ssim: ssimSum / (rows * columns), contrast: contrastSum / (rows * columns) };
}

function gray(image: Planes): Planes {
  return { ...image, planes: [luminance(image)] };
}

function mean(values: number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}
