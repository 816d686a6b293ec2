/**
 * The default network: a residual encoder–decoder that works at half or, as in the shipped model, a quarter of the resolution.
 *
 * pixel-unshuffle → three scales of residual blocks → pixel-shuffle → added to the input. No statistics over the image, so that a tile
 * equals the whole. After NAFNet (Chen et al., ECCV 2022): the layout, stride-2 convolutions down, 1×1 + pixel-shuffle up, additive
 * skips. Its blocks are there too, for comparison: on a CPU, two wide convolutions cost less than NAFNet's many elementwise passes
 * (docs/results/default-model.md).
 */
import { Conv2d, Module, add, fill_, leakyRelu, mulScalar_, noGrad, pixelShuffle, pixelUnshuffle, type Tensor } from '@unshake/libtorch';
import type { Generator } from './index.js';
import { NafBlock, through } from './nafnet.js';

/** Maps N, C, H, W to the same; what an output pixel depends on lies within the `reach` of its kind, in pixels. */
interface Block extends Module { forward(x: Tensor): Tensor }

/** 3×3 → LeakyReLU → 3×3, added to what came in; no norm. */
class PlainBlock extends Module implements Block {
  c1; c2;

  constructor(channels: number) {
    super();
    this.c1 = new Conv2d(channels, channels, 3, { padding: 1 });
    this.c2 = new Conv2d(channels, channels, 3, { padding: 1 });
    noGrad(() => mulScalar_(this.c2.weight, 0.3)); // near the identity at first: without norms, deep sums would grow
  }

  forward(x: Tensor): Tensor { return add(x, this.c2.forward(leakyRelu(this.c1.forward(x), 0.1))); }
}

const kinds = {
  plain: { reach: 2, make: (channels: number): Block => new PlainBlock(channels) },
  naf: { reach: 1, make: (channels: number): Block => new NafBlock(channels, { attention: false }) }, // its attention averages over the image
};

export interface ResidualUNetOptions {
  /** Channels at the highest resolution inside; doubled at each scale below. */
  width?: number;
  /** Residual blocks at the three scales; the first two stand in encoder and decoder. */
  blocks?: readonly [number, number, number];
  /** Factor of the pixel-unshuffle: 2 puts the scales at 1/2, 1/4 and 1/8 of the picture, 4 at 1/4, 1/8 and 1/16. */
  shuffle?: 2 | 4;
  block?: keyof typeof kinds;
  /** Pictures that it sees, one after the other in the channels; it answers with one. */
  pictures?: number;
}

/** N, 3, H, W in [0, 1] → the same; H and W multiples of 4 · shuffle. 5.0 million parameters and 152 kMACs a pixel with the defaults. */
export class ResidualUNet extends Module implements Generator {
  intro; encoder1; down1; encoder2; down2; middle; up2; decoder2; up1; decoder1; ending;
  readonly range = 'unit';
  readonly multiple: number;
  readonly whole = false;
  readonly receptiveRadius: number;
  readonly #shuffle: number;

  constructor({ width = 48, blocks: [first, second, third] = [2, 2, 6], shuffle = 2, block = 'plain', pictures = 1 }: ResidualUNetOptions = {}) {
    super();
    const blocks = (count: number, channels: number): Block[] => Array.from({ length: count }, () => kinds[block].make(channels));
    const pixels = 3 * shuffle ** 2;
    this.#shuffle = shuffle;
    this.multiple = 4 * shuffle;
    this.intro = new Conv2d(pictures * pixels, width, 3, { padding: 1 });
    this.encoder1 = blocks(first, width);
    this.down1 = new Conv2d(width, 2 * width, 2, { stride: 2 });
    this.encoder2 = blocks(second, 2 * width);
    this.down2 = new Conv2d(2 * width, 4 * width, 2, { stride: 2 });
    this.middle = blocks(third, 4 * width);
    this.up2 = new Conv2d(4 * width, 8 * width, 1, { bias: false });
    this.decoder2 = blocks(second, 2 * width);
    this.up1 = new Conv2d(2 * width, 4 * width, 1, { bias: false });
    this.decoder1 = blocks(first, width);
    this.ending = new Conv2d(width, pixels, 3, { padding: 1 });
    noGrad(() => { fill_(this.ending.weight, 0); fill_(this.ending.bias!, 0); }); // training starts at output = input
    // The blocks' 3×3 convolutions and the first and last one at their scales; and one cell of each grid for where it starts.
    const { reach } = kinds[block];
    this.receptiveRadius = shuffle * (2 + reach * (2 * first + 2 * (2 * second) + 4 * third) + 1 + 2 + 4);
  }

  forward(x: Tensor): Tensor { return add(x, this.correction(x)); }

  /** What is added to the picture. `shifts` are added where each scale begins, 1 or N, C, 1, 1 each: diffusion tells the time by them. */
  correction(x: Tensor, shifts?: readonly Tensor[]): Tensor { // comments: with shuffle 2
    const shifted = (y: Tensor, scale: number): Tensor => (shifts ? add(y, shifts[scale]) : y);
    const half = through(this.encoder1, shifted(this.intro.forward(pixelUnshuffle(x, this.#shuffle)), 0)); // N, w, H/2, W/2
    const quarter = through(this.encoder2, shifted(this.down1.forward(half), 1)); //                          N, 2w, H/4, W/4
    const eighth = through(this.middle, shifted(this.down2.forward(quarter), 2)); //                          N, 4w, H/8, W/8
    const quarterUp = through(this.decoder2, add(pixelShuffle(this.up2.forward(eighth), 2), quarter));
    const halfUp = through(this.decoder1, add(pixelShuffle(this.up1.forward(quarterUp), 2), half));
    return pixelShuffle(this.ending.forward(halfUp), this.#shuffle);
  }
}
