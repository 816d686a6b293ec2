/** Our instance norm kernel, alone and fused with LeakyReLU, against the formula in float64 and against the op-by-op form. */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import * as t from '../src/index.js';
import { draw, normal, withSeed } from './draw.js';

const shapes = [[1, 3, 5, 7], [2, 8, 16, 16], [3, 33, 9, 31], [2, 128, 12, 20], [1, 1, 3, 5], [1, 64, 40, 67]] as const;

/** leaky((x − mean) / √(variance + eps)) and its gradient for the output's gradient g, in float64, from N, C, H, W data. */
function exact(x: ArrayLike<number>, g: ArrayLike<number>, [n, c, h, w]: readonly number[], slope: number, eps: number): { y: Float64Array; dx: Float64Array } {
  const pixels = h * w, y = new Float64Array(x.length), dx = new Float64Array(x.length);
  for (let plane = 0; plane < n * c; plane++) {
    const from = plane * pixels, all = Array.from({ length: pixels }, (_, i) => x[from + i]);
    const mean = all.reduce((total, value) => total + value, 0) / pixels;
    const rstd = 1 / Math.sqrt(all.reduce((total, value) => total + (value - mean) ** 2, 0) / pixels + eps);
    const normalised = all.map((value) => (value - mean) * rstd);
    const inner = normalised.map((value, i) => g[from + i] * (value > 0 ? 1 : slope));
    const meanInner = inner.reduce((total, value) => total + value, 0) / pixels;
    const meanProduct = inner.reduce((total, value, i) => total + value * normalised[i], 0) / pixels;
    normalised.forEach((value, i) => {
      y[from + i] = value > 0 ? value : value * slope;
      dx[from + i] = rstd * (inner[i] - meanInner - value * meanProduct);
    });
  }
  return { y, dx };
}

function worst(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let largest = 0;
  for (let i = 0; i < expected.length; i++) largest = Math.max(largest, Math.abs(actual[i] - expected[i]));
  return largest;
}

/** For gradients: leaves out the elements so near to LeakyReLU's kink that rounding decides their side. */
function worstOffKink(actual: ArrayLike<number>, { y, dx }: { y: Float64Array; dx: Float64Array }): number {
  const clear = Array.from(dx.keys()).filter((i) => Math.abs(y[i]) > 1e-4);
  return worst(clear.map((i) => actual[i]), clear.map((i) => dx[i]));
}

function run(x: t.Tensor, g: t.Tensor, slope: number): { y: ArrayLike<number>; dx: ArrayLike<number> } {
  const leaf = t.detach(x).setRequiresGrad(true);
  const y = slope === 1 ? t.instanceNorm(leaf) : t.instanceNormLeakyRelu(leaf, { negativeSlope: slope });
  const [dx] = t.gradients([y], [leaf], { gradOutputs: [g] });
  return { y: t.toDtype(y, 'float32').toArray() as Float32Array, dx: t.toDtype(dx!, 'float32').toArray() as Float32Array };
}

