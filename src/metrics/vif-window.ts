/**
 * The Gaussian windows of `piq.vif_p` to the last bit, as PyTorch 1.13 computes them on a CPU. Their weights add up to 1 only
 * within 1e-7, and a variance, being a difference of numbers near 10⁴, feels that: windows right to half a unit in the last
 * place give VIFs up to 5e-4 away from piq's.
 */
const f = Math.fround;

/** What PyTorch's sum makes of each window, by length, before the window is divided by it; the order of a vectorised sum is its own. */
const sums: Readonly<Record<number, number>> = { 17: 70.88565063476562, 9: 19.898998260498047, 5: 6.168924331665039, 3: 2.246115207672119 };

/** The window of side 17, 9, 5 or 3, σ a fifth of it, row by row. */
export function gaussianWindow(length: number): Float32Array {
  const half = (length - 1) / 2, divisor = f(2 * (length / 5) ** 2);
  return Float32Array.from({ length: length ** 2 }, (_, i) => {
    const x = i % length - half, y = Math.floor(i / length) - half;
    return exponential(f(-(x * x + y * y) / divisor)) / sums[length];
  });
}

const polynomial = [0.00139304355252534151, 0.00833336077630519867, 0.0416664853692054749, 0.166666671633720398, 0.5].map(f);

/** e^x for x ≤ 0 in 32 bits: `expf` of the SLEEF library (1.0 ULP, `Sleef_expf_u10`), which PyTorch's vectors call. */
function exponential(x: number): number {
  const power = Math.round(f(x * f(Math.LOG2E)));
  const rest = fused(power, f(-1.428606765330187045e-6), fused(power, f(-0.693145751953125), x));
  const tail = polynomial.reduce((sum, coefficient) => fused(sum, rest, coefficient), f(0.000198527617612853646));
  return f(1 + fused(f(rest * rest), tail, rest)) * 2 ** power;
}

/** a·b + c of 32-bit numbers with one rounding. */
function fused(a: number, b: number, c: number): number {
  return f(a * b + c);
}
