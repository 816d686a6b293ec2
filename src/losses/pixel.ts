/** Losses between generated and sharp pixels, means over all of N, C, H, W, in the range of the inputs. */
import { addScalar, l1Loss, mean, mseLoss, sqrt, square, sub, type Tensor } from '@unshake/libtorch';

export type PixelLoss = 'l1' | 'mse' | 'charbonnier';

/** `charbonnier` is √(d² + ε²) with ε 1e-3 (Lai et al., LapSRN, CVPR 2017): L1 without the kink. */
export function pixelLoss(type: PixelLoss, generated: Tensor, sharp: Tensor): Tensor {
  switch (type) {
    case 'l1': return l1Loss(generated, sharp);
    case 'mse': return mseLoss(generated, sharp);
    case 'charbonnier': return mean(sqrt(addScalar(square(sub(generated, sharp)), 1e-6)));
  }
}
