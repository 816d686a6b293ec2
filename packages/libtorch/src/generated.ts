// Generated from ops.json by scripts/generate.ts; do not edit.
import { run, runAll, runInPlace, type OpSpec } from './dispatch.js';
import type { Device, DType, Tensor } from './tensor.js';

/** What the recorder and the tests know of each op. */
export const specs = {
  zeros: { name: 'zeros', args: ['shape', 'dtype', 'device'], differentiable: false },
  full: { name: 'full', args: ['shape', 'value', 'dtype', 'device'], differentiable: false },
  arange: { name: 'arange', args: ['start', 'end', 'step', 'dtype', 'device'], differentiable: false },
  rand: { name: 'rand', args: ['shape', 'dtype', 'device'], differentiable: false },
  randn: { name: 'randn', args: ['shape', 'dtype', 'device'], differentiable: false },
  zerosLike: { name: 'zerosLike', args: ['input'], differentiable: false },
  onesLike: { name: 'onesLike', args: ['input'], differentiable: false },
  to: { name: 'to', args: ['input', 'device', 'nonBlocking'], differentiable: true },
  toDtype: { name: 'toDtype', args: ['input', 'dtype'], differentiable: true },
  contiguous: { name: 'contiguous', args: ['input'], differentiable: true },
  channelsLast: { name: 'channelsLast', args: ['input'], differentiable: true },
  clone: { name: 'clone', args: ['input'], differentiable: true },
  detach: { name: 'detach', args: ['input'], differentiable: false },
  reshape: { name: 'reshape', args: ['input', 'shape'], differentiable: true },
  permute: { name: 'permute', args: ['input', 'dims'], differentiable: true },
  flip: { name: 'flip', args: ['input', 'dims'], differentiable: true },
  narrow: { name: 'narrow', args: ['input', 'dim', 'start', 'length'], differentiable: true },
  chunk: { name: 'chunk', args: ['input', 'chunks', 'dim'], differentiable: true },
  cat: { name: 'cat', args: ['tensors', 'dim'], differentiable: true },
  expand: { name: 'expand', args: ['input', 'shape'], differentiable: true },
  add: { name: 'add', args: ['input', 'other'], differentiable: true },
  sub: { name: 'sub', args: ['input', 'other'], differentiable: true },
  mul: { name: 'mul', args: ['input', 'other'], differentiable: true },
  div: { name: 'div', args: ['input', 'other'], differentiable: true },
  addScalar: { name: 'addScalar', args: ['input', 'value'], differentiable: true },
  mulScalar: { name: 'mulScalar', args: ['input', 'value'], differentiable: true },
  powScalar: { name: 'powScalar', args: ['input', 'exponent'], differentiable: true },
  neg: { name: 'neg', args: ['input'], differentiable: true },
  exp: { name: 'exp', args: ['input'], differentiable: true },
  log: { name: 'log', args: ['input'], differentiable: true },
  sqrt: { name: 'sqrt', args: ['input'], differentiable: true },
  rsqrt: { name: 'rsqrt', args: ['input'], differentiable: true },
  square: { name: 'square', args: ['input'], differentiable: true },
  abs: { name: 'abs', args: ['input'], differentiable: true },
  clamp: { name: 'clamp', args: ['input', 'min', 'max'], differentiable: true },
  maximum: { name: 'maximum', args: ['input', 'other'], differentiable: true },
  matmul: { name: 'matmul', args: ['input', 'other'], differentiable: true },
  add_: { name: 'add_', args: ['input', 'other', 'alpha'], differentiable: false },
  mul_: { name: 'mul_', args: ['input', 'other'], differentiable: false },
  addScalar_: { name: 'addScalar_', args: ['input', 'value'], differentiable: false },
  mulScalar_: { name: 'mulScalar_', args: ['input', 'value'], differentiable: false },
  addcmul_: { name: 'addcmul_', args: ['input', 'a', 'b', 'value'], differentiable: false },
  addcdiv_: { name: 'addcdiv_', args: ['input', 'a', 'b', 'value'], differentiable: false },
  lerp_: { name: 'lerp_', args: ['input', 'end', 'weight'], differentiable: false },
  clamp_: { name: 'clamp_', args: ['input', 'min', 'max'], differentiable: false },
  copy_: { name: 'copy_', args: ['input', 'source'], differentiable: false },
  fill_: { name: 'fill_', args: ['input', 'value'], differentiable: false },
  uniform_: { name: 'uniform_', args: ['input', 'low', 'high'], differentiable: false },
  normal_: { name: 'normal_', args: ['input', 'mean', 'std'], differentiable: false },
  sum: { name: 'sum', args: ['input', 'dims', 'keepDim'], differentiable: true },
  mean: { name: 'mean', args: ['input', 'dims', 'keepDim'], differentiable: true },
  max: { name: 'max', args: ['input'], differentiable: true },
  rfft2: { name: 'rfft2', args: ['input'], differentiable: true },
  relu: { name: 'relu', args: ['input'], differentiable: true },
  leakyRelu: { name: 'leakyRelu', args: ['input', 'negativeSlope'], differentiable: true },
  prelu: { name: 'prelu', args: ['input', 'weight'], differentiable: true },
  tanh: { name: 'tanh', args: ['input'], differentiable: true },
  sigmoid: { name: 'sigmoid', args: ['input'], differentiable: true },
  softplus: { name: 'softplus', args: ['input'], differentiable: true },
  gelu: { name: 'gelu', args: ['input'], differentiable: true },
  silu: { name: 'silu', args: ['input'], differentiable: true },
  dropout: { name: 'dropout', args: ['input', 'p', 'training'], differentiable: true },
  conv2d: { name: 'conv2d', args: ['input', 'weight', 'bias', 'stride', 'padding', 'dilation', 'groups'], differentiable: true },
  convTranspose2d: { name: 'convTranspose2d', args: ['input', 'weight', 'bias', 'stride', 'padding', 'outputPadding', 'groups', 'dilation'], differentiable: true },
  linear: { name: 'linear', args: ['input', 'weight', 'bias'], differentiable: true },
  batchNorm: { name: 'batchNorm', args: ['input', 'weight', 'bias', 'runningMean', 'runningVar', 'training', 'momentum', 'eps'], differentiable: true },
  instanceNorm: { name: 'instanceNorm', args: ['input', 'weight', 'bias', 'eps'], differentiable: true },
  instanceNormLeakyRelu: { name: 'instanceNormLeakyRelu', args: ['input', 'eps', 'negativeSlope'], differentiable: true },
  denseField: { name: 'denseField', args: ['input', 'convolutions', 'norms', 'dilations', 'training', 'normaliseFeatures', 'activateBottleneck', 'onlyLast', 'momentum'], differentiable: true },
  layerNorm2d: { name: 'layerNorm2d', args: ['input', 'weight', 'bias', 'eps'], differentiable: true },
  avgPool2d: { name: 'avgPool2d', args: ['input', 'kernel', 'stride', 'padding'], differentiable: true },
  localMean2d: { name: 'localMean2d', args: ['input', 'window'], differentiable: true },
  maxPool2d: { name: 'maxPool2d', args: ['input', 'kernel', 'stride', 'padding', 'dilation', 'ceilMode'], differentiable: true },
  pixelShuffle: { name: 'pixelShuffle', args: ['input', 'factor'], differentiable: true },
  pixelUnshuffle: { name: 'pixelUnshuffle', args: ['input', 'factor'], differentiable: true },
  upsampleNearest2d: { name: 'upsampleNearest2d', args: ['input', 'scale'], differentiable: true },
  upsampleBilinear2d: { name: 'upsampleBilinear2d', args: ['input', 'scale'], differentiable: true },
  zeroPad2d: { name: 'zeroPad2d', args: ['input', 'padding'], differentiable: true },
  reflectionPad2d: { name: 'reflectionPad2d', args: ['input', 'padding'], differentiable: true },
  replicationPad2d: { name: 'replicationPad2d', args: ['input', 'padding'], differentiable: true },
  gtScalar: { name: 'gtScalar', args: ['input', 'value'], differentiable: false },
  where: { name: 'where', args: ['condition', 'input', 'other'], differentiable: true },
} satisfies Record<string, OpSpec>;

