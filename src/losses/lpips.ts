/**
 * LPIPS v0.1: Zhang, Isola, Efros, Shechtman, Wang, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018; the arithmetic
 * of richzhang/PerceptualSimilarity. It is LPIPS with the official weights only, of the backbone and of the linear heads.
 */
import { Module, add, buffer, conv2d, div, mean, square, sub, tensor, unitNormalize, zeros, type Tensor } from '@unshake/libtorch';
import { Backbone, type BackboneName } from './backbones.js';

export const lpipsNetworks = ['alex', 'vgg', 'squeeze'] as const;
export type LpipsNetwork = (typeof lpipsNetworks)[number];

/** The backbone; the layers of its `features` that are compared, ReLUs or what ends in them; their channels. */
const networks: Record<LpipsNetwork, { backbone: BackboneName; taps: readonly number[]; channels: readonly number[] }> = {
  alex: { backbone: 'alexnet', taps: [1, 4, 7, 9, 11], channels: [64, 192, 384, 256, 256] },
  vgg: { backbone: 'vgg16', taps: [3, 8, 15, 22, 29], channels: [64, 128, 256, 512, 512] },
  squeeze: { backbone: 'squeezenet1_1', taps: [1, 4, 7, 9, 10, 11, 12], channels: [64, 128, 256, 384, 384, 512, 512] },
};

export const backboneOf = (network: LpipsNetwork): BackboneName => networks[network].backbone;

/** The features that LPIPS compares: of pictures in [−1, 1], brought to the backbone's range, each pixel's channels as a unit vector. */
export class LpipsFeatures extends Module {
  net: Backbone;
  readonly taps;
  readonly channels;
  shift: Tensor;
  scale: Tensor;

  constructor(network: LpipsNetwork) {
    super();
    const { backbone, taps, channels } = networks[network];
    this.taps = taps;
    this.channels = channels;
    this.net = new Backbone(backbone, { last: taps[taps.length - 1] });
    this.shift = buffer(() => tensor([-0.03, -0.088, -0.188], [1, 3, 1, 1]));
    this.scale = buffer(() => tensor([0.458, 0.448, 0.45], [1, 3, 1, 1]));
  }

  /** N, 3, H, W in [−1, 1] → as the backbone was trained to see it (the scaling layer). */
  prepare(x: Tensor): Tensor { return div(sub(x, this.shift), this.scale); }

  /** The same → the backbone's layers, not yet normalised. */
  forward(x: Tensor): Tensor[] { return this.net.forward(this.prepare(x), this.taps); }
}

/** A weight a channel, 1, C, 1, 1, not negative. */
class Head extends Module {
  weight: Tensor;
  constructor(channels: number) { super(); this.weight = buffer(() => zeros([1, channels, 1, 1])); }
}

export class Lpips extends Module {
  features: LpipsFeatures;
  lins: Head[];

  constructor(network: LpipsNetwork) {
    super();
    this.features = new LpipsFeatures(network);
    this.lins = this.features.channels.map((channels) => new Head(channels));
  }

  /** What each layer adds to the distance: N, 1, 1, 1 a layer. `a`, `b`: results of `features.forward`, float32 or float64. */
  layers(a: readonly Tensor[], b: readonly Tensor[]): Tensor[] {
    return a.map((features, i) => mean(conv2d(square(sub(unitNormalize(features), unitNormalize(b[i]))), this.lins[i].weight), [2, 3], { keepDim: true }));
  }

  /** Two batches of pictures in [−1, 1] → their distances, N, 1, 1, 1. */
  forward(a: Tensor, b: Tensor): Tensor { return this.layers(this.features.forward(a), this.features.forward(b)).reduce((total, layer) => add(total, layer)); }
}
