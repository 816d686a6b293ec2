/** Dropout's own mask: as many zeros as asked for, independent of each other and of threads; one mask in both directions. */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import * as t from '../src/index.js';

const shape = [2, 24, 61, 67] as const, count = 2 * 24 * 61 * 67;

suite('dropout', () => {
  const threads = t.numThreads();
  after(() => t.setNumThreads(threads));

  /** 1 where a value was kept. Checks the scale. */
  const keptOf = (p: number, dtype: t.DType, laidOut: (x: t.Tensor) => t.Tensor = t.channelsLast): number[] => {
    const values = t.toDtype(t.dropout(laidOut(t.full(shape, 0.75, { dtype })), p, true), 'float64').toArray() as Float64Array;
    const scaled = values.reduce((most, value) => Math.max(most, value), 0);
    assert.ok(Math.abs(scaled - 0.75 / (1 - p)) <= 0.75 * 2 ** -8, `kept values became ${scaled}`);
    return Array.from(values, (value) => { assert.ok(value === 0 || value === scaled); return value === 0 ? 0 : 1; });
  };

  for (const dtype of ['float32', 'bfloat16', 'float64'] as const) {
    test(`${dtype}: the share of zeros, and no correlation of neighbours`, () => t.scope(() => {
      t.manualSeed(11);
      for (const p of [0.1, 0.5, 0.9]) for (const laidOut of [t.channelsLast, t.contiguous]) {
        const kept = keptOf(p, dtype, laidOut), deviation = Math.sqrt(p * (1 - p));
        const sum = kept.reduce((total, value) => total + value, 0);
        assert.ok(Math.abs(sum - (1 - p) * count) <= 5 * deviation * Math.sqrt(count), `p ${p}: ${sum} of ${count} kept`);
        for (const lag of [1, 2, 67, 61 * 67]) {
          const product = kept.slice(lag).reduce((total, value, i) => total + (value - (1 - p)) * (kept[i] - (1 - p)), 0);
          assert.ok(Math.abs(product) <= 5 * p * (1 - p) * Math.sqrt(count), `p ${p}, lag ${lag}: correlation ${product / (count * p * (1 - p))}`);
        }
      }
    }));
  }

  test('the layer drops while training only', () => t.scope(() => {
    const layer = new t.Dropout(0.3), x = t.full([100], 2);
    assert.ok((layer.forward(x).toArray() as Float32Array).includes(0));
    assert.deepEqual(layer.eval().forward(x).toArray(), x.toArray());
  }));

  test('a seed repeats it with any number of threads; the next call differs', () => t.scope(() => {
    const draws = [1, 2].map((threadCount) => {
      t.setNumThreads(threadCount);
      t.manualSeed(5);
      return [keptOf(0.5, 'float32'), keptOf(0.5, 'float32')];
    });
    assert.deepEqual(draws[1], draws[0]);
    assert.notDeepEqual(draws[0][1], draws[0][0]);
  }));

  test('the gradient passes where the value did, in another layout too', () => t.scope(() => {
    const x = t.channelsLast(t.full(shape, 1)).setRequiresGrad(true), y = t.dropout(x, 0.3, true);
    for (const laidOut of [t.channelsLast, t.contiguous]) {
      const [gradient] = t.gradients([y], [x], { gradOutputs: [laidOut(t.onesLike(y))], createGraph: true });
      assert.deepEqual(gradient!.toArray(), y.toArray());
    }
  }));
});
