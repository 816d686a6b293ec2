/**
 * The Deep Generative Filter (Ramakrishnan, Pachori, Gangopadhyay, Raman: "Deep Generative Filter for Motion Deblurring",
 * ICCV Workshops 2017): head → densely connected field at full resolution → tail, with a skip from head to tail.
 *
 * Two variants. `paper`: the authors' released network (batch norm after each convolution, dilation 2 in every second layer, head *added*
 * to the tail). `report`: the student report's (instance norm before and after, dilations 2, 3, 2 in layers 3, 5, 7, head *concatenated*).
 * Images are in [−1, 1]. Parameter names are those of a plain PyTorch module, so weights interchange.
 *
 * Norm and LeakyReLU of a concatenation are the concatenation of norm and LeakyReLU, channel by channel. Where no weights depend
 * on the layer (paper: LeakyReLU; report with instance norm: both) each feature is therefore activated once, not once by every later layer,
 * and the whole field is one op.
 */
import { BatchNorm2d, Conv2d, Dropout, InstanceNorm2d, Module, PReLU, add, cat, denseLayers, leakyRelu, tanh, type DenseLayer, type Tensor } from '@unshake/libtorch';
import type { Generator } from './index.js';

export type Norm = 'batch' | 'instance';

const layerCount = 10;
const slope = 0.2;

const makeNorm = (norm: Norm, channels: number): BatchNorm2d | InstanceNorm2d => norm === 'batch' ? new BatchNorm2d(channels) : new InstanceNorm2d();

/** LeakyReLU → 1×1 (bottleneck) → norm → LeakyReLU → 3×3 → norm. */
class PaperLayer extends Module implements DenseLayer {
  c1; n1; c2; n2;

  constructor(channels: number, growth: number, width: number, readonly dilation: number, norm: Norm) {
    super();
    this.c1 = new Conv2d(channels, width, 1);
    this.n1 = makeNorm(norm, width);
    this.c2 = new Conv2d(width, growth, 3, { padding: dilation, dilation });
    this.n2 = makeNorm(norm, growth);
  }
}

/** N, 3, H, W in [−1, 1] → the same. 3,263,363 parameters at rate 64. */
export class PaperGenerator extends Module implements Generator {
  head; dense; tail; tn; dropout; o1; o2;
  readonly range = 'signed';
  readonly multiple = 1;
  readonly whole: boolean;
  /** 1 (head) + 5·1 + 5·2 (dense) + 1 + 1 (output). */
  readonly receptiveRadius = 18;

  constructor({ rate = 64, norm = 'batch', dropout = 0.5 }: { rate?: number; norm?: Norm; dropout?: number } = {}) {
    super();
    const width = 4 * rate;
    this.whole = norm === 'instance';
    this.head = new Conv2d(3, width, 3, { padding: 1 });
    this.dense = Array.from({ length: layerCount }, (_, k) => new PaperLayer(width + rate * k, rate, width, k % 2 === 0 ? 1 : 2, norm));
    this.tail = new Conv2d(width + rate * layerCount, width, 1);
    this.tn = makeNorm(norm, width);
    this.dropout = new Dropout(dropout);
    this.o1 = new Conv2d(width, rate, 3, { padding: 1 });
    this.o2 = new Conv2d(rate, 3, 3, { padding: 1 });
  }

  forward(x: Tensor): Tensor {
    const head = this.head.forward(x); // N, 4·rate, H, W
    const features = denseLayers(head, this.dense, { training: this.training, activateBottleneck: true }); // N, 14·rate, H, W
    const tail = this.dropout.forward(this.tn.forward(this.tail.forward(features)));
    return tanh(this.o2.forward(leakyRelu(this.o1.forward(add(tail, head)), slope)));
  }
}

/** (norm → LeakyReLU →) 1×1 (bottleneck) → norm → 3×3 → norm; no activation between the two convolutions, as in the report's code. */
class ReportLayer extends Module implements DenseLayer {
  n0; c1; n1; c2; n2;

  constructor(channels: number, rate: number, readonly dilation: number, norm: Norm) {
    super();
    // Batch norm has weights of its own in every layer; instance norm has none and is applied once a feature.
    this.n0 = norm === 'batch' ? new BatchNorm2d(channels) : null;
    this.c1 = new Conv2d(channels, 4 * rate, 1, { bias: false });
    this.n1 = makeNorm(norm, 4 * rate);
    this.c2 = new Conv2d(4 * rate, rate, 3, { padding: dilation, dilation, bias: false });
    this.n2 = makeNorm(norm, rate);
  }

  /** By itself, with batch norm. */
  forward(features: Tensor): Tensor {
    const activated = this.n0 ? leakyRelu(this.n0.forward(features), slope) : features;
    return this.n2.forward(this.c2.forward(this.n1.forward(this.c1.forward(activated))));
  }
}

/** N, 3, H, W in `range` → [−1, 1]. 768,384 parameters at rate 32 with instance norm. */
export class ReportGenerator extends Module implements Generator {
  head; layers; tail; tn; o1; act; o2;
  readonly #norm;
  readonly range;
  readonly multiple = 1;
  readonly whole: boolean;
  /** 1 (head) + 7·1 + 2 + 3 + 2 (dense) + 1 + 1 (output). */
  readonly receptiveRadius = 17;

  /** `range: 'unit'` is the report's slip: pictures in [0, 1], although tanh leaves [−1, 1]. */
  constructor({ rate = 32, norm = 'instance', range = 'signed' }: { rate?: number; norm?: Norm; range?: Generator['range'] } = {}) {
    super();
    this.#norm = norm;
    this.range = range;
    this.whole = norm === 'instance';
    const dilations: Record<number, number> = { 2: 2, 4: 3, 6: 2 };
    this.head = new Conv2d(3, 4 * rate, 3, { padding: 1 });
    this.layers = Array.from({ length: layerCount }, (_, k) => new ReportLayer((4 + k) * rate, rate, dilations[k] ?? 1, norm));
    this.tail = new Conv2d(rate, rate, 1, { bias: false });
    this.tn = makeNorm(norm, rate);
    this.o1 = new Conv2d(5 * rate, rate, 3, { padding: 1, bias: false });
    this.act = new PReLU(rate);
    this.o2 = new Conv2d(rate, 3, 3, { padding: 1, bias: false });
  }

  forward(x: Tensor): Tensor {
    const head = this.head.forward(x); // N, 4·rate, H, W
    const last = this.#norm === 'instance' ? denseLayers(head, this.layers, { training: this.training, normaliseFeatures: true, onlyLast: true }) : this.#withBatchNorm(head);
    const tail = this.tn.forward(this.tail.forward(last));
    return tanh(this.o2.forward(this.act.forward(this.o1.forward(cat([head, tail], 1)))));
  }

  /** Weights of the first norm differ from layer to layer, so that each must normalise all features anew. */
  #withBatchNorm(head: Tensor): Tensor {
    const features = [head];
    for (const layer of this.layers) features.push(layer.forward(cat(features, 1)));
    return leakyRelu(features[layerCount], slope); // the last layer's output alone goes on: N, rate, H, W
  }
}
