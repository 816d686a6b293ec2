/**
 * Visual information fidelity in the pixel domain (VIFp): Sheikh and Bovik, "Image information and visual quality", IEEE TIP 15
 * (2006), DOI 10.1109/TIP.2005.859378, in the authors' four-scale pixel version.
 *
 * Matches `piq.vif_p` 0.8: luminance × 255; at scale s a Gaussian window of N = 2^(5−s) + 1 with σ = N/5, valid windows only;
 * before each scale but the first, that scale's window blurs and every second row and column is kept; noise variance 2. It is
 * not the wavelet-domain VIF of the paper (pyiqa's `vif`), which gives other numbers.
 */
import { MetricError } from '../errors.js';
import { toPlanesPair, type InputOptions, type MetricImage } from './planes.js';
import { epsilon } from './vif-arithmetic.js';
import { float32 } from './vif-float32.js';
import { float64 } from './vif-float64.js';

export interface VifOptions extends InputOptions {
  /** Variance of the visual noise, for luminance 0…255. */
  noiseVariance?: number;
  /**
   * `float32` (default) rounds where piq's 32-bit convolutions on a CPU round, so that values can be compared with published
   * ones: variances are differences of large numbers, and where one picture is nearly a tone-mapped copy of the other, or
   * smooth, that moves VIF by some 1e-4, in smooth photos by 2e-3, away from what the formulas say. `float64` is what they say,
   * to 5e-6 (4e-4 in pictures nearly flat all over, whose variances below 0.01 it takes for none), several times faster, and a
   * flat reference gives 1, where `float32`, like piq, gives whatever the rounding makes of it.
   */
  arithmetic?: 'float32' | 'float64';
}

export const vifDefaults = { noiseVariance: 2, arithmetic: 'float32' } as const satisfies VifOptions;

const scales = 4;

/**
 * VIFp of (distorted, reference), from 0; 1 for identical pictures, above 1 when `test` has more contrast. **Not symmetric**: the
 * report's protocol passes the two the other way round. Throws MetricError when sizes differ or a side is under 41 pixels.
 */
export function vif(test: MetricImage, reference: MetricImage, options: VifOptions = {}): number {
  const { noiseVariance, arithmetic } = { ...vifDefaults, ...options };
  if (!(noiseVariance > 0)) throw new MetricError(`vif: noiseVariance must be positive, got ${noiseVariance}`);
  const [x, y] = toPlanesPair('vif', test, reference, 41, options), steps = arithmetic === 'float64' ? float64 : float32;
  let distorted = steps.luminance(x), original = steps.luminance(y);
  let received = 0, sent = 0;
  for (let scale = 1; scale <= scales; scale++) {
    const length = 2 ** (5 - scale) + 1;
    if (scale > 1) [distorted, original] = [steps.blurredHalf(distorted, length), steps.blurredHalf(original, length)];
    const information = steps.information(distorted, original, length, noiseVariance);
    received += information.received;
    sent += information.sent;
  }
  return (received + epsilon) / (sent + epsilon);
}
