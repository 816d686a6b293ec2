/** The gradient penalty of WGAN-GP: Gulrajani et al., "Improved Training of Wasserstein GANs", NeurIPS 2017. */
import { add, addScalar, gradients, mean, mul, neg, reshape, sqrt, square, sum, tensor, to, toDtype, detach, type Tensor } from '@unshake/libtorch';

/**
 * E[(‖∇ D(x)‖₂ − 1)²] at points x between real and fake, one a sample: x = ε·real + (1 − ε)·fake. The norm is over all of C, H, W, and
 * the value of D is the mean of its map, as in the loss. Differentiable in D's parameters, so D is differentiated twice: call it outside of autocast,
 * with a critic without batch norm (whose gradient mixes the samples). real, fake: N, C, H, W float32; `mix`: N values in [0, 1].
 */
export function gradientPenalty(critic: (candidate: Tensor) => Tensor, real: Tensor, fake: Tensor, mix: readonly number[]): Tensor {
  const n = real.shape[0];
  const epsilon = to(toDtype(tensor(Float64Array.from(mix), [n, 1, 1, 1]), real.dtype), real.device);
  const between = detach(add(mul(epsilon, real), mul(addScalar(neg(epsilon), 1), fake))).setRequiresGrad(true);
  const values = mean(reshape(critic(between), [n, -1]), [1]); // N
  const [slope] = gradients([sum(values)], [between], { createGraph: true });
  const norms = sqrt(addScalar(sum(square(slope!), [1, 2, 3]), 1e-16)); // N; √ has no gradient at 0
  return mean(square(addScalar(norms, -1)));
}
