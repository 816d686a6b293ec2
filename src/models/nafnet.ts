/**
 * NAFNet (Chen et al., "Simple Baselines for Image Restoration", ECCV 2022), layer for layer and name for name as in megvii-research/NAFNet,
 * so that its published weights load (weights/nafnet.ts). The best of the plain networks on GoPro's pairs when it came out.
 *
 * Its channel attention averages over the picture, as the authors' NAFNetLocal does: over windows half as large again as the crops that it was
 * trained on (Chu et al., "Improving Image Restoration by Revisiting Global Information Aggregation", ECCV 2022: 0.6 dB on GoPro), which are the
 * whole of such crops. Windows overlap from block to block, so it is run on whole pictures.
 */
import { Conv2d, LayerNorm2d, Module, add, chunk, localMean2d, mean, mul, parameter, pixelShuffle, zeros, type Tensor } from '@unshake/libtorch';
import type { Generator } from './index.js';

/** Half of the channels times the other half. */
function simpleGate(x: Tensor): Tensor {
  const [a, b] = chunk(x, 2, 1);
  return mul(a, b);
}

/**
 * "Simplified channel attention": channels times a 1×1 convolution of their means, over windows or the whole. In PyTorch a Sequential of pooling, 0,
 * and convolution, 1.
 */
class ChannelAttention extends Module {
  1: Conv2d;
  readonly #window: number | null;

  constructor(channels: number, window: number | null) {
    super();
    this[1] = new Conv2d(channels, channels, 1);
    this.#window = window;
  }

  forward(x: Tensor): Tensor {
    const means = this.#window === null ? mean(x, [2, 3], { keepDim: true }) : localMean2d(x, this.#window);
    return mul(x, this[1].forward(means));
  }
}

/** NAFNet's block: N, c, H, W → the same, at first the identity. Without `attention`, an output pixel depends on the 3×3 around it. */
export class NafBlock extends Module {
  norm1; conv1; conv2; sca; conv3; norm2; conv4; conv5; beta; gamma;

  constructor(channels: number, { attention = true, window = null }: { attention?: boolean; window?: number | null } = {}) {
    super();
    this.norm1 = new LayerNorm2d(channels);
    this.conv1 = new Conv2d(channels, 2 * channels, 1);
    this.conv2 = new Conv2d(2 * channels, 2 * channels, 3, { padding: 1, groups: 2 * channels });
    this.sca = attention ? new ChannelAttention(channels, window) : null;
    this.conv3 = new Conv2d(channels, channels, 1);
    this.norm2 = new LayerNorm2d(channels);
    this.conv4 = new Conv2d(channels, 2 * channels, 1);
    this.conv5 = new Conv2d(channels, channels, 1);
    this.beta = parameter(() => zeros([1, channels, 1, 1]));
    this.gamma = parameter(() => zeros([1, channels, 1, 1]));
  }

  forward(x: Tensor): Tensor {
    const gated = simpleGate(this.conv2.forward(this.conv1.forward(this.norm1.forward(x))));
    const y = add(x, mul(this.conv3.forward(this.sca ? this.sca.forward(gated) : gated), this.beta));
    return add(y, mul(this.conv5.forward(simpleGate(this.conv4.forward(this.norm2.forward(y)))), this.gamma));
  }
}

/** In PyTorch a Sequential of convolution, 0, and pixel-shuffle, 1. */
class Up extends Module {
  0: Conv2d;

  constructor(channels: number) {
    super();
    this[0] = new Conv2d(channels, 2 * channels, 1, { bias: false });
  }

  forward(x: Tensor): Tensor { return pixelShuffle(this[0].forward(x), 2); }
}

export interface NafnetOptions {
  /** Channels at full resolution; doubled at each scale below. */
  width?: number;
  /** Blocks at each scale on the way down. */
  encoder?: readonly number[];
  /** Blocks at the lowest scale. */
  middle?: number;
  /** Blocks at each scale on the way up, the lowest first; as many scales as the encoder's. */
  decoder?: readonly number[];
  /** Side of the windows that the attention averages over, in pixels of the picture; null: the whole picture. NAFNetLocal's is 1.5 × the training crop's. */
  window?: number | null;
}

/** One block after the other. */
export const through = (blocks: readonly { forward(x: Tensor): Tensor }[], x: Tensor): Tensor => blocks.reduce((y, block) => block.forward(y), x);
const total = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/** N, 3, H, W in [0, 1] → the same; H and W multiples of 2 to the number of scales. 17,111,907 parameters with the defaults, the smaller network of the paper on GoPro. */
export class Nafnet extends Module implements Generator {
  intro; ending; encoders; decoders; middle_blks; ups; downs;
  readonly range = 'unit';
  readonly multiple: number;
  readonly whole = true;
  readonly receptiveRadius: number;

  constructor({ width = 32, encoder = [1, 1, 1, 28], middle = 1, decoder = [1, 1, 1, 1], window = 384 }: NafnetOptions = {}) {
    super();
    const scales = encoder.length, at = (scale: number): number => width * 2 ** scale;
    const blocks = (count: number, scale: number): NafBlock[] => {
      const shrunk = window === null ? null : Math.max(1, Math.floor(window / 2 ** scale));
      return Array.from({ length: count }, () => new NafBlock(at(scale), { window: shrunk }));
    };
    this.multiple = 2 ** scales;
    this.intro = new Conv2d(3, width, 3, { padding: 1 });
    this.ending = new Conv2d(width, 3, 3, { padding: 1 });
    this.encoders = encoder.map((count, scale) => blocks(count, scale));
    this.decoders = decoder.map((count, i) => blocks(count, scales - 1 - i));
    this.middle_blks = blocks(middle, scales);
    this.ups = decoder.map((_, i) => new Up(at(scales - i)));
    this.downs = encoder.map((_, scale) => new Conv2d(at(scale), at(scale + 1), 2, { stride: 2 }));
    // Of the convolutions; the attention sees everything.
    this.receptiveRadius = 2 + total(encoder.map((count, scale) => 2 ** scale * (count + decoder[scales - 1 - scale] + 1))) + this.multiple * middle;
  }

  forward(x: Tensor): Tensor {
    const skips: Tensor[] = [];
    let y = this.intro.forward(x);
    for (const [scale, blocks] of this.encoders.entries()) {
      skips.push(through(blocks, y));
      y = this.downs[scale].forward(skips[scale]);
    }
    y = through(this.middle_blks, y);
    for (const [i, blocks] of this.decoders.entries()) y = through(blocks, add(this.ups[i].forward(y), skips[skips.length - 1 - i]));
    return add(this.ending.forward(y), x);
  }
}
