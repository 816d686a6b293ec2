/** The graph writer as a whole: metadata, half precision, what is refused and how. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { ModelError } from '../src/errors.js';
import { buildOnnx, type OnnxGraph } from '../src/onnx/build.js';
import { fromFloat16, toFloat16 } from '../src/onnx/float16.js';
import { lowerTrace } from '../src/onnx/lower.js';
import { readMetadata } from '../src/onnx/metadata.js';
import { readWeights } from '../src/onnx/weights.js';
import { randomAt } from '../src/random.js';
import { checkNetwork, record, type Network, type Recorded, type Recorder } from './onnx-recorder.js';
import { randomTensor } from './onnx-reference.js';

const lower = (network: Network, options: Parameters<typeof lowerTrace>[1] = {}) => lowerTrace(record(network, randomTensor([2, 4, 6, 10], 'traced')).trace, options);
const refused = (network: Network, message: RegExp): void =>
  assert.throws(() => lower(network), (error: Error) => error instanceof ModelError && message.test(error.message) && !error.message.includes('\n'));

const convolution = (r: Recorder, input: Recorded, name: string, [out, inn, kernel]: number[]): Recorded => r.op('conv2d', {
  input, weight: r.parameter(`${name}.weight`, [out, inn, kernel, kernel], -0.3, 0.3), bias: r.parameter(`${name}.bias`, [out]),
  stride: [1, 1], padding: [(kernel - 1) / 2, (kernel - 1) / 2], dilation: [1, 1], groups: 1,
});

/** A small U-shaped residual network with most of what real ones have. */
const unet: Network = (input, r) => {
  const scaled = r.op('addScalar', { input: r.op('mulScalar', { input, value: 2 }), value: -1 });
  const top = r.op('gelu', { input: convolution(r, scaled, 'enter', [8, 3, 3]) });
  const down = r.op('pixelUnshuffle', { input: top, factor: 2 });
  const norm = r.op('layerNorm2d', { input: down, weight: r.parameter('norm.weight', [32]), bias: r.parameter('norm.bias', [32]), eps: 1e-6 });
  const [a, b] = r.all('chunk', { input: convolution(r, norm, 'middle', [32, 32, 1]), chunks: 2, dim: 1 });
  const gated = convolution(r, r.op('mul', { input: a, other: b }), 'leave', [32, 16, 1]);
  const up = r.op('pixelShuffle', { input: r.op('add', { input: gated, other: down }), factor: 2 });
  const joined = r.op('cat', { tensors: [up, top], dim: 1 });
  const residual = r.op('mulScalar', { input: convolution(r, joined, 'exit', [3, 16, 3]), value: 0.5 });
  return r.op('clamp', { input: r.op('add', { input, other: residual }), min: 0, max: 1 });
};

test('a whole network runs at other sizes and batches, in fp32 and with half-precision constants', async () => {
  const full = await checkNetwork(unet, { channels: 3, low: 0, high: 1, multiple: 2 });
  const half = await checkNetwork(unet, { channels: 3, low: 0, high: 1, multiple: 2, half: true, tolerance: 1 / 255 });
  assert.equal(full.mixesWholeImage, false);
  const size = (graph: OnnxGraph): number => buildOnnx(graph).length;
  const parameters = full.graph.initializers.filter(({ name }) => /weight|bias/.test(name));
  assert.equal(parameters.length, 10);
  const saved = parameters.reduce((sum, { dims }) => sum + 2 * dims.reduce((a, b) => a * b, 1), 0);
  assert.ok(Math.abs(size(full.graph) - size(half.graph) - saved) < 1000, 'two bytes a parameter less, but for the Cast nodes');
  assert.ok(half.graph.initializers.filter(({ name }) => /weight|bias/.test(name)).every(({ type }) => type === 'float16'));
});

test('metadata come back, whatever the characters', () => {
  const metadata = { 'unshake.name': 'naïve – 手ぶれ', 'unshake.multiple': '8', empty: '' };
  assert.deepEqual(readMetadata(buildOnnx({ ...lower(unet3).graph, metadata })), metadata);
  assert.deepEqual(readMetadata(buildOnnx(lower(unet3).graph)), {});
});
const unet3: Network = (input, r) => convolution(r, input, 'only', [3, 4, 1]);

