/** SSIM of feature maps, differentiable: Wang, Bovik, Sheikh, Simoncelli 2004, Gaussian window 11 (σ 1.5), valid windows, constants for a range of 1. */
import { add, addScalar, conv2d, div, mean, mul, mulScalar, square, sub, tensor, to, toDtype, type Tensor } from '@unshake/libtorch';

/** Normalised Gaussian, as long as the map allows. */
function gaussian(size: number): number[] {
  const window = Math.min(11, size - ((size + 1) % 2)); // odd
  const weights = Array.from({ length: window }, (_, i) => Math.exp(-((i - (window - 1) / 2) ** 2) / (2 * 1.5 ** 2)));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
}

/** Each channel blurred along one axis, without padding. */
function blurAlong(x: Tensor, axis: 2 | 3): Tensor {
  const channels = x.shape[1], weights = gaussian(x.shape[axis]);
  const shape = axis === 2 ? [channels, 1, weights.length, 1] : [channels, 1, 1, weights.length];
  const kernel = to(toDtype(tensor(Float64Array.from({ length: channels * weights.length }, (_, i) => weights[i % weights.length]), shape), x.dtype), x.device);
  return conv2d(x, kernel, null, { groups: channels });
}

const blur = (x: Tensor): Tensor => blurAlong(blurAlong(x, 3), 2);

/** Two batches of maps, N, C, H, W in a range of about 1 → the mean over channels and windows, N, 1, 1, 1. */
export function featureSsim(a: Tensor, b: Tensor): Tensor {
  const [c1, c2] = [0.01 ** 2, 0.03 ** 2];
  const [meanA, meanB] = [blur(a), blur(b)];
  const both = mul(meanA, meanB), squares = add(square(meanA), square(meanB));
  const covariance = sub(blur(mul(a, b)), both), variances = sub(add(blur(square(a)), blur(square(b))), squares);
  const map = mul(div(addScalar(mulScalar(both, 2), c1), addScalar(squares, c1)), div(addScalar(mulScalar(covariance, 2), c2), addScalar(variances, c2)));
  return mean(map, [1, 2, 3], { keepDim: true });
}
