/** Handles and bytes return to where they were: after every op, after every way out of a scope, over training steps. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, suite, test } from 'node:test';
import * as t from '../src/index.js';
import { count, draw, ladder, normal } from './draw.js';
import { samples } from './samples.js';

suite('handles and scopes', () => {
  let start = t.memory();
  beforeEach(() => { start = t.memory(); });
  afterEach(() => assert.deepEqual(t.memory(), start, 'handles or bytes were left behind'));

  test('each op makes the handles it returns and no others, with and without gradients', () => {
    for (const [name, calls] of Object.entries(samples)) {
      for (const { inputs, run } of calls) {
        t.scope(() => {
          const random = draw(name);
          const own = inputs.map(({ shape, low = -2, high = 2 }) => t.tensor(ladder(random, count(shape), low, high), shape).setRequiresGrad(true));
          t.scope(() => {
            const output = [run(...own)].flat();
            if (output.some((tensor) => tensor.requiresGrad)) t.backward(t.sum(output[0]));
          });
          assert.equal(t.memory().tensors, start.tensors + own.length, name);
        });
        assert.deepEqual(t.memory(), start, name);
      }
    }
  });

  test('an op that throws makes none', () => {
    t.scope(() => {
      const a = t.zeros([2, 3]), b = t.zeros([4, 5]);
      const before = t.memory();
      assert.throws(() => t.matmul(a, b), t.TorchError);
      assert.throws(() => t.cat([a, b], 0), t.TorchError);
      assert.deepEqual(t.memory(), before);
    });
  });

  test('a scope that throws releases what it made, and gives the outer scope back', () => {
    t.scope(() => {
      let inside: t.Tensor | null = null;
      assert.throws(() => t.scope(() => { inside = t.zeros([4]); throw new Error('on purpose'); }), /on purpose/);
      assert.ok(inside!.released as boolean);
      assert.equal(t.memory().tensors, start.tensors);
      t.zeros([4]); // belongs to the outer scope again: afterEach would miss it
    });
  });

  test('returned structures move outward, the rest goes', () => {
    t.scope(() => {
      const outer = t.zeros([1]);
      const result = t.scope(() => {
        const gone = t.zeros([1]);
        const inner = t.scope(() => ({ deep: [t.full([1], 1), { deeper: t.full([1], 2) }], map: new Map([['a', t.full([1], 3)]]), set: new Set([t.full([1], 4)]), number: 1, nothing: null, outer, gone }));
        assert.ok(!gone.released);
        return { deep: inner.deep, map: inner.map, set: inner.set, outer };
      });
      const [first, second] = result.deep as [t.Tensor, { deeper: t.Tensor }];
      assert.deepEqual([first, second.deeper, result.map.get('a')!, ...result.set].map((tensor) => tensor.item()), [1, 2, 3, 4]);
      assert.equal(t.memory().tensors, start.tensors + 5);
      assert.equal(outer.item(), 0);
    });
  });

  test('keep() and outsideScopes() outlive every scope until release()', () => {
    const [kept, outside] = t.scope(() => t.scope(() => {
      const both = [t.keep(t.zeros([2])), t.outsideScopes(() => t.zeros([2]))];
      return { unrelated: both.map((tensor) => () => tensor) };
    })).unrelated.map((get) => get());
    assert.ok(!kept.released && !outside.released);
    assert.equal(t.memory().tensors, start.tensors + 2);
    for (const tensor of [kept, outside]) tensor.release();
    assert.throws(() => t.outsideScopes(() => { throw new Error('on purpose'); }), /on purpose/);
    t.scope(() => { assert.throws(() => t.outsideScopes(() => { throw new Error('on purpose'); })); t.zeros([1]); });
  });

  test('a promise in a scope is a TypeError, and what was made before the await goes', () => {
    assert.throws(() => t.scope(async () => { t.zeros([8]); await null; }), (error) => error instanceof TypeError && /synchronous/.test(error.message));
    assert.throws(() => t.scope(() => Promise.reject(new Error('must not surface as an unhandled rejection'))), TypeError);
  });

  test('use after release names the shape and the op', () => {
    const x = t.zeros([3, 4]);
    const { shape } = x;
    x.release();
    x.release();
    assert.deepEqual(shape, [3, 4]);
    assert.throws(() => t.relu(x), (error) => error instanceof t.TensorReleasedError && /relu.*\[3,4\].*released/.test(error.message));
    assert.throws(() => x.item(), t.TensorReleasedError);
    assert.throws(() => x.dtype, t.TensorReleasedError);
    const escaped = t.scope(() => { const inner = t.zeros([5]); return () => inner; })();
    assert.throws(() => t.add(escaped, escaped), /add: tensor \[5\] was used after it was released/);
    assert.equal(String(escaped), 'Tensor(released)');
  });

  test('Symbol.dispose releases', () => {
    const x = t.zeros([3]);
    x[Symbol.dispose]();
    assert.ok(x.released);
  });

  test('bytes count a storage once, however many views share it, until the last is gone', () => t.scope(() => {
    const base = t.zeros([1024]);
    assert.equal(t.memory().bytes, start.bytes + 4096);
    const views = [t.reshape(base, [32, 32]), t.narrow(base, 0, 0, 10), t.detach(base), ...t.chunk(base, 4, 0), t.expand(t.reshape(base, [1, 1024]), [10, 1024])];
    assert.equal(t.memory().bytes, start.bytes + 4096);
    base.release();
    assert.equal(t.memory().bytes, start.bytes + 4096);
    assert.equal(views[0].toArray().length, 1024);
    for (const view of views) view.release();
    assert.equal(t.memory().tensors, start.tensors + 1); // what expand() was made of
    assert.deepEqual(t.zeros([0]).shape, [0]);
    assert.equal(t.memory().bytes, start.bytes + 4096);
  }));

  test('50 training steps leave handles and bytes where they were', () => {
    class Net extends t.Module {
      first = new t.Conv2d(3, 8, 3, { padding: 1 });
      norm = new t.BatchNorm2d(8);
      slope = new t.PReLU(8);
      last = new t.ConvTranspose2d(8, 3, 3, { padding: 1 });
      forward(x: t.Tensor): t.Tensor { return this.last.forward(this.slope.forward(t.instanceNormLeakyRelu(this.norm.forward(this.first.forward(x))))); }
    }
    const net = new Net().moveTo('cpu');
    const optimizer = t.Adam(net.parameters()), ema = new t.Ema(net.stateDict(), 0.99);
    const random = draw('training');
    const step = (i: number): number => t.scope(() => {
      const x = t.channelsLast(normal(random, [2, 3, 8, 8])), y = t.channelsLast(normal(random, [2, 3, 8, 8]));
      const loss = t.autocast(() => t.l1Loss(t.toDtype(net.forward(x), 'float32'), y));
      optimizer.zeroGrad();
      t.backward(loss);
      t.clipGradNorm(optimizer.parameters, 1);
      optimizer.step();
      ema.update(net.stateDict(), i);
      return loss.item();
    });
    step(1);
    const before = t.memory();
    for (let i = 2; i <= 51; i++) assert.ok(Number.isFinite(step(i)));
    assert.deepEqual(t.memory(), before);
    assert.equal(before.tensors - start.tensors, net.stateDict().size * 2 + net.parameters().length * 2);
    optimizer.zeroGrad();
    for (const owner of [net, optimizer, ema]) owner.release();
  });
});