/** All zeros. */
export function zeros(shape: readonly number[], { dtype = 'float32', device = 'cpu' }: { dtype?: DType; device?: Device } = {}): Tensor {
  return run(specs.zeros, [shape, dtype, device]);
}

/** All `value`. */
export function full(shape: readonly number[], value: number, { dtype = 'float32', device = 'cpu' }: { dtype?: DType; device?: Device } = {}): Tensor {
  return run(specs.full, [shape, value, dtype, device]);
}

/** start, start + step, … below end. */
export function arange(start: number, end: number, { step = 1, dtype = 'float32', device = 'cpu' }: { step?: number; dtype?: DType; device?: Device } = {}): Tensor {
  return run(specs.arange, [start, end, step, dtype, device]);
}

/** Uniform in [0, 1), from the device's generator. */
export function rand(shape: readonly number[], { dtype = 'float32', device = 'cpu' }: { dtype?: DType; device?: Device } = {}): Tensor {
  return run(specs.rand, [shape, dtype, device]);
}

/** Standard normal, from the device's generator. */
export function randn(shape: readonly number[], { dtype = 'float32', device = 'cpu' }: { dtype?: DType; device?: Device } = {}): Tensor {
  return run(specs.randn, [shape, dtype, device]);
}

/** Zeros of the same shape, dtype, device and layout. */
export function zerosLike(input: Tensor): Tensor {
  return run(specs.zerosLike, [input]);
}

