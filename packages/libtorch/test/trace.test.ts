/** The op recorder: what it writes down, what it refuses, and that it is gone afterwards. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, suite, test } from 'node:test';
import * as t from '../src/index.js';

let start = t.memory();
beforeEach(() => { start = t.memory(); });
afterEach(() => assert.deepEqual(t.memory(), start));

suite('trace', () => {
  test('records ops, arguments, constants with their names, shapes and dtypes', () => t.scope(() => {
    const weight = t.tensor([1, 2, 3, 4], [2, 2, 1, 1]), bias = t.tensor([0.5, -0.5]), x = t.zeros([1, 2, 3, 4]);
    const { inputs, outputs, nodes, values, constants } = t.noGrad(() => t.trace((input) => {
      const y = t.leakyRelu(t.conv2d(input, weight, bias, { padding: [1, 0] }), 0.2);
      const [a, b] = t.chunk(y, 2, 1);
      return [t.cat([b, a], 1), t.clamp(y, 0, null)];
    }, [x], new Map([[weight, 'conv.weight']])));

    assert.deepEqual(nodes.map((node) => node.op), ['conv2d', 'leakyRelu', 'chunk', 'cat', 'clamp']);
    const [conv, leaky, chunk, cat, clamp] = nodes;
    assert.deepEqual(inputs, [x.id]);
    assert.deepEqual(conv.args, { input: { tensor: x.id }, weight: { tensor: weight.id }, bias: { tensor: bias.id }, stride: [1, 1], padding: [1, 0], dilation: [1, 1], groups: 1 });
    assert.deepEqual(leaky.args, { input: { tensor: conv.outputs[0] }, negativeSlope: 0.2 });
    assert.deepEqual(cat.args, { tensors: { tensors: [chunk.outputs[1], chunk.outputs[0]] }, dim: 1 });
    assert.deepEqual(clamp.args, { input: { tensor: leaky.outputs[0] }, min: 0, max: null });
    assert.deepEqual(outputs, [cat.outputs[0], clamp.outputs[0]]);
    assert.deepEqual(values.get(conv.outputs[0]), { shape: [1, 2, 5, 4], dtype: 'float32' });
    assert.deepEqual(values.get(chunk.outputs[1]), { shape: [1, 1, 5, 4], dtype: 'float32' });
    assert.deepEqual([...constants.keys()], [weight.id, bias.id]);
    assert.deepEqual(constants.get(weight.id), { name: 'conv.weight', shape: [2, 2, 1, 1], data: Float32Array.of(1, 2, 3, 4) });
    assert.equal(constants.get(bias.id)!.name, `constant_${bias.id}`);
  }));

  test('ids stay unambiguous when scopes release tensors on the way', () => t.scope(() => {
    const { nodes, outputs } = t.trace((x) => t.scope(() => t.add(t.scope(() => t.exp(t.neg(x))), x)), [t.zeros([2])]);
    assert.equal(new Set(nodes.flatMap((node) => node.outputs)).size, 3);
    assert.deepEqual(nodes[2].args.input, { tensor: nodes[1].outputs[0] });
    assert.deepEqual(outputs, nodes[2].outputs);
  }));

  test('constants come as float32 whatever they are; an input may be the output', () => t.scope(() => {
    const mask = t.gtScalar(t.tensor([-1, 1]), 0), index = t.tensor(BigInt64Array.of(3n, 4n)), double = t.tensor(Float64Array.of(0.1, 0.2));
    const { constants, values } = t.trace((x) => t.where(mask, t.add(x, index), double), [t.zeros([2])]);
    assert.deepEqual([...constants.values()].map(({ data }) => data), [[3, 4], [0, 1], [0.1, 0.2]].map((data) => Float32Array.from(data)));
    assert.deepEqual([...constants.keys()].map((id) => values.get(id)!.dtype), ['int64', 'bool', 'float64']);
    const x = t.zeros([2]);
    assert.deepEqual(t.trace((input) => input, [x]).outputs, [x.id]);
  }));

  test('refuses what changes tensors in place, before it does', () => t.scope(() => {
    const x = t.zeros([2]);
    assert.throws(() => t.trace((input) => t.addScalar_(input, 1), [x]), /trace: addScalar_ changes a tensor in place/);
    assert.deepEqual([...x.toArray()], [0, 0]);
  }));

  test('does not nest, and leaves nothing behind when the function throws', () => t.scope(() => {
    const x = t.zeros([2]);
    assert.throws(() => t.trace((input) => { t.trace((inner) => inner, [input]); return input; }, [x]), /already recording/);
    assert.throws(() => t.trace(() => { throw new Error('on purpose'); }, [x]), /on purpose/);
    assert.throws(() => t.trace((input) => t.matmul(input, t.zeros([5])), [x]), t.TorchError);
    t.addScalar_(x, 1); // no recorder left that would refuse
    assert.deepEqual(t.trace((input) => t.relu(input), [x]).nodes.map((node) => node.op), ['relu']);
  }));

  test('a whole module, its parameters by name', () => t.scope(() => {
    const net = new t.Conv2d(3, 4, 3).eval();
    const names = new Map([...net.stateDict()].map(([name, tensor]) => [tensor, name]));
    const { constants } = t.noGrad(() => t.trace((x) => net.forward(x), [t.zeros([1, 3, 8, 8])], names));
    assert.deepEqual([...constants.values()].map(({ name }) => name), ['weight', 'bias']);
    net.release();
  }));
});