suite('instance norm', () => {
  const threads = t.numThreads();
  after(() => t.setNumThreads(threads));

  for (const shape of shapes) {
    for (const slope of [1, 0.2]) {
      test(`[${shape.join(',')}] ${slope === 1 ? 'alone' : 'with LeakyReLU'}`, () => t.scope(() => {
        const random = draw(`${shape.join()} ${slope}`);
        const x = normal(random, shape, { mean: 0.5, std: 2 }), g = normal(random, shape);
        const right = exact(x.toArray() as Float32Array, g.toArray() as Float32Array, shape, slope, 1e-5);
        for (const place of [t.channelsLast, t.contiguous]) { // the kernel, and the op-by-op form
          const { y, dx } = run(place(x), place(g), slope);
          assert.ok(worst(y, right.y) <= 1e-5, withSeed(`forward ${worst(y, right.y)}`));
          assert.ok(worstOffKink(dx, right) <= 2e-5, withSeed(`gradient ${worstOffKink(dx, right)}`));
        }
        const narrow = t.toDtype(x, 'bfloat16'), gNarrow = t.toDtype(g, 'bfloat16'), wide = (tensor: t.Tensor) => t.toDtype(tensor, 'float32').toArray() as Float32Array;
        const rounded = exact(wide(narrow), wide(gNarrow), shape, slope, 1e-5);
        for (const place of [t.channelsLast, t.contiguous]) {
          const { y, dx } = run(place(narrow), place(gNarrow), slope);
          assert.ok(worst(y, rounded.y) <= 0.02, withSeed(`bfloat16 forward ${worst(y, rounded.y)}`));
          assert.ok(worstOffKink(dx, rounded) <= 0.05, withSeed(`bfloat16 gradient ${worstOffKink(dx, rounded)}`));
        }
      }));
    }
  }

  test('a mean of 1000 with deviation 1 stays accurate', () => t.scope(() => {
    const shape = [2, 8, 64, 64], random = draw('offset');
    const x = normal(random, shape, { mean: 1000 }), g = normal(random, shape);
    const right = exact(x.toArray() as Float32Array, g.toArray() as Float32Array, shape, 0.2, 1e-5);
    for (const place of [t.channelsLast, t.contiguous]) {
      const { y, dx } = run(place(x), place(g), 0.2);
      assert.ok(worst(y, right.y) <= 5e-4, withSeed(`forward ${worst(y, right.y)}`)); // float32 has steps of 6e-5 at 1000
      assert.ok(worstOffKink(dx, right) <= 5e-4, withSeed(`gradient ${worstOffKink(dx, right)}`));
    }
  }));

  test('a constant image gives zeros and finite gradients; NaN stays NaN in its own plane', () => t.scope(() => {
    for (const dtype of ['float32', 'bfloat16'] as const) {
      const { y, dx } = run(t.channelsLast(t.full([1, 4, 8, 8], 3, { dtype })), t.channelsLast(t.full([1, 4, 8, 8], 1, { dtype })), 0.2);
      assert.equal(worst(y, new Float32Array(256)), 0);
      assert.ok(Array.from(dx).every(Number.isFinite));
      const data = (normal(draw('NaN'), [2, 2, 4, 4]).toArray() as Float32Array).slice();
      data[5] = NaN;
      const out = t.toDtype(t.instanceNormLeakyRelu(t.channelsLast(t.toDtype(t.tensor(data, [2, 2, 4, 4]), dtype))), 'float32').toArray() as Float32Array;
      assert.ok(out.subarray(0, 16).every(Number.isNaN) && !out.subarray(16).some(Number.isNaN));
    }
  }));

  test('one thread and two give the same bits', () => t.scope(() => {
    for (const shape of [[2, 33, 61, 67], [1, 128, 64, 64]]) {
      const random = draw(`threads ${shape.join()}`);
      for (const dtype of ['float32', 'bfloat16', 'float64'] as const) {
        const x = t.channelsLast(t.toDtype(normal(random, shape), dtype)), g = t.channelsLast(t.toDtype(normal(random, shape), dtype));
        const [one, two] = [1, 2].map((count) => { t.setNumThreads(count); return run(x, g, 0.2); });
        assert.deepEqual(one, two);
      }
    }
  }));

  test('what it cannot do is refused', () => t.scope(() => {
    assert.throws(() => t.instanceNorm(t.zeros([1, 3, 1, 1])), /instanceNorm: .*more than one pixel.*\[1,3,1,1\]/);
    assert.throws(() => t.instanceNormLeakyRelu(t.zeros([3, 4, 4])), /instanceNormLeakyRelu: expected N, C, H, W/);
    assert.throws(() => t.instanceNorm(t.zeros([1, 1, 4, 4]), t.zeros([3])), /1 channels needs as many weights, got 3/);
  }));
});
