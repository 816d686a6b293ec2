/** Layers against PyTorch's: what they start with under one seed, what they give, their gradients; names, modes, loading, moving. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, suite, test } from 'node:test';
import * as t from '../src/index.js';

interface Case {
  name: string; shape: number[]; input: number[]; initial: Record<string, number[]>; outputShape: number[]; output: number[];
  inputGradient: number[]; gradients: Record<string, number[]>; after: Record<string, number[]>; evalOutput: number[];
}
const fixture = JSON.parse(readFileSync(new URL('../../test/fixtures/nn.json', import.meta.url), 'utf8')) as { torch: string; cases: Case[] };

type Layer = t.Module & { forward(x: t.Tensor): t.Tensor };
const layers: Record<string, () => Layer> = {
  'Conv2d': () => new t.Conv2d(4, 6, 3, { stride: 2, padding: 1 }),
  'Conv2d, groups': () => new t.Conv2d(4, 4, 3, { padding: 2, dilation: 2, groups: 2, bias: false }),
  'ConvTranspose2d': () => new t.ConvTranspose2d(4, 3, 3, { stride: 2, padding: 1, outputPadding: 1 }),
  'Linear': () => new t.Linear(5, 3),
  'BatchNorm2d': () => new t.BatchNorm2d(4),
  'BatchNorm2d, momentum': () => new t.BatchNorm2d(4, { eps: 0.1, momentum: 0.5 }),
  'InstanceNorm2d': () => new t.InstanceNorm2d(),
  'LayerNorm2d': () => new t.LayerNorm2d(4),
  'PReLU': () => new t.PReLU(4),
};

function near(actual: t.Tensor, expected: readonly number[], what: string): void {
  const values = actual.toArray() as Float32Array;
  assert.equal(values.length, expected.length, what);
  values.forEach((value, i) => assert.ok(Math.abs(value - expected[i]) <= 2e-6 * Math.max(1, Math.abs(expected[i])), `${what}, element ${i}: ${value}, PyTorch has ${expected[i]}`));
}

class Block extends t.Module {
  conv = new t.Conv2d(2, 2, 1);
  norm = new t.BatchNorm2d(2);
}

class Net extends t.Module {
  head = new t.Conv2d(3, 2, 3, { bias: false });
  body = [new Block(), new Block()];
  scale = t.parameter(() => t.full([1], 1));
  mean = t.buffer(() => t.zeros([3]));
  drop = new t.Dropout(0.5);
  label = 'not a tensor';
}

const blockNames = ['conv.weight', 'conv.bias', 'norm.weight', 'norm.bias', 'norm.running_mean', 'norm.running_var'];
const netNames = ['head.weight', ...[0, 1].flatMap((i) => blockNames.map((name) => `body.${i}.${name}`)), 'scale', 'mean'];

let start = t.memory();
beforeEach(() => { start = t.memory(); });
afterEach(() => assert.deepEqual(t.memory(), start));

suite(`layers of PyTorch ${fixture.torch}`, () => {
  for (const { name, shape, input, initial, outputShape, output, inputGradient, gradients, after, evalOutput } of fixture.cases) {
    test(name, () => t.scope(() => {
      t.manualSeed(5);
      const layer = layers[name](), state = layer.stateDict();
      assert.deepEqual([...state.keys()], Object.keys(initial));
      for (const [key, tensor] of state) assert.deepEqual(tensor.toArray(), Float32Array.from(initial[key]), `${key} at the start`);
      const x = t.tensor(Float32Array.from(input), shape).setRequiresGrad(true), y = layer.forward(x);
      assert.deepEqual(y.shape, outputShape);
      near(y, output, 'output');
      t.backward(t.sum(t.square(y)));
      near(x.grad!, inputGradient, 'gradient of the input');
      for (const [key, values] of Object.entries(gradients)) near(state.get(key)!.grad!, values, `gradient of ${key}`);
      for (const [key, values] of Object.entries(after)) near(state.get(key)!, values, `${key} afterwards`);
      near(layer.eval().forward(x), evalOutput, 'output in eval mode');
      for (const parameter of layer.parameters()) parameter.grad = null;
      layer.release();
    }));
  }
});

suite('modules', () => {
  test('name their tensors as PyTorch does, in the order of their fields', () => {
    const net = new Net();
    assert.deepEqual([...net.stateDict().keys()], netNames);
    assert.deepEqual(net.parameters().length, netNames.filter((name) => !/running|mean$/.test(name)).length);
    assert.equal(net.parameterCount, 54 + 2 * (4 + 2 + 2 + 2) + 1);
    net.release();
  });

  test('train() and eval() reach every child', () => {
    const net = new Net();
    net.eval();
    assert.deepEqual([net.training, net.body[1].norm.training, net.drop.training], [false, false, false]);
    net.train();
    assert.deepEqual([net.training, net.body[1].norm.training, net.drop.training], [true, true, true]);
    net.release();
  });

  test('loadStateDict copies values and casts them; what does not fit is named and changes nothing', () => t.scope(() => {
    const net = new Net(), other = new Net();
    net.loadStateDict(new Map([...other.stateDict()].map(([name, tensor]) => [name, t.toDtype(t.detach(tensor), 'float64')])));
    for (const [name, tensor] of net.stateDict()) {
      assert.deepEqual(tensor.toArray(), other.stateDict().get(name)!.toArray(), name);
      assert.equal(tensor.dtype, 'float32');
    }
    const before = net.head.weight.toArray();
    const broken = (change: (state: Map<string, t.Tensor>) => void) => {
      const state = new Map([...net.stateDict()].map(([name, tensor]) => [name, t.zerosLike(tensor)]));
      change(state);
      return () => net.loadStateDict(state);
    };
    assert.throws(broken((state) => state.delete('scale')), /missing: scale/);
    assert.throws(broken((state) => state.set('extra.weight', t.zeros([1]))), /unknown: extra\.weight/);
    assert.throws(broken((state) => state.set('mean', t.zeros([4]))), /mean \[4\] where \[3\] is expected/);
    assert.throws(broken((state) => state.clear()), /missing: head\.weight, .* and 11 more/);
    assert.deepEqual(net.head.weight.toArray(), before);
    net.release();
    other.release();
  }));

  test('moveTo keeps names, values and what is trained; 4-D weights become channels-last; no handle is left', () => t.scope(() => {
    const net = new Net(), old = net.head.weight, values = [...net.stateDict()].map(([, tensor]) => tensor.toArray());
    const handles = t.memory().tensors, trained = net.parameters().length;
    net.moveTo('cpu');
    assert.equal(t.memory().tensors, handles);
    assert.ok(old.released);
    assert.deepEqual([...net.stateDict().keys()], netNames);
    assert.deepEqual([...net.stateDict()].map(([, tensor]) => tensor.toArray()), values);
    assert.ok(net.head.weight.isChannelsLast && net.body[0].conv.weight.isChannelsLast);
    net.moveTo('cpu', 'float64');
    assert.equal(t.memory().tensors, handles);
    assert.ok([...net.stateDict()].every(([, tensor]) => tensor.dtype === 'float64'));
    assert.equal(net.parameters().length, trained);
    const x = t.randn([1, 3, 4, 4], { dtype: 'float64' });
    t.backward(t.sum(t.conv2d(x, net.head.weight)));
    assert.deepEqual(net.head.weight.grad!.shape, [2, 3, 3, 3]);
    net.head.weight.grad = null;
    net.release();
  }));

  test('parameters and buffers outlive scopes, and what made them does not', () => {
    const weight = t.scope(() => ({ get: ((made) => () => made)(t.parameter(() => t.mulScalar(t.randn([4]), 2))) })).get();
    assert.equal(t.memory().tensors, start.tensors + 1);
    assert.ok(weight.requiresGrad && !weight.released);
    weight.release();
  });
});
