/**
 * The default network: a residual encoder–decoder that works at half resolution.
 *
 * pixel-unshuffle 2 → three scales of plain residual blocks (3×3 → LeakyReLU → 3×3, no norm) → pixel-shuffle 2 → added to the input.
 * No norm and no pooling over the image, so that a tile equals the whole. After NAFNet (Chen et al., ECCV 2022): the layout, stride-2
 * convolutions down, 1×1 + pixel-shuffle up, additive skips. Unlike it, no attention and no gates: on a CPU, two wide convolutions cost less than many elementwise passes.
 */
import { Conv2d, Module, add, fill_, leakyRelu, mulScalar_, noGrad, pixelShuffle, pixelUnshuffle, type Tensor } from '@unshake/libtorch';
import type { Generator } from './index.js';

class ResidualBlock extends Module {
  c1; c2;

  constructor(channels: number) {
    super();
    this.c1 = new Conv2d(channels, channels, 3, { padding: 1 });
    this.c2 = new Conv2d(channels, channels, 3, { padding: 1 });
    noGrad(() => mulScalar_(this.c2.weight, 0.3)); // near the identity at first: without norms, deep sums would grow
  }

  forward(x: Tensor): Tensor { return add(x, this.c2.forward(leakyRelu(this.c1.forward(x), 0.1))); }
}

const blocks = (count: number, channels: number): ResidualBlock[] => Array.from({ length: count }, () => new ResidualBlock(channels));
const through = (list: readonly ResidualBlock[], x: Tensor): Tensor => list.reduce((y, block) => block.forward(y), x);

export interface ResidualUNetOptions {
  /** Channels at half resolution; doubled at each scale below. */
  width?: number;
  /** Residual blocks at half, quarter and eighth resolution; the first two stand in encoder and decoder. */
  blocks?: readonly [number, number, number];
}

/** N, 3, H, W in [0, 1] → the same; H and W multiples of 8. 4.9 million parameters and 155 kMACs a pixel at width 48, blocks 2 2 6. */
export class ResidualUNet extends Module implements Generator {
  intro; encoder1; down1; encoder2; down2; middle; up2; decoder2; up1; decoder1; ending;
  readonly range = 'unit';
  readonly multiple = 8;
  readonly whole = false;
  readonly receptiveRadius: number;

  constructor({ width = 48, blocks: [first, second, third] = [2, 2, 6] }: ResidualUNetOptions = {}) {
    super();
    this.intro = new Conv2d(12, width, 3, { padding: 1 });
    this.encoder1 = blocks(first, width);
    this.down1 = new Conv2d(width, 2 * width, 2, { stride: 2 });
    this.encoder2 = blocks(second, 2 * width);
    this.down2 = new Conv2d(2 * width, 4 * width, 2, { stride: 2 });
    this.middle = blocks(third, 4 * width);
    this.up2 = new Conv2d(4 * width, 8 * width, 1, { bias: false });
    this.decoder2 = blocks(second, 2 * width);
    this.up1 = new Conv2d(2 * width, 4 * width, 1, { bias: false });
    this.decoder1 = blocks(first, width);
    this.ending = new Conv2d(width, 12, 3, { padding: 1 });
    noGrad(() => { fill_(this.ending.weight, 0); fill_(this.ending.bias!, 0); }); // training starts at output = input
    // Two 3×3 convolutions a block, one pixel each, at scales of 2, 4 and 8 pixels; and one cell of each grid for where it starts.
    this.receptiveRadius = 2 * (2 + 4 * first) + 4 * (4 * second) + 8 * (2 * third) + 2 + 4 + 8;
  }

  forward(x: Tensor): Tensor {
    const half = through(this.encoder1, this.intro.forward(pixelUnshuffle(x, 2))); //        N, w, H/2, W/2
    const quarter = through(this.encoder2, this.down1.forward(half)); //                     N, 2w, H/4, W/4
    const eighth = through(this.middle, this.down2.forward(quarter)); //                     N, 4w, H/8, W/8
    const quarterUp = through(this.decoder2, add(pixelShuffle(this.up2.forward(eighth), 2), quarter));
    const halfUp = through(this.decoder1, add(pixelShuffle(this.up1.forward(quarterUp), 2), half));
    return add(x, pixelShuffle(this.ending.forward(halfUp), 2));
  }
}
