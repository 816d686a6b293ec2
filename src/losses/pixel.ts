/** Losses between generated and sharp pixels, means over all of N, C, H, W, in the range of the inputs. */
import { abs, addScalar, l1Loss, log, mean, mseLoss, mulScalar, rfft2, sqrt, square, sub, type Tensor } from '@unshake/libtorch';

export type PixelLoss = 'l1' | 'mse' | 'charbonnier' | 'psnr';

/**
 * `charbonnier` is √(d² + ε²) with ε 1e-3 (Lai et al., LapSRN, CVPR 2017): L1 without the kink. `psnr` is NAFNet's PSNRLoss: each picture's
 * −PSNR in dB where the range is [0, 1], so that pictures with little blur weigh as much as those with much; it is negative.
 */
export function pixelLoss(type: PixelLoss, generated: Tensor, sharp: Tensor): Tensor {
  switch (type) {
    case 'l1': return l1Loss(generated, sharp);
    case 'mse': return mseLoss(generated, sharp);
    case 'psnr': return mulScalar(mean(log(addScalar(mean(square(sub(generated, sharp)), [1, 2, 3]), 1e-8))), 10 / Math.LN10);
    case 'charbonnier': return mean(sqrt(addScalar(square(sub(generated, sharp)), 1e-6)));
  }
}

/**
 * Mean |real part| and |imaginary part| of the difference's Fourier transform, N, C, H, W, float32. After Cho et al. (MIMO-UNet, ICCV 2021),
 * but orthonormal, so that its gradient is as large as L1's whatever the size of the picture; theirs, 0.1 × the sum, is some 26 × this at 256×256.
 * Errors of all frequencies weigh the same, where in pixels the low ones, which are the largest, have most of the weight.
 */
export const fourierLoss = (generated: Tensor, sharp: Tensor): Tensor => mean(abs(rfft2(sub(generated, sharp))));
