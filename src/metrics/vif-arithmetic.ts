/** What VIF's two ways of computing share. */
import type { Planes } from './planes.js';

export const epsilon = 1e-8;

/** One channel, luminance 0…255, perhaps less a constant. */
export interface Gray { readonly width: number; readonly height: number; readonly values: Float32Array }

/** Σ log₁₀(1 + g²σ²ᵣ/(σ²ᵥ + σ²ₙ)) and Σ log₁₀(1 + σ²ᵣ/σ²ₙ) over all windows of one scale. */
export interface Information { readonly received: number; readonly sent: number }

/** The steps of VIF; `length` is the side of the scale's Gaussian window. */
export interface Arithmetic {
  luminance(image: Planes): Gray;
  /** Blurred by the window, then every second row and column. */
  blurredHalf(image: Gray, length: number): Gray;
  information(test: Gray, reference: Gray, length: number, noiseVariance: number): Information;
}

export function halfSize({ width, height }: Gray, length: number): { width: number; height: number } {
  return { width: Math.ceil((width - length + 1) / 2), height: Math.ceil((height - length + 1) / 2) };
}

/** Sums logarithms by multiplying: one logarithm for many terms. Terms lie between 1 and a few times 10⁴. */
export class LogSum {
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
