/** The networks by their settings. A new one is a file beside this, a case in a union, and a case in a switch. */
import { Module, addScalar, clamp, mulScalar, type Tensor } from '@unshake/libtorch';
import type { Random } from '../random.js';
import { PaperGenerator, ReportGenerator, type Norm } from './deep-generative-filter.js';
import { Diffusion, type DiffusionOptions } from './diffusion.js';
import { PatchDiscriminator, ReportDiscriminator } from './discriminators.js';
import { Nafnet, type NafnetOptions } from './nafnet.js';
import { ResidualUNet, type ResidualUNetOptions } from './residual-unet.js';

/** An image-to-image network, and what tiling and export must know of it. */
export interface Generator extends Module {
  /** N, 3, H, W → the same, in `range`. */
  forward(x: Tensor): Tensor;
  /** Values in and out: [−1, 1] or [0, 1]. */
  readonly range: 'signed' | 'unit';
  /** Height and width must be multiples of this. */
  readonly multiple: number;
  /** True when the output depends on statistics of the whole image, so that it may not be tiled. */
  readonly whole: boolean;
  /** How many pixels around an output pixel can change it. */
  readonly receptiveRadius: number;
  /** True when it starts from noise, which an exported graph can't draw. */
  readonly drawsNoise?: boolean;
  /** In training, instead of `forward`, where those differ: what it takes for the sharp picture, having been shown something of it. */
  guess?(blur: Tensor, sharp: Tensor, randoms: readonly Random[]): Tensor;
}

/** Judges a candidate given the blurry image. */
export interface Discriminator extends Module {
  forward(blur: Tensor, candidate: Tensor): Tensor;
}

export type GeneratorConfig =
  | { type: 'dgf-paper'; rate: number; norm: Norm; dropout: number }
  | { type: 'dgf-report'; rate: number; norm: Norm; range?: 'signed' | 'unit' }
  | ({ type: 'residual-unet' } & ResidualUNetOptions)
  | ({ type: 'nafnet' } & NafnetOptions)
  | ({ type: 'diffusion' } & DiffusionOptions);

export type DiscriminatorConfig =
  | { type: 'patch'; ndf: number; norm: Norm }
  | { type: 'report'; norm: Norm; patches: 'all' | 'top-left'; sigmoid: boolean };

export function makeGenerator(config: GeneratorConfig): Generator {
  switch (config.type) {
    case 'dgf-paper': return new PaperGenerator(config);
    case 'dgf-report': return new ReportGenerator(config);
    case 'residual-unet': return new ResidualUNet(config);
    case 'nafnet': return new Nafnet(config);
    case 'diffusion': return new Diffusion(config);
  }
}

export function makeDiscriminator(config: DiscriminatorConfig): Discriminator {
  switch (config.type) {
    case 'patch': return new PatchDiscriminator(config);
    case 'report': return new ReportDiscriminator(config);
  }
}

/** [0, 1] → the generator's range. */
export function toRange(x: Tensor, range: Generator['range']): Tensor { return range === 'signed' ? addScalar(mulScalar(x, 2), -1) : x; }

/** The generator's range → [0, 1], not clamped. */
export function fromRange(x: Tensor, range: Generator['range']): Tensor { return range === 'signed' ? addScalar(mulScalar(x, 0.5), 0.5) : x; }

/** What deblurring does: [0, 1] in, [0, 1] out, clamped. N, 3, H, W with H and W multiples of `generator.multiple`. */
export function restore(generator: Generator, image: Tensor): Tensor {
  return clamp(fromRange(generator.forward(toRange(image, generator.range)), generator.range), 0, 1);
}
