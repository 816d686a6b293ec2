/**
 * ImageNet classifiers, their convolutions only, as feature extractors for losses: torchvision's layers under torchvision's names, so that its weight files
 * fit. VGG: Simonyan and Zisserman 2015; AlexNet in one column: Krizhevsky 2014; SqueezeNet 1.1: Iandola et al. 2016. Frozen.
 */
import { Conv2d, Module, cat, maxPool2d, relu, type Tensor } from '@unshake/libtorch';

export const backboneNames = ['vgg16', 'vgg19', 'alexnet', 'squeezenet1_1'] as const;
export type BackboneName = (typeof backboneNames)[number];

interface Layer extends Module { forward(x: Tensor): Tensor }

class ReLU extends Module implements Layer {
  forward(x: Tensor): Tensor { return relu(x); }
}

class MaxPool2d extends Module implements Layer {
  readonly #options;
  constructor(kernel: number, { ceilMode = false }: { ceilMode?: boolean } = {}) { super(); this.#options = { kernel: [kernel, kernel], stride: [2, 2], ceilMode }; }
  forward(x: Tensor): Tensor { return maxPool2d(x, this.#options); }
}

/** A 1×1 convolution to few channels; beside each other, a 1×1 and a 3×3 one back to many. */
class Fire extends Module implements Layer {
  squeeze; expand1x1; expand3x3;

  constructor(channels: number, squeezed: number, expanded: number) {
    super();
    this.squeeze = new Conv2d(channels, squeezed, 1);
    this.expand1x1 = new Conv2d(squeezed, expanded, 1);
    this.expand3x3 = new Conv2d(squeezed, expanded, 3, { padding: 1 });
  }

  forward(x: Tensor): Tensor {
    const squeezed = relu(this.squeeze.forward(x));
    return cat([relu(this.expand1x1.forward(squeezed)), relu(this.expand3x3.forward(squeezed))], 1);
  }
}

/** Layers that aren't wanted are not made. */
type Recipe = readonly (() => Layer)[];

const conv = (from: number, to: number, kernel: number, options: { stride?: number; padding?: number } = {}) => (): Layer => new Conv2d(from, to, kernel, options);
const pool = (kernel: number, options?: { ceilMode: boolean }) => (): Layer => new MaxPool2d(kernel, options);
const fire = (channels: number, squeezed: number, expanded: number) => (): Layer => new Fire(channels, squeezed, expanded);
const activation = (): Layer => new ReLU();

/** So many convolutions in each block; a pooling layer between blocks. */
const vgg = (blocks: readonly number[]): Recipe => blocks.flatMap((count, block) => [
  ...Array.from({ length: count }, (_, i) => [conv(i > 0 ? Math.min(512, 64 << block) : block === 0 ? 3 : Math.min(512, 32 << block), Math.min(512, 64 << block), 3, { padding: 1 }), activation]).flat(),
  pool(2),
]);

const recipes: Record<BackboneName, Recipe> = {
  vgg16: vgg([2, 2, 3, 3, 3]),
  vgg19: vgg([2, 2, 4, 4, 4]),
  alexnet: [
    conv(3, 64, 11, { stride: 4, padding: 2 }), activation, pool(3), conv(64, 192, 5, { padding: 2 }), activation, pool(3),
    conv(192, 384, 3, { padding: 1 }), activation, conv(384, 256, 3, { padding: 1 }), activation, conv(256, 256, 3, { padding: 1 }), activation, pool(3),
  ],
  squeezenet1_1: [
    conv(3, 64, 3, { stride: 2 }), activation, pool(3, { ceilMode: true }), fire(64, 16, 64), fire(128, 16, 64), pool(3, { ceilMode: true }), fire(128, 32, 128), fire(256, 32, 128),
    pool(3, { ceilMode: true }), fire(256, 48, 192), fire(384, 48, 192), fire(384, 64, 256), fire(512, 64, 256),
  ],
};

/** Every network here has something left of this many pixels a side. */
const smallest = 32;

export class Backbone extends Module {
  features: Layer[];

  /** Up to layer `last` of torchvision's `features`; what comes after isn't made. Weights are as at the start of a training: load some. */
  constructor(readonly name: BackboneName, { last = Infinity }: { last?: number } = {}) {
    super();
    this.features = recipes[name].slice(0, last + 1).map((make) => make());
    for (const [, weight] of this.namedTensors()) weight.setRequiresGrad(false);
  }

  /**
   * N, 3, H, W, normalised as torchvision does or as the caller wants → the outputs of the layers `taps`, which count up. Throws RangeError under 32 pixels.
   */
  forward(x: Tensor, taps: readonly number[]): Tensor[] {
    const [, , height, width] = x.shape;
    if (Math.min(height, width) < smallest) throw new RangeError(`${this.name} needs crops of ${smallest} pixels or more, received ${width}×${height}`);
    const outputs: Tensor[] = [];
    let features = x;
    for (const [i, layer] of this.features.entries()) {
      features = layer.forward(features);
      if (taps.includes(i)) outputs.push(features);
    }
    return outputs;
  }
}
