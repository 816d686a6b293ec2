/**
 * Full-reference image-quality metrics in plain JavaScript, for Node and browsers: a function for each, and `measure` for
 * several at once under a named protocol. Pictures are 8- or 16-bit samples or float planes; nothing here decodes files.
 */
import { fsim, fsimBoth } from './fsim.js';
import { msSsim } from './msssim.js';
import { toPlanesPair, type MetricImage } from './planes.js';
import { psnr } from './psnr.js';
import { ssim } from './ssim.js';
import { vif } from './vif.js';

export { psnr, psnrDefaults, type PsnrOptions } from './psnr.js';
export { ssim, ssimDefaults, type SsimOptions, type SsimWindow } from './ssim.js';
export { msSsim, msSsimDefaults, type MsSsimOptions } from './msssim.js';
export { fsim, fsimBoth, fsimDefaults, type FsimOptions } from './fsim.js';
export { vif, vifDefaults, type VifOptions } from './vif.js';
export { toPlanes, inputDefaults, type InputOptions, type MetricImage, type Planes } from './planes.js';
export { summarise, type Summary } from './summary.js';
export type { KernelKind } from '../inner-loops.js';
export { useKernels } from './kernels.js';

export const metricNames = ['psnr', 'ssim', 'msssim', 'fsim', 'fsimc', 'vif'] as const;
export type MetricName = typeof metricNames[number];

/** The shortest side that each can be computed for, pixels. */
export const shortestSides: Record<MetricName, number> = { psnr: 1, ssim: 11, msssim: 161, fsim: 16, fsimc: 16, vif: 41 };

/** One value for each metric that was asked for. */
export type Scores = Partial<Record<MetricName, number>>;

export const protocols = ['clean', 'report'] as const;
/**
 * `clean`: values as they are, VIF of (distorted, reference). `report`: as the student report measured: each picture first
 * stretched to [0, 1] by its own minimum and maximum, VIF's arguments reversed.
 */
export type Protocol = typeof protocols[number];

export const protocolText: Record<Protocol, string> = {
  clean: 'values in [0, 1], RGB, VIF as (distorted, reference)',
  report: "per-image min–max to [0, 1] first, RGB, VIF's arguments reversed: (reference, distorted)",
};

/** What each metric computes by default, to be printed with its numbers. */
export const conventions: Record<MetricName, string> = {
  psnr: 'dB, mean squared error over R, G and B, +1e-8 (at most 80)',
  ssim: 'mean-pooled by round(min side / 256), Gaussian 11 σ 1.5, valid windows, mean over R, G and B (piq 0.8)',
  msssim: '5 scales, Gaussian 11 σ 1.5, no pooling beforehand, mean over R, G and B (piq 0.8)',
  fsim: 'brightness only, mean-pooled by round(min side / 256) (piq 0.8, chromatic=False)',
  fsimc: 'FSIM with chroma (piq 0.8, chromatic=True)',
  vif: 'pixel domain, 4 scales, luminance × 255, noise variance 2, float32 arithmetic (piq 0.8 vif_p)',
};

export interface MeasureOptions {
  /** Default: all six. */
  metrics?: readonly MetricName[];
  /** Default `clean`. */
  protocol?: Protocol;
}

export const measureDefaults = { metrics: metricNames, protocol: 'clean' } as const satisfies MeasureOptions;

/** Several metrics of a pair of pictures of one size, decoded and normalised once. Throws MetricError as each of them does. */
export function measure(test: MetricImage, reference: MetricImage, options: MeasureOptions = {}): Scores {
  const { metrics, protocol } = { ...measureDefaults, ...options };
  const [x, y] = toPlanesPair('comparison', test, reference, 1, { normalize: protocol === 'report' ? 'min-max' : 'none' });
  const features = metrics.includes('fsim') && metrics.includes('fsimc') ? fsimBoth(x, y) : undefined;
  const one = (metric: MetricName): number => {
    switch (metric) {
      case 'psnr': return psnr(x, y);
      case 'ssim': return ssim(x, y);
      case 'msssim': return msSsim(x, y);
      case 'fsim': return features?.fsim ?? fsim(x, y);
      case 'fsimc': return features?.fsimc ?? fsim(x, y, { chromatic: true });
      case 'vif': return protocol === 'report' ? vif(y, x) : vif(x, y);
    }
  };
  return Object.fromEntries(metrics.map((metric) => [metric, one(metric)]));
}
