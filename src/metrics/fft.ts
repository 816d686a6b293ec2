/**
 * Two-dimensional complex Fourier transforms of any size: Stockham's self-sorting algorithm in radix 4, 2 and odd primes, on a
 * picture's own grid (FSIM's filters live there, so padding to a convenient size would change the metric).
 *
 * Real pictures need no transform of their own: two of them are the real and imaginary part of one complex picture.
 * Layout, scratch room and rounding are those of kernels-plain.ts.
 */
import type { Kernels } from './kernels-plain.js';

interface Stage {
  readonly radix: number;
  /** How many groups of butterflies share a factor. */
  readonly groups: number;
  /** exp(−2πi·p·j/(radix·groups)) at [p·radix + j]. */
  readonly re: Float64Array;
  readonly im: Float64Array;
}

/** Where a transform works: `scratch` has room for `fftScratch(rows, columns)` values. */
export interface FftPlace { readonly memory: Float32Array; readonly kernels: Kernels; readonly scratch: number }

const plans = new Map<number, readonly Stage[]>();

/** Floats of scratch that transforms of these sizes need. */
export function fftScratch(rows: number, columns: number): number {
  return 12 * Math.max(1, ...[...stagesOf(rows), ...stagesOf(columns)].map(({ radix }) => radix));
}

/**
 * Which of the two arrays `fft2` must find its input in, so that its result ends in the first: 0 or 1. Each pass goes from one to the other.
 */
export function fft2Start(rows: number, columns: number): 0 | 1 {
  return (stagesOf(rows).length + stagesOf(columns).length + 1) % 2 as 0 | 1;
}

/**
 * Forward transform without scaling of a `rows`×`columns` complex array into a `columns`×`rows` one (transposed). The input is
 * in `arrays[fft2Start()]`, the result in `arrays[0]`, the other one is overwritten; the imaginary plane lies `size` after the
 * real one. Both sides must be at least 4. Exchanging the planes before and after makes it the inverse transform times rows·columns.
 */
export function fft2({ memory, kernels, scratch }: FftPlace, rows: number, columns: number, size: number, arrays: readonly [number, number]): void {
  let from = fft2Start(rows, columns);
  const flip = (): [number, number] => { const pair: [number, number] = [arrays[from], arrays[1 - from]]; from = (1 - from) as 0 | 1; return pair; };
  const alongRows = (length: number, batch: number): void => {
    let stride = batch;
    for (const stage of stagesOf(length)) {
      const [source, out] = flip();
      pass(memory, kernels, stage, stride, source, out, size, scratch);
      stride *= stage.radix;
    }
  };
  alongRows(rows, columns);
  const [source, out] = flip();
  kernels.transpose(source, rows, columns, out);
  kernels.transpose(source + size, rows, columns, out + size);
  alongRows(columns, rows);
}

/** One stage along the first axis: within a group `stride` neighbours share their factors. */
function pass(memory: Float32Array, kernels: Kernels, stage: Stage, stride: number, source: number, out: number, size: number, scratch: number): void {
  const { radix, groups, re, im } = stage, step = stride * groups;
  if (radix > 4 || radix === 3) {
    for (let k = 0; k < radix; k++) {
      memory[scratch + k] = Math.cos(2 * Math.PI * k / radix);
      memory[scratch + radix + k] = Math.sin(2 * Math.PI * k / radix);
    }
  }
  for (let group = 0; group < groups; group++) {
    const from = source + stride * group, to = out + stride * radix * group, w = radix * group;
    if (radix === 2) {
      kernels.radix2(from, step, to, stride, size, stride, re[w + 1], im[w + 1]);
    } else if (radix === 4) {
      kernels.radix4(from, step, to, stride, size, stride, re[w + 1], im[w + 1], re[w + 2], im[w + 2], re[w + 3], im[w + 3]);
    } else {
      for (let j = 0; j < radix; j++) {
        memory[scratch + 2 * radix + j] = re[w + j];
        memory[scratch + 3 * radix + j] = im[w + j];
      }
      kernels.oddRadix(radix, from, step, to, stride, size, stride, scratch, scratch + 4 * radix);
    }
  }
}

function stagesOf(length: number): readonly Stage[] {
  let stages = plans.get(length);
  if (!stages) {
    stages = planned(length);
    plans.set(length, stages);
  }
  return stages;
}

function planned(length: number): Stage[] {
  const stages: Stage[] = [];
  let remaining = length;
  while (remaining > 1) {
    const radix = remaining % 4 === 0 ? 4 : remaining % 2 === 0 ? 2 : smallestOddFactor(remaining);
    const groups = remaining / radix, re = new Float64Array(remaining), im = new Float64Array(remaining);
    for (let p = 0; p < groups; p++) {
      for (let j = 0; j < radix; j++) {
        const angle = -2 * Math.PI * p * j / remaining;
        re[p * radix + j] = Math.cos(angle);
        im[p * radix + j] = Math.sin(angle);
      }
    }
    stages.push({ radix, groups, re, im });
    remaining = groups;
  }
  return stages;
}

function smallestOddFactor(n: number): number {
  for (let factor = 3; factor * factor <= n; factor += 2) if (n % factor === 0) return factor;
  return n;
}