/** Ones of the same shape, dtype, device and layout. */
export function onesLike(input: Tensor): Tensor {
  return run(specs.onesLike, [input]);
}

/** On another device. */
export function to(input: Tensor, device: Device, { nonBlocking = false }: { nonBlocking?: boolean } = {}): Tensor {
  return run(specs.to, [input, device, nonBlocking]);
}

/** In another dtype; the same tensor where it has it already. */
export function toDtype(input: Tensor, dtype: DType): Tensor {
  return run(specs.toDtype, [input, dtype]);
}

/** Row-major (NCHW) memory. */
export function contiguous(input: Tensor): Tensor {
  return run(specs.contiguous, [input]);
}

/** Channels-last (NHWC) memory of a 4-D tensor; the shape stays N, C, H, W. */
export function channelsLast(input: Tensor): Tensor {
  return run(specs.channelsLast, [input]);
}

/** A copy with its own memory. */
export function clone(input: Tensor): Tensor {
  return run(specs.clone, [input]);
}

/** The same memory, cut from the graph. */
export function detach(input: Tensor): Tensor {
  return run(specs.detach, [input]);
}

/** Another shape with as many elements; one −1 is worked out. */
export function reshape(input: Tensor, shape: readonly number[]): Tensor {
  return run(specs.reshape, [input, shape]);
}

/** Dimensions in another order (a view). */
export function permute(input: Tensor, dims: readonly number[]): Tensor {
  return run(specs.permute, [input, dims]);
}

/** Reversed along `dims`. */
export function flip(input: Tensor, dims: readonly number[]): Tensor {
  return run(specs.flip, [input, dims]);
}

/** The slice [start, start + length) of `dim` (a view). */
export function narrow(input: Tensor, dim: number, start: number, length: number): Tensor {
  return run(specs.narrow, [input, dim, start, length]);
}

/** Cut into `chunks` equal views along `dim`. */
export function chunk(input: Tensor, chunks: number, dim: number): Tensor[] {
  return runAll(specs.chunk, [input, chunks, dim]);
}

/** Joined along an existing dimension. */
export function cat(tensors: readonly Tensor[], dim: number): Tensor {
  return run(specs.cat, [tensors, dim]);
}

/** Size-1 dimensions repeated without copying. */
export function expand(input: Tensor, shape: readonly number[]): Tensor {
  return run(specs.expand, [input, shape]);
}

/** input + other. */
export function add(input: Tensor, other: Tensor): Tensor {
  return run(specs.add, [input, other]);
}

/** input − other. */
export function sub(input: Tensor, other: Tensor): Tensor {
  return run(specs.sub, [input, other]);
}

/** input · other. */
export function mul(input: Tensor, other: Tensor): Tensor {
  return run(specs.mul, [input, other]);
}

/** input / other. */
export function div(input: Tensor, other: Tensor): Tensor {
  return run(specs.div, [input, other]);
}

/** input + value. */
export function addScalar(input: Tensor, value: number): Tensor {
  return run(specs.addScalar, [input, value]);
}

