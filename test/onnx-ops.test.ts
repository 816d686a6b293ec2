/** Each op's lowering against its plain definition, at sizes and batches other than the traced one. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { checkNetwork, type Network, type Recorder } from './onnx-recorder.js';

type Case = [name: string, network: Network, options?: Parameters<typeof checkNetwork>[1]];

const plain = (op: string, args: Record<string, number | number[] | boolean | string | null> = {}): Network => (input, r) => r.op(op, { input, ...args });
const conv = (r: Recorder, weight: number[], extra: Record<string, number | number[]> = {}) =>
  ({ weight: r.parameter('conv.weight', weight), bias: r.parameter('conv.bias', [weight[0]]), stride: [1, 1], padding: [0, 0], dilation: [1, 1], groups: 1, ...extra });
const pair = (op: string): Network => (input, r) => r.op(op, { input, other: r.op('addScalar', { input: r.op('sigmoid', { input }), value: 0.5 }) });

const cases: Case[] = [
  ...['relu', 'tanh', 'sigmoid', 'silu', 'gelu', 'softplus', 'neg', 'exp', 'square', 'abs'].map((op): Case => [op, plain(op), { low: -5, high: 5 }]),
  ...['log', 'sqrt', 'rsqrt'].map((op): Case => [op, plain(op), { low: 0.1, high: 4 }]),
  ...['add', 'sub', 'mul', 'div', 'maximum'].map((op): Case => [op, pair(op)]),
  ['leakyRelu', plain('leakyRelu', { negativeSlope: 0.2 })],
  ['prelu', (input, r) => r.op('prelu', { input, weight: r.parameter('prelu.weight', [4]) })],
  ['prelu with one slope', (input, r) => r.op('prelu', { input, weight: r.parameter('prelu.weight', [1]) })],
  ['addScalar', plain('addScalar', { value: -0.3 })],
  ['mulScalar', plain('mulScalar', { value: 1.7 })],
  ['powScalar', plain('powScalar', { exponent: 1.5 }), { low: 0.1, high: 4 }],
  ['clamp', plain('clamp', { min: -0.5, max: 0.75 })],
  ['clamp below only', plain('clamp', { min: -0.5, max: null })],
  ['clamp above only', plain('clamp', { min: null, max: 0.75 })],
  ['mul by a parameter of shape 1, C, 1, 1', (input, r) => r.op('mul', { input, other: r.parameter('beta', [1, 4, 1, 1]) })],
  ['mul by a channel mean', (input, r) => r.op('mul', { input, other: r.op('mean', { input, dims: [2, 3], keepDim: true }) })],

  ['conv2d', (input, r) => r.op('conv2d', { input, ...conv(r, [5, 4, 3, 3], { padding: [1, 1] }) })],
  ['conv2d, every option', (input, r) => r.op('conv2d', { input, ...conv(r, [6, 2, 3, 2], { stride: [2, 1], padding: [2, 1], dilation: [2, 1], groups: 2 }) })],
  ['conv2d without bias', (input, r) => r.op('conv2d', { input, ...conv(r, [5, 4, 1, 1]), bias: null })],
  ['conv2d by channel', (input, r) => r.op('conv2d', { input, ...conv(r, [4, 1, 3, 3], { padding: [1, 1], groups: 4 }) })],
  ['convTranspose2d', (input, r) => r.op('convTranspose2d', { input, ...conv(r, [4, 3, 3, 3], { stride: [2, 2], padding: [1, 1], outputPadding: [1, 1] }), bias: r.parameter('b', [3]) })],
  ['convTranspose2d, every option', (input, r) => r.op('convTranspose2d', {
    input, ...conv(r, [4, 3, 3, 2], { stride: [2, 3], padding: [1, 0], outputPadding: [0, 1], dilation: [1, 2], groups: 2 }), bias: r.parameter('b', [6]),
  })],
  ['instanceNorm', (input, r) => r.op('instanceNorm', { input, weight: r.parameter('norm.weight', [4]), bias: r.parameter('norm.bias', [4]), eps: 1e-5 })],
  ['instanceNorm without weights', plain('instanceNorm', { weight: null, bias: null, eps: 1e-3 })],
  ['instanceNormLeakyRelu', plain('instanceNormLeakyRelu', { eps: 1e-5, negativeSlope: 0.2 })],
  ['layerNorm2d', (input, r) => r.op('layerNorm2d', { input, weight: r.parameter('norm.weight', [4]), bias: r.parameter('norm.bias', [4]), eps: 1e-6 })],
  ['batchNorm', (input, r) => r.op('batchNorm', batchNorm(r, input, 4))],
  ['batchNorm without weights', (input, r) => r.op('batchNorm', { ...batchNorm(r, input, 4), weight: null, bias: null })],
  ['avgPool2d', plain('avgPool2d', { kernel: [3, 2], stride: [2, 1], padding: [1, 0] })],
  ...[2, 5, 1000].map((window): Case => [`localMean2d over windows of ${window}`, plain('localMean2d', { window })]),
  ['maxPool2d', plain('maxPool2d', { kernel: [3, 2], stride: [2, 2], padding: [1, 1], dilation: [1, 1], ceilMode: false })],
  ['upsampleNearest2d', plain('upsampleNearest2d', { scale: 3 })],
  ['upsampleBilinear2d', plain('upsampleBilinear2d', { scale: 2 })],
  ...['zeroPad2d', 'reflectionPad2d', 'replicationPad2d'].map((op): Case => [op, plain(op, { padding: [1, 2, 3, 0] })]),
  ['zeroPad2d that crops', plain('zeroPad2d', { padding: [-1, 2, 0, -3] })],
  ['pixelShuffle', plain('pixelShuffle', { factor: 2 }), { channels: 12 }],
  ['pixelUnshuffle by 2', plain('pixelUnshuffle', { factor: 2 }), { channels: 3, multiple: 2 }],
  ['pixelUnshuffle by 3', plain('pixelUnshuffle', { factor: 3 }), { channels: 2, multiple: 3 }],

  ['cat of channels', (input, r) => r.op('cat', { tensors: [input, r.op('neg', { input }), input], dim: 1 })],
  ['cat of rows', (input, r) => r.op('cat', { tensors: [input, r.op('neg', { input })], dim: -2 })],
  ['narrow', plain('narrow', { dim: 1, start: 1, length: 2 })],
  ['narrow from the end', plain('narrow', { dim: 1, start: -2, length: 2 })],
  ['chunk', (input, r) => { const [a, b] = r.all('chunk', { input, chunks: 2, dim: 1 }); return r.op('mul', { input: a, other: b }); }],
  ['chunk with a smaller last part', (input, r) => r.op('cat', { tensors: r.all('chunk', { input, chunks: 3, dim: 1 }).toReversed(), dim: 1 }), { channels: 5 }],
  ['flip', plain('flip', { dims: [1, 3] })],
  ['permute', plain('permute', { dims: [0, 1, 3, 2] })],
  ['mean without dimensions kept', (input, r) => r.op('add', { input, other: r.op('reshape', { input: r.op('mean', { input, dims: [-2, -1], keepDim: false }), shape: [input.shape[0], 4, 1, 1] }) })],
  ['mean of channels without the dimension kept', (input, r) => {
    const gray = r.op('mean', { input, dims: [1], keepDim: false });
    return r.op('reshape', { input: r.op('cat', { tensors: [gray, gray], dim: 2 }), shape: [input.shape[0], 1, 1, -1] });
  }],
  ['mean of channels', plain('mean', { dims: [1], keepDim: true })],
  ['mean of everything', (input, r) => r.op('sub', { input, other: r.op('mean', { input, dims: [], keepDim: false }) })],
  ['sum of everything', (input, r) => r.op('div', { input, other: r.op('sum', { input: r.op('square', { input }), dims: [], keepDim: false }) })],
  ['sum', plain('sum', { dims: [1], keepDim: true })],
  ['reshape, permute, reshape (channel shuffle)', (input, r) => {
    const [n, , h, w] = input.shape;
    const split = r.op('reshape', { input, shape: [n, 2, 2, h * w] });
    const swapped = r.op('permute', { input: split, dims: [0, 2, 1, 3] });
    return r.op('reshape', { input: swapped, shape: [n, 2, 2, -1] });
  }],
  ['matmul over channels (attention between channels)', (input, r) => {
    const [n, c] = input.shape, rows = r.op('reshape', { input, shape: [n, c, -1] });
    const scores = r.op('matmul', { input: rows, other: r.op('permute', { input: rows, dims: [0, 2, 1] }) });
    return r.op('mul', { input, other: r.op('mean', { input: r.op('reshape', { input: scores, shape: [n, c, c, 1] }), dims: [2], keepDim: true }) });
  }, { tolerance: 1e-5 }],
  ['linear on channels last', (input, r) => {
    const last = r.op('permute', { input, dims: [0, 2, 3, 1] });
    return r.op('permute', { input: r.op('linear', { input: last, weight: r.parameter('fc.weight', [5, 4]), bias: r.parameter('fc.bias', [5]) }), dims: [0, 3, 1, 2] });
  }],
  ['identities', (input, r) => ['detach', 'contiguous', 'clone'].reduce((x, op) => r.op(op, { input: x }), r.op('toDtype', { input: r.op('dropout', { input, p: 0.5, training: false }), dtype: 'float32' }))],
];

function batchNorm(r: Recorder, input: Parameters<Network>[0], channels: number) {
  return {
    input, weight: r.parameter('bn.weight', [channels]), bias: r.parameter('bn.bias', [channels]),
    runningMean: r.parameter('bn.running_mean', [channels]), runningVar: r.parameter('bn.running_var', [channels], 0.2, 2),
    training: false, momentum: 0.1, eps: 1e-5,
  };
}

for (const [name, network, options] of cases) test(`lowers ${name}`, async () => { await checkNetwork(network, options); });

test('a batch norm is folded into the convolution before it', async () => {
  for (const groups of [1, 2]) {
    const straight = await checkNetwork((input, r) => r.op('batchNorm', batchNorm(r, r.op('conv2d', { input, ...conv(r, [6, 4 / groups, 3, 3], { groups }) }), 6)));
    assert.deepEqual(straight.graph.nodes.map(({ op }) => op), ['Conv', 'Identity']);
    assert.deepEqual(straight.graph.initializers.map(({ name }) => name), ['conv.weight', 'conv.bias']);
    const transposed = await checkNetwork((input, r) =>
      r.op('batchNorm', batchNorm(r, r.op('convTranspose2d', { input, ...conv(r, [4, 6 / groups, 3, 3], { groups, stride: [2, 2], outputPadding: [0, 0] }), bias: null }), 6)));
    assert.deepEqual(transposed.graph.nodes.map(({ op }) => op), ['ConvTranspose', 'Identity']);
  }
});

test('a batch norm stays where its convolution has another reader', async () => {
  const { graph } = await checkNetwork((input, r) => {
    const features = r.op('conv2d', { input, ...conv(r, [6, 4, 3, 3]) });
    return r.op('add', { input: features, other: r.op('batchNorm', batchNorm(r, features, 6)) });
  });
  assert.deepEqual(graph.nodes.map(({ op }) => op), ['Conv', 'BatchNormalization', 'Add', 'Identity']);
});