test('weights come back by name: as they were in float32, rounded in half precision', () => {
  const written = lower(unet3).graph.initializers.filter(({ name }) => /weight|bias/.test(name));
  for (const half of [false, true]) {
    const read = readWeights(buildOnnx(lower(unet3, { half }).graph), 'model.onnx');
    for (const { name, dims, data } of written) {
      assert.deepEqual(read.get(name)!.shape, dims);
      assert.deepEqual([...read.get(name)!.data], Array.from(data as Float32Array, (value) => (half ? fromFloat16(toFloat16(value)) : value)));
    }
  }
  assert.throws(() => readWeights(new TextEncoder().encode('no model'), 'photo.onnx'), (error: Error) => error instanceof ModelError && /photo\.onnx is not an ONNX model/.test(error.message));
});

test('what is not an ONNX model is refused, naming it', () => {
  const bytes = buildOnnx(lower(unet3).graph), random = randomAt(5);
  const others = [
    new Uint8Array(0), new Uint8Array(100), new TextEncoder().encode('{"not": "onnx"}'), new TextEncoder().encode('hello world, hello world'),
    Uint8Array.from({ length: 1000 }, () => random.integer(256)), Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    bytes.subarray(0, 20), bytes.subarray(0, bytes.length - 1), bytes.subarray(10),
    Uint8Array.of(0x3a, 0, 0x42, 0), Uint8Array.of(8, 8, 0x42, 0), Uint8Array.of(8, 8, 0x3a, 0), // without version, graph, operator set
  ];
  for (const other of others) assert.throws(() => readMetadata(other, 'photo.onnx'), (error: Error) => error instanceof ModelError && /photo\.onnx is not an ONNX model/.test(error.message));
});

test('constants are written once under their names, and only those that are read', () => {
  const { graph } = lower((input, r) => {
    const weight = r.parameter('shared.weight', [4, 4, 1, 1]), args = { weight, bias: null, stride: [1, 1], padding: [0, 0], dilation: [1, 1], groups: 1 };
    const once = r.op('conv2d', { input, ...args }), twice = r.op('conv2d', { input: once, ...args });
    r.op('mul', { input: twice, other: r.parameter('unused', [1, 4, 1, 1]) });
    return r.op('addScalar', { input: r.op('addScalar', { input: twice, value: 0.5 }), value: 0.5 });
  });
  assert.deepEqual(graph.initializers.map(({ name }) => name).sort(), ['constant_1', 'shared.weight']);
  assert.deepEqual(graph.nodes.map(({ op }) => op), ['Conv', 'Conv', 'Add', 'Add', 'Identity']);
});

test('names that clash are told apart', async () => {
  await checkNetwork((input, r) => r.op('add', { input: r.op('mul', { input, other: r.parameter('input', [1, 4, 1, 1]) }), other: r.parameter('output', [1, 4, 1, 1]) }));
  await checkNetwork((input, r) => r.op('relu', { input: r.op('mul', { input, other: r.parameter('mul_0', [1, 4, 1, 1]) }) }));
});

test('a network that gives its input back, or reads an output twice, still has an output', async () => {
  await checkNetwork((input) => input);
  await checkNetwork((input, r) => { const y = r.op('relu', { input }); r.op('neg', { input: y }); return y; });
});

test('statistics over the whole image are noticed', () => {
  const mixes = (network: Network): boolean => lower(network).mixesWholeImage;
  assert.equal(mixes((input, r) => r.op('instanceNorm', { input, weight: null, bias: null, eps: 1e-5 })), true);
  assert.equal(mixes((input, r) => r.op('instanceNormLeakyRelu', { input, eps: 1e-5, negativeSlope: 0.1 })), true);
  assert.equal(mixes((input, r) => r.op('mul', { input, other: r.op('mean', { input, dims: [2, 3], keepDim: true }) })), true);
  assert.equal(mixes((input, r) => r.op('mul', { input, other: r.op('mean', { input, dims: [1], keepDim: true }) })), false);
});

