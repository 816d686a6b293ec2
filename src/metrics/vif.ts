/**
 * Visual information fidelity in the pixel domain (VIFp): Sheikh and Bovik, "Image information and visual quality", IEEE TIP 15
 * (2006), DOI 10.1109/TIP.2005.859378, in the authors' four-scale pixel version.
 *
 * Matches `piq.vif_p` 0.8: luminance × 255; at scale s a Gaussian window of N = 2^(5−s) + 1 with σ = N/5, valid windows only;
 * before each scale but the first, that scale's window blurs and every second row and column is kept; noise variance 2. It is
 * not the wavelet-domain VIF of the paper (pyiqa's `vif`), which gives other numbers.
 */
import { MetricError } from '../errors.js';
import { gaussian, slidingMeans } from './filter.js';
import { luminance, toPlanesPair, type InputOptions, type MetricImage } from './planes.js';

export interface VifOptions extends InputOptions {
  /** Variance of the visual noise, for luminance 0…255. */
  noiseVariance?: number;
}

export const vifDefaults = { noiseVariance: 2 } as const satisfies VifOptions;

const scales = 4;
const epsilon = 1e-8;
/** A variance below this share of the mean square is rounding of 32-bit sums: the window is flat. */
const roundingShare = 5e-7;

interface Gray { readonly width: number; readonly height: number; readonly values: Float32Array }

/**
 * VIFp of (distorted, reference), from 0; 1 for identical pictures, above 1 when `test` has more contrast. **Not symmetric**: the
 * report's protocol passes the two the other way round. Throws MetricError when sizes differ or a side is under 41 pixels.
 */
export function vif(test: MetricImage, reference: MetricImage, options: VifOptions = {}): number {
  const { noiseVariance } = { ...vifDefaults, ...options };
  if (!(noiseVariance > 0)) throw new MetricError(`vif: noiseVariance must be positive, got ${noiseVariance}`);
  const [x, y] = toPlanesPair('vif', test, reference, 41, options);
  let distorted = centred(x.width, x.height, luminance(x, 255)), original = centred(y.width, y.height, luminance(y, 255));
  let received = 0, sent = 0;
  for (let scale = 1; scale <= scales; scale++) {
    const length = 2 ** (5 - scale) + 1, kernel = gaussian(length, length / 5);
    if (scale > 1) [distorted, original] = [blurredHalf(distorted, kernel), blurredHalf(original, kernel)];
    const information = scaleInformation(distorted, original, kernel, noiseVariance);
    received += information.received;
    sent += information.sent;
  }
  return (received + epsilon) / (sent + epsilon);
}

/** Variances don't change when a constant is subtracted, and 32-bit squares of smaller numbers keep more digits. */
function centred(width: number, height: number, values: Float32Array): Gray {
  for (let i = 0; i < values.length; i++) values[i] -= 127.5;
  return { width, height, values };
}

function blurredHalf({ width, height, values }: Gray, kernel: Float64Array): Gray {
  const outWidth = Math.ceil((width - kernel.length + 1) / 2), outHeight = Math.ceil((height - kernel.length + 1) / 2);
  const out = new Float32Array(outWidth * outHeight);
  slidingMeans({ width, height, kernel, maps: 1, rowStep: 2 }, ({ memory, at: [row] }, y) => {
    memory.set(values.subarray(y * width, (y + 1) * width), row);
  }, ({ memory, at: [means] }, y) => {
    for (let x = 0, to = (y / 2) * outWidth; x < outWidth; x++) out[to + x] = memory[means + 2 * x];
  });
  return { width: outWidth, height: outHeight, values: out };
}

/** Σ log₁₀(1 + g²σ²ᵣ/(σ²ᵥ + σ²ₙ)) and Σ log₁₀(1 + σ²ᵣ/σ²ₙ) over all windows of one scale. */
function scaleInformation(test: Gray, reference: Gray, kernel: Float64Array, noise: number): { received: number; sent: number } {
  const { width, height } = test, x = test.values, y = reference.values, columns = width - kernel.length + 1;
  const received = new LogSum(), sent = new LogSum();
  slidingMeans({ width, height, kernel, maps: 5 }, ({ memory, at: [xs, ys, xx, yy, xy] }, row) => {
    for (let i = 0, from = row * width; i < width; i++, from++) {
      const a = x[from], b = y[from];
      memory[xs + i] = a;
      memory[ys + i] = b;
      memory[xx + i] = a * a;
      memory[yy + i] = b * b;
      memory[xy + i] = a * b;
    }
  }, ({ memory, at: [xs, ys, xx, yy, xy] }) => {
    for (let i = 0; i < columns; i++) {
      const a = memory[xs + i], b = memory[ys + i];
      const varianceX = Math.max(0, memory[xx + i] - a * a), covariance = memory[xy + i] - a * b;
      let varianceY = Math.max(0, memory[yy + i] - b * b);
      let gain = covariance / (varianceY + epsilon), rest = varianceX - gain * covariance;
      if (varianceY < Math.max(epsilon, roundingShare * memory[yy + i])) { gain = 0; rest = varianceX; varianceY = 0; }
      if (varianceX < Math.max(epsilon, roundingShare * memory[xx + i])) { gain = 0; rest = 0; }
      if (gain < 0) { gain = 0; rest = varianceX; }
      received.add(1 + gain * gain * varianceY / (Math.max(rest, epsilon) + noise));
      sent.add(1 + varianceY / noise);
    }
  });
  return { received: received.log10(), sent: sent.log10() };
}

/** Sums logarithms by multiplying: one logarithm for many terms. Terms lie between 1 and a few times 10⁴. */
class LogSum {
  private product = 1;
  private sum = 0;

  add(term: number): void {
    this.product *= term;
    if (this.product > 1e250) {
      this.sum += Math.log10(this.product);
      this.product = 1;
    }
  }

  log10(): number { return this.sum + Math.log10(this.product); }
}
