/** One or more sample calls for every op in ops.json: the gradient, memory and layout tests run through all of them. */
import * as t from '../src/index.js';
import type { Tensor } from '../src/index.js';

/** Float64 inputs that are differentiated, drawn from [low, high]. */
export interface Input { shape: readonly number[]; low?: number; high?: number }

export interface Sample {
  inputs: readonly Input[];
  run(...inputs: Tensor[]): Tensor | readonly Tensor[];
  /** Step of the finite differences, where float64's own precision is not what limits them. */
  step?: number;
  tolerance?: number;
}

const at = (...shape: number[]): Input => ({ shape });
const positive = (...shape: number[]): Input => ({ shape, low: 0.5, high: 2 });
const doubles = { dtype: 'float64' } as const;
const one = (run: Sample['run'], ...inputs: Input[]): Sample[] => [{ inputs, run }];
const image = at(2, 3, 4, 4);

export const samples: Record<keyof typeof t.specs, Sample[]> = {
  zeros: one(() => t.zeros([2, 3])),
  full: one(() => t.full([2, 3], 1.5)),
  arange: one(() => t.arange(0, 5)),
  rand: one(() => t.rand([2, 3])),
  randn: one(() => t.randn([2, 3])),
  zerosLike: one((x) => t.zerosLike(x), image),
  onesLike: one((x) => t.onesLike(x), image),

  to: one((x) => t.to(x, 'cpu'), at(2, 3)),
  toDtype: [{ inputs: [at(2, 3)], run: (x) => t.toDtype(x, 'float32'), step: 2 ** -6, tolerance: 1e-4 }],
  contiguous: one((x) => t.contiguous(x), image),
  channelsLast: one((x) => t.channelsLast(x), image),
  clone: one((x) => t.clone(x), image),
  detach: one((x) => t.detach(x), image),
  reshape: one((x) => t.reshape(x, [6, -1]), image),
  permute: one((x) => t.permute(x, [0, 2, 3, 1]), image),
  flip: one((x) => t.flip(x, [2, 3]), image),
  narrow: one((x) => t.narrow(x, 2, 1, 2), image),
  chunk: one((x) => t.chunk(x, 2, 2), image),
  cat: one((a, b) => t.cat([a, b], 1), at(2, 3, 4, 4), at(2, 1, 4, 4)),
  expand: one((x) => t.expand(x, [2, 3, 4]), at(2, 1, 4)),

  add: one((a, b) => t.add(a, b), at(2, 3, 4), at(3, 1)),
  sub: one((a, b) => t.sub(a, b), at(2, 3, 4), at(3, 1)),
  mul: one((a, b) => t.mul(a, b), at(2, 3, 4), at(3, 1)),
  div: one((a, b) => t.div(a, b), at(2, 3, 4), positive(3, 1)),
  addScalar: one((x) => t.addScalar(x, 0.7), at(2, 3)),
  mulScalar: one((x) => t.mulScalar(x, -0.7), at(2, 3)),
  powScalar: one((x) => t.powScalar(x, 1.7), positive(2, 3)),
  neg: one((x) => t.neg(x), at(2, 3)),
  exp: one((x) => t.exp(x), at(2, 3)),
  log: one((x) => t.log(x), positive(2, 3)),
  sqrt: one((x) => t.sqrt(x), positive(2, 3)),
  rsqrt: one((x) => t.rsqrt(x), positive(2, 3)),
  square: one((x) => t.square(x), at(2, 3)),
  abs: one((x) => t.abs(x), at(2, 4)),
  clamp: [{ inputs: [at(2, 4)], run: (x) => t.clamp(x, -1, 1) }, { inputs: [at(2, 4)], run: (x) => t.clamp(x, null, 0.5) }],
  maximum: one((a, b) => t.maximum(a, b), at(2, 4), { shape: [2, 4], low: -2.25, high: 1.75 }),
  matmul: one((a, b) => t.matmul(a, b), at(2, 3, 4), at(4, 5)),

  add_: one((a, b) => t.add_(t.clone(a), b, { alpha: 2 }), at(2, 3), at(2, 3)),
  mul_: one((a, b) => t.mul_(t.clone(a), b), at(2, 3), at(2, 3)),
  addScalar_: one((a) => t.addScalar_(t.clone(a), 2), at(2, 3)),
  mulScalar_: one((a) => t.mulScalar_(t.clone(a), 2), at(2, 3)),
  addcmul_: one((a, b) => t.addcmul_(t.clone(a), a, b, { value: 2 }), at(2, 3), at(2, 3)),
  addcdiv_: one((a, b) => t.addcdiv_(t.clone(a), a, b, { value: 2 }), at(2, 3), positive(2, 3)),
  lerp_: one((a, b) => t.lerp_(t.clone(a), b, 0.3), at(2, 3), at(2, 3)),
  clamp_: one((a) => t.clamp_(t.clone(a), null, 0), at(2, 3)),
  copy_: one((a, b) => t.copy_(t.clone(a), b), at(2, 3), at(2, 3)),
  fill_: one((a) => t.fill_(t.clone(a), 2), at(2, 3)),
  uniform_: one(() => t.uniform_(t.zeros([2, 3]), 1, 2)),
  normal_: one(() => t.normal_(t.zeros([2, 3]), 1, 2)),

  sum: [{ inputs: [at(2, 3, 4)], run: (x) => t.sum(x) }, { inputs: [at(2, 3, 4)], run: (x) => t.sum(x, [0, 2], { keepDim: true }) }],
  mean: [{ inputs: [at(2, 3, 4)], run: (x) => t.mean(x) }, { inputs: [at(2, 3, 4)], run: (x) => t.mean(x, [1]) }],
  max: one((x) => t.max(x), at(2, 4)),

  rfft2: [{ inputs: [at(2, 4, 6)], run: (x) => t.rfft2(x) }, { inputs: [at(3, 5)], run: (x) => t.rfft2(x) }],

  relu: one((x) => t.relu(x), image),
  leakyRelu: one((x) => t.leakyRelu(x, 0.2), image),
  prelu: [{ inputs: [image, at(3)], run: (x, w) => t.prelu(x, w) }, { inputs: [at(2, 3), at(1)], run: (x, w) => t.prelu(x, w) }],
  tanh: one((x) => t.tanh(x), image),
  sigmoid: one((x) => t.sigmoid(x), image),
  softplus: one((x) => t.softplus(x), image),
  gelu: one((x) => t.gelu(x), image),
  silu: one((x) => t.silu(x), image),
  dropout: one((x) => { t.manualSeed(7); return t.dropout(x, 0.4, true); }, image),

  conv2d: [
    { inputs: [image, at(2, 3, 3, 3), at(2)], run: (x, w, b) => t.conv2d(x, w, b, { stride: [2, 1], padding: [1, 1] }) },
    { inputs: [at(1, 4, 5, 5), at(4, 2, 3, 3)], run: (x, w) => t.conv2d(x, w, null, { groups: 2, dilation: [2, 2], padding: [2, 2] }) },
  ],
  convTranspose2d: one((x, w, b) => t.convTranspose2d(x, w, b, { stride: [2, 2], padding: [1, 1], outputPadding: [1, 1] }), at(1, 3, 3, 3), at(3, 2, 3, 3), at(2)),
  linear: one((x, w, b) => t.linear(x, w, b), at(2, 3), at(4, 3), at(4)),
  batchNorm: [
    { inputs: [image, at(3), at(3)], run: (x, w, b) => t.batchNorm(x, w, b, null, null, true) },
    { inputs: [image, at(3), at(3)], run: (x, w, b) => t.batchNorm(x, w, b, t.full([3], 0.3, { ...doubles, device: x.device }), t.full([3], 2, { ...doubles, device: x.device }), false) },
  ],
  instanceNorm: [
    { inputs: [image], run: (x) => t.instanceNorm(x) },
    { inputs: [image, at(3), at(3)], run: (x, w, b) => t.instanceNorm(x, w, b, { eps: 1e-3 }) },
  ],
  instanceNormLeakyRelu: one((x) => t.instanceNormLeakyRelu(x, { negativeSlope: 0.2 }), image),
  denseField: [
    // Two layers on few pixels: 2 channels in, width 2, growth 2; first as the report has it, then with biases and batch norm, as the paper.
    { inputs: [at(2, 2, 3, 2), at(2, 2, 1, 1), at(2, 2, 3, 3), at(2, 4, 1, 1), at(2, 2, 3, 3)], run: (x, ...w) => t.denseField(x, w, [], [1, 2], { training: true, normaliseFeatures: true, activateBottleneck: false, onlyLast: true }) },
    {
      inputs: [at(2, 2, 3, 2), at(2, 2, 1, 1), at(2), at(2, 2, 3, 3), at(2), positive(2), at(2), positive(2), at(2)],
      run: (x, w1, b1, w2, b2, ...affine) => {
        const there = { ...doubles, device: x.device }, [mean, variance] = [t.zeros([2], there), t.full([2], 1, there)];
        return t.denseField(x, [w1, b1, w2, b2], [affine[0], affine[1], mean, variance, affine[2], affine[3], mean, variance], [1], { training: true, normaliseFeatures: false, activateBottleneck: true, onlyLast: false });
      },
    },
  ],
  layerNorm2d: one((x, w, b) => t.layerNorm2d(x, w, b), at(2, 4, 2, 3), at(4), at(4)),
  avgPool2d: one((x) => t.avgPool2d(x, { kernel: [3, 3], stride: [2, 2], padding: [1, 1] }), image),
  localMean2d: [3, 4, 9].map((window) => ({ inputs: [at(2, 2, 5, 7)], run: (x: t.Tensor) => t.localMean2d(x, window) })), // inside, cut by the height's edge, the whole
  maxPool2d: one((x) => t.maxPool2d(x, { kernel: [2, 2], stride: [2, 2] }), image),
  pixelShuffle: one((x) => t.pixelShuffle(x, 2), at(2, 4, 2, 3)),
  pixelUnshuffle: one((x) => t.pixelUnshuffle(x, 2), at(2, 1, 4, 6)),
  upsampleNearest2d: one((x) => t.upsampleNearest2d(x, 2), at(2, 3, 2, 3)),
  upsampleBilinear2d: one((x) => t.upsampleBilinear2d(x, 2), at(2, 3, 2, 3)),
  zeroPad2d: one((x) => t.zeroPad2d(x, [1, 2, 0, -1]), image),
  reflectionPad2d: one((x) => t.reflectionPad2d(x, [1, 2, 3, 1]), image),
  replicationPad2d: one((x) => t.replicationPad2d(x, [1, 2, 3, 1]), image),

  gtScalar: one((x) => t.gtScalar(x, 0), at(2, 4)),
  where: one((a, b) => t.where(t.gtScalar(t.detach(a), 0), a, b), at(2, 4), at(2, 4)),
};
