/** The critics: the paper's conditional patch discriminator, and the report's unconditional one. Both return logits unless said. */
import { BatchNorm2d, Conv2d, InstanceNorm2d, Linear, Module, cat, instanceNormLeakyRelu, leakyRelu, mean, narrow, permute, reshape, sigmoid, type Tensor } from '@unshake/libtorch';
import type { Discriminator } from './index.js';

/** A place in a list of layers, so that names count as in PyTorch's Sequential. */
class LeakyReLU extends Module {
  forward(x: Tensor): Tensor { return leakyRelu(x, 0.2); }
}

/**
 * The authors' released discriminator: blurry image and candidate, stacked to 6 channels, through four 4×4 convolutions of stride 2
 * and one of stride 1. Receptive field 94×94; 256×256 → 15×15 logits. 1,561,105 parameters at ndf 48.
 */
export class PatchDiscriminator extends Module implements Discriminator {
  net: (Conv2d | BatchNorm2d | InstanceNorm2d | LeakyReLU)[];

  constructor({ ndf = 48, norm = 'batch' }: { ndf?: number; norm?: 'batch' | 'instance' } = {}) {
    super();
    const channels = [6, ndf, 2 * ndf, 4 * ndf, 8 * ndf];
    this.net = [];
    for (let i = 0; i < 4; i++) {
      this.net.push(new Conv2d(channels[i], channels[i + 1], 4, { stride: 2, padding: 1 }));
      if (i > 0) this.net.push(norm === 'batch' ? new BatchNorm2d(channels[i + 1]) : new InstanceNorm2d());
      this.net.push(new LeakyReLU());
    }
    this.net.push(new Conv2d(channels[4], 1, 4, { padding: 1 }));
  }

  /** Blur and candidate N, 3, H, W → N, 1, h, w logits. Throws RangeError under 32 pixels, where nothing would be left. */
  forward(blur: Tensor, candidate: Tensor): Tensor {
    const [, , height, width] = candidate.shape;
    if (Math.min(height, width) < 32) throw new RangeError(`the patch discriminator needs crops of 32 pixels or more, received ${width}×${height}`);
    return this.logits(cat([blur, candidate], 1));
  }

  /** The layers alone, on 6 channels. */
  logits(pairs: Tensor): Tensor { return this.net.reduce((x, layer) => layer.forward(x), pairs); }
}

const patch = 32;

/**
 * The report's discriminator, unconditional, on 32×32 patches: three 3×3 convolutions of stride 2 with instance norm, a linear layer; the mean over patches.
 * `as-coded`: a 4×4 grid of step 32, so that only the top left 128×128 is ever seen, and a sigmoid (on which the report's BCE puts a second one).
 * `as-meant`: the grid covers the whole image, and the result is a logit. 75,649 parameters either way.
 */
export class ReportDiscriminator extends Module implements Discriminator {
  convs; fc;
  readonly #fidelity;

  constructor({ fidelity = 'as-meant' }: { fidelity?: 'as-coded' | 'as-meant' } = {}) {
    super();
    this.#fidelity = fidelity;
    this.convs = [[3, 32], [32, 64], [64, 96]].map(([from, to]) => new Conv2d(from, to, 3, { stride: 2 }));
    this.fc = new Linear(96 * 3 * 3, 1);
  }

  /** The candidate, N, 3, H, W → N, 1; `blur` is not looked at. */
  forward(_blur: Tensor, candidate: Tensor): Tensor {
    const [n, , height, width] = candidate.shape;
    const coded = this.#fidelity === 'as-coded';
    const rows = coded ? 4 : Math.floor(height / patch), columns = coded ? 4 : Math.floor(width / patch);
    if (height < rows * patch || width < columns * patch || rows === 0 || columns === 0) {
      throw new RangeError(`the report's discriminator (${this.#fidelity}) needs crops of ${coded ? 128 : patch} pixels or more, received ${width}×${height}`);
    }
    const window = narrow(narrow(candidate, 2, 0, rows * patch), 3, 0, columns * patch);
    let x = reshape(permute(reshape(window, [n, 3, rows, patch, columns, patch]), [0, 2, 4, 1, 3, 5]), [n * rows * columns, 3, patch, patch]);
    for (const conv of this.convs) x = instanceNormLeakyRelu(conv.forward(x), { negativeSlope: 0.2 }); // 32 → 15 → 7 → 3
    const score = this.fc.forward(reshape(x, [n * rows * columns, -1]));
    return mean(reshape(coded ? sigmoid(score) : score, [n, rows * columns]), [1], { keepDim: true });
  }
}