/** input · value. */
export function mulScalar(input: Tensor, value: number): Tensor {
  return run(specs.mulScalar, [input, value]);
}

/** input to the power `exponent`. */
export function powScalar(input: Tensor, exponent: number): Tensor {
  return run(specs.powScalar, [input, exponent]);
}

/** −input. */
export function neg(input: Tensor): Tensor {
  return run(specs.neg, [input]);
}

/** e^input. */
export function exp(input: Tensor): Tensor {
  return run(specs.exp, [input]);
}

/** Natural logarithm. */
export function log(input: Tensor): Tensor {
  return run(specs.log, [input]);
}

/** Square root. The gradient at 0 is infinite: see unitNormalize. */
export function sqrt(input: Tensor): Tensor {
  return run(specs.sqrt, [input]);
}

/** 1 / √input. */
export function rsqrt(input: Tensor): Tensor {
  return run(specs.rsqrt, [input]);
}

/** input². */
export function square(input: Tensor): Tensor {
  return run(specs.square, [input]);
}

/** |input|. */
export function abs(input: Tensor): Tensor {
  return run(specs.abs, [input]);
}

/** Limited to [min, max]; null leaves that side open. */
export function clamp(input: Tensor, min: number | null, max: number | null): Tensor {
  return run(specs.clamp, [input, min, max]);
}

/** The larger of the two, elementwise. */
export function maximum(input: Tensor, other: Tensor): Tensor {
  return run(specs.maximum, [input, other]);
}

/** Matrix product. */
export function matmul(input: Tensor, other: Tensor): Tensor {
  return run(specs.matmul, [input, other]);
}

/** input += alpha · other. */
export function add_(input: Tensor, other: Tensor, { alpha = 1 }: { alpha?: number } = {}): Tensor {
  return runInPlace(specs.add_, [input, other, alpha]);
}

/** input *= other. */
export function mul_(input: Tensor, other: Tensor): Tensor {
  return runInPlace(specs.mul_, [input, other]);
}

/** input += value. */
export function addScalar_(input: Tensor, value: number): Tensor {
  return runInPlace(specs.addScalar_, [input, value]);
}

/** input *= value. */
export function mulScalar_(input: Tensor, value: number): Tensor {
  return runInPlace(specs.mulScalar_, [input, value]);
}

/** input += value · a · b. */
export function addcmul_(input: Tensor, a: Tensor, b: Tensor, { value = 1 }: { value?: number } = {}): Tensor {
  return runInPlace(specs.addcmul_, [input, a, b, value]);
}

/** input += value · a / b. */
export function addcdiv_(input: Tensor, a: Tensor, b: Tensor, { value = 1 }: { value?: number } = {}): Tensor {
  return runInPlace(specs.addcdiv_, [input, a, b, value]);
}

/** input += weight · (end − input). */
export function lerp_(input: Tensor, end: Tensor, weight: number): Tensor {
  return runInPlace(specs.lerp_, [input, end, weight]);
}

/** Limited to [min, max]. */
export function clamp_(input: Tensor, min: number | null, max: number | null): Tensor {
  return runInPlace(specs.clamp_, [input, min, max]);
}

/** Overwritten by `source`, cast and moved as needed. */
export function copy_(input: Tensor, source: Tensor): Tensor {
  return runInPlace(specs.copy_, [input, source]);
}

/** Overwritten by `value`. */
export function fill_(input: Tensor, value: number): Tensor {
  return runInPlace(specs.fill_, [input, value]);
}

/** Overwritten by uniform draws in [low, high). */
export function uniform_(input: Tensor, low: number, high: number): Tensor {
  return runInPlace(specs.uniform_, [input, low, high]);
}

/** Overwritten by normal draws. */
export function normal_(input: Tensor, mean: number, std: number): Tensor {
  return runInPlace(specs.normal_, [input, mean, std]);
}

/** Sum over `dims`. */
export function sum(input: Tensor, dims: readonly number[] = [], { keepDim = false }: { keepDim?: boolean } = {}): Tensor {
  return run(specs.sum, [input, dims, keepDim]);
}

/** Mean over `dims`. */
export function mean(input: Tensor, dims: readonly number[] = [], { keepDim = false }: { keepDim?: boolean } = {}): Tensor {
  return run(specs.mean, [input, dims, keepDim]);
}

