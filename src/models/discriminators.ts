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
 * The report's discriminator, unconditional, on 32×32 patches: three 3×3 convolutions of stride 2 with norm and LeakyReLU, a linear layer; the mean over patches.
 * 75,649 parameters with instance norm. The report's program has two slips: its grid is 4×4 patches whatever the picture's size (`patches: 'top-left'`), so that
 * only the top left 128×128 is ever seen, and a sigmoid stands before the mean (`sigmoid`), on which its loss puts a second one.
 */
export class ReportDiscriminator extends Module implements Discriminator {
  convs; norms; fc;
  readonly #options;

  constructor({ norm = 'instance', patches = 'all', sigmoid: ends = false }: { norm?: 'batch' | 'instance'; patches?: 'all' | 'top-left'; sigmoid?: boolean } = {}) {
    super();
    this.#options = { patches, ends };
    const channels = [3, 32, 64, 96];
    this.convs = [0, 1, 2].map((i) => new Conv2d(channels[i], channels[i + 1], 3, { stride: 2 }));
    this.norms = norm === 'batch' ? channels.slice(1).map((count) => new BatchNorm2d(count)) : null;
    this.fc = new Linear(96 * 3 * 3, 1);
  }

  /** The candidate, N, 3, H, W → N, 1; `blur` is not looked at. */
  forward(_blur: Tensor, candidate: Tensor): Tensor {
    const [n, , height, width] = candidate.shape;
    const { patches, ends } = this.#options;
    const corner = patches === 'top-left';
    const rows = corner ? 4 : Math.floor(height / patch), columns = corner ? 4 : Math.floor(width / patch);
    if (height < rows * patch || width < columns * patch || rows === 0 || columns === 0) {
      throw new RangeError(`the report's discriminator (patches: ${patches}) needs crops of ${corner ? 128 : patch} pixels or more, received ${width}×${height}`);
    }
    const window = narrow(narrow(candidate, 2, 0, rows * patch), 3, 0, columns * patch);
    let x = reshape(permute(reshape(window, [n, 3, rows, patch, columns, patch]), [0, 2, 4, 1, 3, 5]), [n * rows * columns, 3, patch, patch]);
    this.convs.forEach((conv, i) => { // 32 → 15 → 7 → 3
      const features = conv.forward(x);
      x = this.norms ? leakyRelu(this.norms[i].forward(features), 0.2) : instanceNormLeakyRelu(features, { negativeSlope: 0.2 });
    });
    const score = this.fc.forward(reshape(x, [n * rows * columns, -1]));
    return mean(reshape(ends ? sigmoid(score) : score, [n, rows * columns]), [1], { keepDim: true });
  }
}
