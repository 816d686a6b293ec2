/** Grad mode and autocast: on, off, nested, restored after a throw, and per thread. And the traps of libtorch that the binding steps around. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, suite, test } from 'node:test';
import * as t from '../src/index.js';
import { draw, normal } from './draw.js';

const records = (x: t.Tensor): boolean => t.mulScalar(x, 2).requiresGrad;
const leaf = (shape: readonly number[] = [2]): t.Tensor => normal(draw('leaf'), shape).setRequiresGrad(true);

suite('grad mode', () => {
  test('noGrad and enableGrad nest, and are restored after a throw', () => t.scope(() => {
    const x = leaf();
    assert.ok(records(x));
    t.noGrad(() => {
      assert.ok(!records(x));
      t.enableGrad(() => {
        assert.ok(records(x));
        assert.throws(() => t.noGrad(() => { throw new Error('on purpose'); }), /on purpose/);
        assert.ok(records(x));
      });
      assert.throws(() => t.enableGrad(() => { throw new Error('on purpose'); }), /on purpose/);
      assert.ok(!records(x));
    });
    assert.ok(records(x));
    assert.throws(() => t.noGrad(() => t.matmul(x, t.zeros([3, 3]))), t.TorchError);
    assert.ok(records(x));
  }));

  test('a promise is refused, and the mode restored', () => t.scope(() => {
    const x = leaf();
    assert.throws(() => t.noGrad(async () => { await null; }), TypeError);
    assert.throws(() => t.autocast(() => Promise.resolve()), TypeError);
    assert.ok(records(x));
  }));

  test('backward adds up in .grad; gradients() leaves it alone and gives null for what is not used', () => t.scope(() => {
    const x = t.tensor([1, 2]).setRequiresGrad(true), unused = leaf();
    const loss = () => t.sum(t.square(x));
    const [gx, none] = t.gradients([loss()], [x, unused]);
    assert.deepEqual([...gx!.toArray()], [2, 4]);
    assert.equal(none, null);
    assert.equal(x.grad, null);
    t.backward(loss());
    t.backward(loss());
    assert.deepEqual([...x.grad!.toArray()], [4, 8]);
    x.grad = null;
    assert.equal(x.grad, null);
    const [weighted] = t.gradients([t.square(x)], [x], { gradOutputs: [t.tensor([10, 100])] });
    assert.deepEqual([...weighted!.toArray()], [20, 400]);
    t.backward(t.sum(t.square(t.gradients([loss()], [x], { createGraph: true })[0]!)));
    assert.deepEqual([...x.grad!.toArray()], [8, 16]); // d Σ(2x)² / dx
  }));
});

suite('autocast', () => {
  const dtypeOfProduct = (x: t.Tensor) => t.matmul(x, x).dtype;
  let x: t.Tensor;
  beforeEach(() => { x = t.keep(normal(draw('square'), [4, 4])); });
  afterEach(() => x.release());

  test('is on inside, off where disabled, and restored after a throw', () => t.scope(() => {
    assert.equal(dtypeOfProduct(x), 'float32');
    t.autocast(() => {
      assert.equal(dtypeOfProduct(x), 'bfloat16');
      t.autocast(() => assert.equal(dtypeOfProduct(x), 'float32'), { enabled: false });
      assert.throws(() => t.autocast(() => { throw new Error('on purpose'); }, { enabled: false }), /on purpose/);
      assert.equal(dtypeOfProduct(x), 'bfloat16');
    });
    assert.throws(() => t.autocast(() => t.matmul(x, t.zeros([5, 5]))), t.TorchError);
    assert.equal(dtypeOfProduct(x), 'float32');
    assert.equal(t.autocast(() => t.sum(t.toDtype(x, 'float64')), { enabled: true }).dtype, 'float64');
  }));

  for (const [name, layer, shape] of [
    ['conv2d', (input: t.Tensor, w: t.Tensor) => t.conv2d(input, w), [4, 4, 3, 3]],
    ['convTranspose2d', (input: t.Tensor, w: t.Tensor) => t.convTranspose2d(input, w), [4, 4, 3, 3]],
    ['linear', (input: t.Tensor, w: t.Tensor) => t.linear(input, w), [5, 6]],
  ] as const) {
    test(`${name}: a weight changed between two calls counts, also after a nested region and a throw`, () => t.scope(() => {
      const input = normal(draw(name), [1, 4, 6, 6]), weight = leaf(shape);
      const largest = (): number => t.autocast(() => t.max(t.abs(t.toDtype(layer(input, weight), 'float32')))).item();
      const set = (value: number) => t.noGrad(() => t.fill_(weight, value));
      set(1);
      assert.ok(largest() > 0);
      set(0);
      assert.equal(largest(), 0);
      set(1);
      const [outer, inner] = t.autocast(() => [layer(input, weight), t.autocast(() => layer(input, weight))]);
      assert.deepEqual(outer.toArray(), inner.toArray());
      set(0);
      assert.equal(largest(), 0);
      set(1);
      assert.throws(() => t.autocast(() => { layer(input, weight); throw new Error('on purpose'); }), /on purpose/);
      set(0);
      assert.equal(largest(), 0);
    }));
  }

  test('convTranspose2d runs in bfloat16 and its weight gets a float32 gradient', () => t.scope(() => {
    const weight = leaf([3, 5, 4, 4]), bias = leaf([5]);
    const input = normal(draw('convTranspose2d'), [2, 3, 5, 7]);
    const y = t.autocast(() => t.convTranspose2d(input, weight, bias, { stride: [2, 2], padding: [1, 1] }));
    assert.equal(y.dtype, 'bfloat16');
    assert.deepEqual(y.shape, [2, 5, 10, 14]);
    t.backward(t.sum(t.toDtype(y, 'float32')));
    assert.equal(weight.grad!.dtype, 'float32');
    assert.equal(bias.grad!.dtype, 'float32');
  }));

  test('float64 stays float64', () => t.scope(() => {
    const double = t.toDtype(normal(draw('double'), [1, 4, 6, 6]), 'float64'), weight = t.toDtype(normal(draw('weight'), [4, 2, 3, 3]), 'float64');
    assert.equal(t.autocast(() => t.convTranspose2d(double, weight)).dtype, 'float64');
  }));
});

suite('traps', () => {
  test('x / ‖x‖ has a NaN gradient at zero, unitNormalize a finite one', () => t.scope(() => {
    const x = t.zeros([1, 3, 2, 2]).setRequiresGrad(true);
    const plain = t.div(x, t.sqrt(t.sum(t.square(x), [1], { keepDim: true })));
    assert.ok(!t.allFinite([t.gradients([t.sum(plain)], [x])[0]!]));
    assert.ok(t.allFinite([t.gradients([t.sum(t.unitNormalize(x))], [x])[0]!]));
  }));

  test('unitNormalize is x / ‖x‖ elsewhere', () => t.scope(() => {
    const data = normal(draw('unit'), [2, 3, 2, 2]);
    const norms = t.sqrt(t.sum(t.square(t.unitNormalize(data)), [1])).toArray() as Float32Array;
    for (const norm of norms) assert.ok(Math.abs(norm - 1) < 1e-6);
  }));

  test('a gradient that is zero throughout has memory', () => t.scope(() => {
    // Autograd hands out a tensor without storage here; reading it used to end the process.
    for (const layer of [(x: t.Tensor) => x, (x: t.Tensor) => t.instanceNormLeakyRelu(x), (x: t.Tensor) => t.convTranspose2d(x, t.full([1, 2, 1, 1], 1))]) {
      const x = t.channelsLast(normal(draw('zero gradient'), [1, 1, 3, 3])).setRequiresGrad(true);
      const [first] = t.gradients([t.sum(t.abs(layer(x)))], [x], { createGraph: true });
      const [second] = t.gradients([t.sum(first!)], [x]);
      assert.ok((second!.toArray() as Float32Array).every(Number.isFinite));
    }
  }));

  test('losses are what their names say', () => t.scope(() => {
    const a = t.tensor([1, -2, 0.5]), b = t.tensor([0, 2, 0.5]);
    const near = (loss: t.Tensor, value: number) => assert.ok(Math.abs(loss.item() - value) < 1e-6, `${loss.item()} is not ${value}`);
    near(t.l1Loss(a, b), 5 / 3);
    near(t.mseLoss(a, b), 17 / 3);
    near(t.squaredNorm(a), 5.25);
    const bce = (target: number) => [1, -2, 0.5].reduce((total, x) => total - target * Math.log(1 / (1 + Math.exp(-x))) - (1 - target) * Math.log(1 - 1 / (1 + Math.exp(-x))), 0) / 3;
    for (const target of [0, 0.1, 0.9, 1]) near(t.bceWithLogits(a, target), bce(target));
    assert.ok(Number.isFinite(t.bceWithLogits(t.tensor([1000, -1000]), 1).item()));
    near(t.sum(t.blend(a, b, 0.25)), 0.25 * -0.5 + 0.75 * 2.5);
  }));
});