test('a size that was frozen while tracing is refused, naming the op', () => {
  refused((input, r) => r.op('narrow', { input, dim: 2, start: 1, length: 4 }), /narrow can't be written as ONNX: it takes 4 of dimension 2/);
  refused((input, r) => r.op('narrow', { input, dim: 0, start: 0, length: 1 }), /narrow .* dimension 0/);
  refused((input, r) => r.all('chunk', { input, chunks: 2, dim: 3 })[0], /chunk .* cuts dimension 3/);
  refused((input, r) => r.op('reshape', { input, shape: [2, 4, 3, 2, 10] }), /reshape .* splits a size that follows the image/);
  refused((input, r) => r.op('reshape', { input: r.op('reshape', { input, shape: [2, 4, 60] }), shape: [2, 4, 6, 10] }), /reshape .* splits a size/);
  refused((input, r) => r.op('reshape', { input, shape: [2, 4, 3, 20] }), /reshape/);
  refused((input, r) => r.op('reshape', { input, shape: [2, 2, 2, 6, 10] }), /reshape .* 2 sizes that follow the image/);
  refused((input, r) => r.op('add', { input, other: r.parameter('position', [1, 4, 6, 10]) }), /add .* always 6 in the other/);
  refused((input, r) => r.op('cat', { tensors: [input, r.parameter('grid', [2, 1, 6, 10])], dim: 1 }), /cat .* dimension 0/);
  refused((input, r) => r.op('matmul', { input, other: r.parameter('mixing', [10, 10]) }), /matmul .* always 10/);
});

test('what ONNX or this exporter does not have is refused, naming the op', () => {
  const unknown = record((input, r) => r.op('relu', { input }), randomTensor([2, 4, 6, 10], 'traced')).trace;
  unknown.nodes[0].op = 'sort';
  assert.throws(() => lowerTrace(unknown), /sort can't be written as ONNX/);
  unknown.nodes[0].op = 'toString';
  assert.throws(() => lowerTrace(unknown), /toString can't be written as ONNX/);
  refused((input, r) => r.op('toDtype', { input, dtype: 'bfloat16' }), /toDtype/);
  refused((input, r) => r.op('dropout', { input, p: 0.5, training: true }), /dropout .* eval mode/);
  refused((input, r) => {
    const c = (name: string) => r.parameter(name, [4], 0.1, 1);
    return r.op('batchNorm', { input, weight: c('w'), bias: c('b'), runningMean: c('m'), runningVar: c('v'), training: true, momentum: 0.1, eps: 1e-5 });
  }, /batchNorm .* eval mode/);
  refused((input, r) => r.op('mul', { input, other: r.record(randomTensor([1, 4, 1, 1], 'stray')) }), /mul .* outside of the traced function/);
  refused((input, r) => r.op('mean', { input, dims: [2, 3], keepDim: false }), /output to be N, C, H, W, received the shape \[2,4\]/);
  refused((input, r) => r.op('maxPool2d', { input, kernel: [2, 2], stride: [2, 2], padding: [0, 0], dilation: [1, 1], ceilMode: true }), /maxPool2d .* ceilMode/);
});

test('half precision rounds to nearest, ties to even, and refuses what it cannot hold', () => {
  const known: [number, number][] = [[0, 0], [1, 0x3c00], [-2, 0xc000], [65504, 0x7bff], [65520, 0x7c00], [70000, 0x7c00], [1e30, 0x7c00], [2 ** -14, 0x0400], [2 ** -24, 1], [2 ** -25, 0], [1.5 * 2 ** -25, 1],
    [1 + 2 ** -11, 0x3c00], [1 + 3 * 2 ** -11, 0x3c02], [1 / 3, 0x3555], [Infinity, 0x7c00], [2047.75, 0x6800], [2 ** -14 - 2 ** -26, 0x0400]];
  for (const [value, bits] of known) assert.equal(toFloat16(value), bits, String(value));
  assert.equal(toFloat16(-0), 0x8000);
  for (let bits = 0; bits < 0x7c00; bits++) {
    assert.equal(toFloat16(fromFloat16(bits)), bits);
    assert.equal(toFloat16(-fromFloat16(bits)), bits | 0x8000);
  }
  assert.ok(Number.isNaN(fromFloat16(toFloat16(NaN))));
  const large: Network = (input, r) => r.op('mul', { input, other: r.parameter('big.weight', [1, 4, 1, 1], 70000, 80000) });
  assert.throws(() => lower(large, { half: true }), (error: Error) => error instanceof ModelError && /big\.weight holds .* --half/.test(error.message));
});
