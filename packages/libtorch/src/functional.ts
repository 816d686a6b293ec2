/** Compositions of ops that several networks and losses need. */
import { add, addScalar, clamp, div, mean, mul, mulScalar, abs, square, sub, sum, sqrt, softplus, neg } from './generated.js';
import type { Tensor } from './tensor.js';

/** x / ‖x‖₂ over channels (dimension 1). Where ‖x‖ is below `eps` the result and its gradient are finite (a plain x/‖x‖ has a NaN gradient at 0). */
export function unitNormalize(x: Tensor, { eps = 1e-10 }: { eps?: number } = {}): Tensor {
  // clamp has zero gradient below its bound, so √ is never differentiated at 0.
  const norm = sqrt(clamp(sum(square(x), [1], { keepDim: true }), eps * eps, null)); // N, 1, H, W
  return div(x, addScalar(norm, eps));
}

/** Mean |a − b|. */
export const l1Loss = (a: Tensor, b: Tensor): Tensor => mean(abs(sub(a, b)));

/** Mean (a − b)². */
export const mseLoss = (a: Tensor, b: Tensor): Tensor => mean(square(sub(a, b)));

/** Mean binary cross-entropy of logits against a constant target in [0, 1]: softplus(x) − target · x. */
export const bceWithLogits = (logits: Tensor, target: number): Tensor => mean(target === 1 ? softplus(neg(logits)) : add(softplus(logits), mulScalar(logits, -target)));

/** a · w + b · (1 − w). */
export const blend = (a: Tensor, b: Tensor, w: number): Tensor => add(mulScalar(a, w), mulScalar(b, 1 - w));

/** Squares summed: ‖x‖₂². */
export const squaredNorm = (x: Tensor): Tensor => sum(mul(x, x));