/** The largest element. */
export function max(input: Tensor): Tensor {
  return run(specs.max, [input]);
}

/** Orthonormal Fourier transform over the last two dimensions, …, H, W → …, H, ⌊W/2⌋ + 1, 2: real and imaginary part of the half that determines the other. float32 or float64. */
export function rfft2(input: Tensor): Tensor {
  return run(specs.rfft2, [input]);
}

/** max(input, 0). */
export function relu(input: Tensor): Tensor {
  return run(specs.relu, [input]);
}

/** input where positive, else negativeSlope · input. */
export function leakyRelu(input: Tensor, negativeSlope: number = 0.01): Tensor {
  return run(specs.leakyRelu, [input, negativeSlope]);
}

/** LeakyReLU with one learned slope a channel; keeps channels-last. */
export function prelu(input: Tensor, weight: Tensor): Tensor {
  return run(specs.prelu, [input, weight]);
}

/** Hyperbolic tangent. */
export function tanh(input: Tensor): Tensor {
  return run(specs.tanh, [input]);
}

/** 1 / (1 + e^−input). */
export function sigmoid(input: Tensor): Tensor {
  return run(specs.sigmoid, [input]);
}

/** ln(1 + e^input), safe for large inputs. */
export function softplus(input: Tensor): Tensor {
  return run(specs.softplus, [input]);
}

/** Gaussian error linear unit (erf form). */
export function gelu(input: Tensor): Tensor {
  return run(specs.gelu, [input]);
}

/** input · sigmoid(input). */
export function silu(input: Tensor): Tensor {
  return run(specs.silu, [input]);
}

/** Zeroes with probability p and scales by 1/(1−p) while training; the identity otherwise. On CPU the mask follows from one draw of the generator, whatever the number of threads. */
export function dropout(input: Tensor, p: number, training: boolean): Tensor {
  return run(specs.dropout, [input, p, training]);
}

/** Convolution; weight O, C/groups, kH, kW. */
export function conv2d(input: Tensor, weight: Tensor, bias: Tensor | null = null, { stride = [1,1], padding = [0,0], dilation = [1,1], groups = 1 }: { stride?: readonly number[]; padding?: readonly number[]; dilation?: readonly number[]; groups?: number } = {}): Tensor {
  return run(specs.conv2d, [input, weight, bias, stride, padding, dilation, groups]);
}

/** Transposed convolution; weight C, O/groups, kH, kW. Follows autocast (ATen's own runs in float32 there on CPU). */
export function convTranspose2d(input: Tensor, weight: Tensor, bias: Tensor | null = null, { stride = [1,1], padding = [0,0], outputPadding = [0,0], groups = 1, dilation = [1,1] }: { stride?: readonly number[]; padding?: readonly number[]; outputPadding?: readonly number[]; groups?: number; dilation?: readonly number[] } = {}): Tensor {
  return run(specs.convTranspose2d, [input, weight, bias, stride, padding, outputPadding, groups, dilation]);
}

/** input · weightᵀ + bias; weight O, I. */
export function linear(input: Tensor, weight: Tensor, bias: Tensor | null = null): Tensor {
  return run(specs.linear, [input, weight, bias]);
}

/** Batch normalisation; while training, uses the batch's statistics and updates the running ones in place. */
export function batchNorm(input: Tensor, weight: Tensor | null, bias: Tensor | null, runningMean: Tensor | null, runningVar: Tensor | null, training: boolean, { momentum = 0.1, eps = 1e-5 }: { momentum?: number; eps?: number } = {}): Tensor {
  return run(specs.batchNorm, [input, weight, bias, runningMean, runningVar, training, momentum, eps]);
}

/** Instance normalisation by each image's own statistics; keeps channels-last (ATen's own does not). */
export function instanceNorm(input: Tensor, weight: Tensor | null = null, bias: Tensor | null = null, { eps = 1e-5 }: { eps?: number } = {}): Tensor {
  return run(specs.instanceNorm, [input, weight, bias, eps]);
}

/** leakyRelu(instanceNorm(input)) without affine weights, in one sweep over channels-last memory on CPU. Second-order gradients go through the op-by-op form. */
export function instanceNormLeakyRelu(input: Tensor, { eps = 1e-5, negativeSlope = 0.01 }: { eps?: number; negativeSlope?: number } = {}): Tensor {
  return run(specs.instanceNormLeakyRelu, [input, eps, negativeSlope]);
}

