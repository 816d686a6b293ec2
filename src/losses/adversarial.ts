/** Adversarial losses on logits: real = D(B, S), fake = D(B, G(B)). Means over the patch map. */
import { add, bceWithLogits, mulScalar, type Tensor } from '@unshake/libtorch';

/** What the discriminator minimises: ½ [BCE(real, 1) + BCE(fake, 0)] (DGF's released code; Goodfellow et al. 2014). */
export function discriminatorLoss(real: Tensor, fake: Tensor): Tensor {
  return mulScalar(add(bceWithLogits(real, 1), bceWithLogits(fake, 0)), 0.5);
}

/** What the generator minimises: BCE(fake, 1), the non-saturating form. */
export function generatorLoss(fake: Tensor): Tensor { return bceWithLogits(fake, 1); }
