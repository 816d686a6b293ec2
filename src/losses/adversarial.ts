/**
 * Adversarial losses on logits: real = D(B, S), fake = D(B, G(B)), maps of any shape; means over the batch and the map.
 *
 * `bce`        Goodfellow et al. 2014, non-saturating: the generator maximises log D(fake). DGF's released code.
 * `minimax`    The same discriminator; the generator minimises log(1 − D(fake)), which saturates while D wins. What the report prints.
 * `lsgan`      Mao et al. 2017, least squares to 1 and 0.
 * `wgan`       Arjovsky et al. 2017: a critic without bounds, its weights clipped after each update.
 * `wgan-gp`    Gulrajani et al. 2017: the critic's slope is held at 1 by a penalty instead (gradient-penalty.ts).
 * `ragan-ls`   Jolicoeur-Martineau 2019, relativistic average with least squares, as DeblurGAN-v2 uses it (batch means, no pool of older images).
 * `hinge`      Lim and Ye 2017.
 */
import { add, addScalar, bceWithLogits, mean, mulScalar, neg, relu, softplus, square, sub, type Tensor } from '@unshake/libtorch';

export const adversarialTypes = ['bce', 'minimax', 'lsgan', 'wgan', 'wgan-gp', 'ragan-ls', 'hinge'] as const;
export type AdversarialType = (typeof adversarialTypes)[number];

const half = (x: Tensor): Tensor => mulScalar(x, 0.5);
/** Mean (x − target)². */
const distance = (x: Tensor, target: number): Tensor => mean(square(addScalar(x, -target)));
/** ½ [(a − mean b − 1)² + (b − mean a + 1)²]: a is to score above the average b by 1. */
const relativistic = (a: Tensor, b: Tensor): Tensor => half(add(distance(sub(a, mean(b)), 1), distance(sub(b, mean(a)), -1)));

/** What the discriminator minimises. For `wgan-gp` the penalty comes on top. */
export function discriminatorLoss(type: AdversarialType, real: Tensor, fake: Tensor): Tensor {
  switch (type) {
    case 'bce': case 'minimax': return half(add(bceWithLogits(real, 1), bceWithLogits(fake, 0)));
    case 'lsgan': return half(add(distance(real, 1), distance(fake, 0)));
    case 'wgan': case 'wgan-gp': return sub(mean(fake), mean(real));
    case 'ragan-ls': return relativistic(real, fake);
    case 'hinge': return add(mean(relu(addScalar(neg(real), 1))), mean(relu(addScalar(fake, 1))));
  }
}

/** What the generator minimises. `real` is asked for by `ragan-ls` alone. */
export function generatorLoss(type: AdversarialType, fake: Tensor, real: () => Tensor): Tensor {
  switch (type) {
    case 'bce': return bceWithLogits(fake, 1);
    case 'minimax': return neg(mean(softplus(fake))); // log(1 − σ(f)) = −softplus(f)
    case 'lsgan': return distance(fake, 1);
    case 'wgan': case 'wgan-gp': case 'hinge': return neg(mean(fake));
    case 'ragan-ls': return relativistic(fake, real());
  }
}
