/**
 * Feature similarity: Zhang, Zhang, Mou, Zhang, "FSIM: a feature similarity index for image quality assessment", IEEE TIP 20
 * (2011), DOI 10.1109/TIP.2011.2109730. FSIM compares phase congruency and gradients of the brightness; FSIMc also chroma.
 *
 * Matches `piq.fsim` 0.8 (and, at these sizes, the authors' MATLAB): values × 255, mean-pooled by round(min side / 256), YIQ,
 * Scharr gradients / 16 with zeros outside, T₁ = 0.85, T₂ = 160, T₃ = T₄ = 200, λ = 0.03, weighted by the larger congruency.
 * All filters live on the picture's own grid.
 */
import { phaseCongruency } from './phase-congruency.js';
import { luminance, toPlanesPair, type InputOptions, type MetricImage, type Planes } from './planes.js';
import { meanPool, poolFactor } from './pool.js';

export interface FsimOptions extends InputOptions {
  /** FSIMc instead of FSIM. Needs colour. */
  chromatic?: boolean;
  /** `auto` pools by round(min side / 256); `none` works on the pixels as they are. */
  downsample?: 'auto' | 'none';
  /**
   * Where the product of the chroma similarities is negative, its power λ is complex. `magnitude` takes its absolute value, as
   * piq does; `real` its real part, as the authors' MATLAB does (a difference in the fourth digit at most).
   */
  negativeChroma?: 'magnitude' | 'real';
}

export const fsimDefaults = { chromatic: false, downsample: 'auto', negativeChroma: 'magnitude' } as const satisfies FsimOptions;

/** Below this the filters, of wavelengths from 6 to 48 pixels, see nothing. */
const fsimMinimum = 16;

const congruencyConstant = 0.85, gradientConstant = 160, chromaConstant = 200, chromaExponent = 0.03;
const inPhase = [0.5959, -0.2746, -0.3213] as const, quadrature = [0.2115, -0.5227, 0.3112] as const;

/**
 * FSIM, or FSIMc when `chromatic`, of a pair of pictures of one size, in [0, 1]; 1 for identical ones. Symmetric. Gray pictures
 * have no chroma to differ in: their FSIMc is their FSIM. Throws MetricError when sizes differ or a side is under 16 pixels.
 */
export function fsim(test: MetricImage, reference: MetricImage, options: FsimOptions = {}): number {
  const settings = { ...fsimDefaults, ...options };
  return settings.chromatic ? similarity('fsimc', test, reference, settings, true).fsimc : similarity('fsim', test, reference, settings, false).fsim;
}

/** FSIM and FSIMc for little more than the price of one. Throws as `fsim` does. */
export function fsimBoth(test: MetricImage, reference: MetricImage, options: Omit<FsimOptions, 'chromatic'> = {}): { fsim: number; fsimc: number } {
  return similarity('fsim', test, reference, { ...fsimDefaults, ...options }, true);
}

function similarity(
  metric: string, test: MetricImage, reference: MetricImage, options: FsimOptions & Required<Pick<FsimOptions, 'negativeChroma'>>, withChroma: boolean,
): { fsim: number; fsimc: number } {
  let [x, y] = toPlanesPair(metric, test, reference, fsimMinimum, options);
  if (options.downsample === 'auto') {
    const factor = poolFactor(x.width, x.height);
    [x, y] = [meanPool(x, factor), meanPool(y, factor)];
  }
  const { width, height } = x, a = luminance(x, 255), b = luminance(y, 255);
  const [congruencyA, congruencyB] = phaseCongruency(a, b, width, height);
  const gradientA = scharr(a, width, height), gradientB = scharr(b, width, height);
  const chroma = withChroma && x.planes.length === 3 ? chromaSimilarity(x, y, options.negativeChroma) : undefined;
  let weights = 0, sum = 0, chromaSum = 0;
  for (let i = 0; i < a.length; i++) {
    const weight = Math.max(congruencyA[i], congruencyB[i]);
    const value = alike(congruencyA[i], congruencyB[i], congruencyConstant) * alike(gradientA[i], gradientB[i], gradientConstant) * weight;
    weights += weight;
    sum += value;
    if (chroma) chromaSum += value * chroma[i];
  }
  return { fsim: sum / weights, fsimc: (chroma ? chromaSum : sum) / weights };
}

function alike(a: number, b: number, constant: number): number {
  return (2 * a * b + constant) / (a * a + b * b + constant);
}

/** (S_I · S_Q)^λ for each pixel. */
function chromaSimilarity(x: Planes, y: Planes, negative: 'magnitude' | 'real'): Float32Array {
  const [xr, xg, xb] = x.planes, [yr, yg, yb] = y.planes;
  const [ir, ig, ib] = inPhase.map((v) => v * 255), [qr, qg, qb] = quadrature.map((v) => v * 255);
  const realPart = negative === 'real' ? Math.cos(Math.PI * chromaExponent) : 1;
  const out = new Float32Array(x.width * x.height);
  for (let i = 0; i < out.length; i++) {
    const similarI = alike(ir * xr[i] + ig * xg[i] + ib * xb[i], ir * yr[i] + ig * yg[i] + ib * yb[i], chromaConstant);
    const similarQ = alike(qr * xr[i] + qg * xg[i] + qb * xb[i], qr * yr[i] + qg * yg[i] + qb * yb[i], chromaConstant);
    const product = similarI * similarQ;
    out[i] = product < 0 ? realPart * (-product) ** chromaExponent : product ** chromaExponent;
  }
  return out;
}

/** Length of the Scharr gradient / 16, with zeros outside the picture. */
function scharr(values: Float32Array, width: number, height: number): Float32Array {
  const out = new Float32Array(values.length), pitch = width + 2;
  const padded = new Float32Array(pitch * (height + 2));
  for (let y = 0; y < height; y++) padded.set(values.subarray(y * width, (y + 1) * width), (y + 1) * pitch + 1);
  for (let y = 0; y < height; y++) {
    for (let x = 0, p = y * pitch, to = y * width; x < width; x++, p++, to++) {
      const a = padded[p], b = padded[p + 1], c = padded[p + 2], d = padded[p + pitch], f = padded[p + pitch + 2];
      const g = padded[p + 2 * pitch], h = padded[p + 2 * pitch + 1], k = padded[p + 2 * pitch + 2];
      const across = (3 * (c + k - a - g) + 10 * (f - d)) / 16, down = (3 * (g + k - a - c) + 10 * (h - b)) / 16;
      out[to] = Math.sqrt(across * across + down * down);
    }
  }
  return out;
}