/** Densely connected layers, each 1×1 → norm (→ LeakyReLU) → dilated 3×3 → norm → LeakyReLU, reading all features before it. `convolutions`: weight, or weight and bias, of both, a layer; `norms`: none (instance norm) or weight, bias, running mean and variance of both, a layer. See native/dense_field.h; DenseField in nn.ts records it op by op. */
export function denseField(input: Tensor, convolutions: readonly Tensor[], norms: readonly Tensor[], dilations: readonly number[], { training, normaliseFeatures, activateBottleneck, onlyLast, momentum = 0.1 }: { training: boolean; normaliseFeatures: boolean; activateBottleneck: boolean; onlyLast: boolean; momentum?: number }): Tensor {
  return run(specs.denseField, [input, convolutions, norms, dilations, training, normaliseFeatures, activateBottleneck, onlyLast, momentum]);
}

/** Per pixel over channels, biased variance, affine (NAFNet's LayerNorm2d). */
export function layerNorm2d(input: Tensor, weight: Tensor, bias: Tensor, { eps = 1e-6 }: { eps?: number } = {}): Tensor {
  return run(specs.layerNorm2d, [input, weight, bias, eps]);
}

/** Mean over windows; padding counts as zeros. */
export function avgPool2d(input: Tensor, { kernel, stride, padding = [0,0] }: { kernel: readonly number[]; stride: readonly number[]; padding?: readonly number[] }): Tensor {
  return run(specs.avgPool2d, [input, kernel, stride, padding]);
}

/** Of each pixel, the mean over the window × window pixels around it; near an edge, over the nearest window inside. N, C, 1, 1 where a window holds the whole map (TLC, Chu et al., ECCV 2022: NAFNetLocal). */
export function localMean2d(input: Tensor, window: number): Tensor {
  return run(specs.localMean2d, [input, window]);
}

/** Largest of each window. */
export function maxPool2d(input: Tensor, { kernel, stride, padding = [0,0], dilation = [1,1], ceilMode = false }: { kernel: readonly number[]; stride: readonly number[]; padding?: readonly number[]; dilation?: readonly number[]; ceilMode?: boolean }): Tensor {
  return run(specs.maxPool2d, [input, kernel, stride, padding, dilation, ceilMode]);
}

/** C·r², H, W → C, H·r, W·r. */
export function pixelShuffle(input: Tensor, factor: number): Tensor {
  return run(specs.pixelShuffle, [input, factor]);
}

/** C, H·r, W·r → C·r², H, W. */
export function pixelUnshuffle(input: Tensor, factor: number): Tensor {
  return run(specs.pixelUnshuffle, [input, factor]);
}

/** Nearest neighbour, whole factor. */
export function upsampleNearest2d(input: Tensor, scale: number): Tensor {
  return run(specs.upsampleNearest2d, [input, scale]);
}

/** Bilinear, half-pixel centres (align_corners false), whole factor. */
export function upsampleBilinear2d(input: Tensor, scale: number): Tensor {
  return run(specs.upsampleBilinear2d, [input, scale]);
}

/** Zeros around; padding is left, right, top, bottom (negative crops). */
export function zeroPad2d(input: Tensor, padding: readonly number[]): Tensor {
  return run(specs.zeroPad2d, [input, padding]);
}

/** Mirrored without the edge; left, right, top, bottom. Keeps bf16 and channels-last (ATen's own does not). */
export function reflectionPad2d(input: Tensor, padding: readonly number[]): Tensor {
  return run(specs.reflectionPad2d, [input, padding]);
}

/** Edge repeated; left, right, top, bottom. Keeps bf16 and channels-last (ATen's own does not). */
export function replicationPad2d(input: Tensor, padding: readonly number[]): Tensor {
  return run(specs.replicationPad2d, [input, padding]);
}

/** input > value, as bool. */
export function gtScalar(input: Tensor, value: number): Tensor {
  return run(specs.gtScalar, [input, value]);
}

/** input where the condition holds, else other. */
export function where(condition: Tensor, input: Tensor, other: Tensor): Tensor {
  return run(specs.where, [condition, input, other]);
}
