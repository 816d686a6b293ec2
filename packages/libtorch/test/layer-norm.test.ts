/** Our norm over channels, on every instruction set this processor has, against the formula composed of other ops in float64. */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import * as t from '../src/index.js';
import { draw, normal, withSeed } from './draw.js';

const shapes = [[1, 3, 5, 7], [2, 8, 16, 16], [3, 33, 9, 31], [2, 128, 12, 20], [1, 5, 3, 5], [1, 72, 40, 67]] as const;

interface Operands { x: t.Tensor; weight: t.Tensor; bias: t.Tensor; g: t.Tensor }

const definition = ({ x, weight, bias }: Operands): t.Tensor => {
  const centred = t.sub(x, t.mean(x, [1], { keepDim: true })), by = (affine: t.Tensor) => t.reshape(affine, [1, -1, 1, 1]);
  return t.add(t.mul(t.mul(centred, t.rsqrt(t.addScalar(t.mean(t.square(centred), [1], { keepDim: true }), 1e-6))), by(weight)), by(bias));
};
const ours = ({ x, weight, bias }: Operands): t.Tensor => t.layerNorm2d(x, weight, bias);

const numbers = (x: t.Tensor): Float64Array => t.toDtype(x, 'float64').toArray() as Float64Array;
const norm = (values: Float64Array): number => Math.sqrt(values.reduce((total, value) => total + value * value, 0));
const distance = (a: Float64Array, b: Float64Array): number => norm(a.map((value, i) => value - b[i])) / norm(b);

/** Output, and the gradients of Σ output · g by x, weight and bias. Weights stay float32 beside a bfloat16 x, as in autocast. */
function measure({ x, weight, bias, g }: Operands, dtype: t.DType, run: (operands: Operands) => t.Tensor): Float64Array[] {
  const leaf = (tensor: t.Tensor, as: t.DType) => t.clone(t.toDtype(tensor, as)).setRequiresGrad(true);
  const place = (tensor: t.Tensor) => t.channelsLast(t.toDtype(tensor, dtype)), affine = dtype === 'bfloat16' ? 'float32' : dtype;
  const operands = { x: place(x).setRequiresGrad(true), weight: leaf(weight, affine), bias: leaf(bias, affine), g: place(g) };
  const output = run(operands);
  assert.equal(output.dtype, dtype);
  return [output, ...t.gradients([output], [operands.x, operands.weight, operands.bias], { gradOutputs: [operands.g] }).map((gradient) => gradient!)].map(numbers);
}

suite('layer norm', () => {
  const threads = t.numThreads(), best = t.limitIsa('auto');
  const isas = (['avx2', 'avx512', 'avx512_bf16', 'none'] as const).filter((isa) => t.limitIsa(isa) === isa);
  t.limitIsa('auto');
  after(() => { t.setNumThreads(threads); t.limitIsa('auto'); });

  for (const shape of shapes) {
    test(`[${shape.join(',')}]: output and gradients, one thread and two`, () => t.scope(() => {
      const random = draw(shape.join()), channels = shape[1];
      const drawn = { x: normal(random, shape, { mean: 3, std: 2 }), weight: normal(random, [channels], { mean: 1, std: 0.3 }), bias: normal(random, [channels]), g: normal(random, shape) };
      for (const isa of isas) for (const count of [1, 2]) {
        t.limitIsa(isa);
        t.setNumThreads(count);
        for (const [dtype, allowed] of [['float32', 2e-5], ['bfloat16', 1e-2]] as const) {
          const rounded = Object.fromEntries(Object.entries(drawn).map(([name, tensor]) => [name, dtype === 'float32' || name === 'weight' || name === 'bias' ? tensor : t.toDtype(t.toDtype(tensor, dtype), 'float32')])) as unknown as Operands;
          const expected = measure(rounded, 'float64', definition);
          measure(rounded, dtype, ours).forEach((values, i) => {
            assert.ok(distance(values, expected[i]) <= allowed, withSeed(`${isa} ${dtype}: ${['output', 'x', 'weight', 'bias'][i]} is off by ${distance(values, expected[i])}`));
          });
        }
      }
    }));
  }

  test('a mean of 1000 with deviation 1 stays accurate', { skip: best === 'none' && 'no kernels for this processor' }, () => t.scope(() => {
    t.limitIsa('auto');
    const random = draw('offset'), shape = [2, 48, 6, 5];
    const drawn = { x: normal(random, shape, { mean: 1000 }), weight: normal(random, [48]), bias: normal(random, [48]), g: normal(random, shape) };
    const expected = measure(drawn, 'float64', definition);
    measure(drawn, 'float32', ours).forEach((values, i) => assert.ok(distance(values, expected[i]) <= 2e-4, withSeed(`${i}: ${distance(values, expected[i])}`)));
  }));

  test('the gradient of a gradient is that of the formula', { skip: best === 'none' && 'no kernels for this processor' }, () => t.scope(() => {
    t.limitIsa('auto');
    const random = draw('twice'), shape = [2, 20, 3, 4];
    const drawn = { x: normal(random, shape), weight: normal(random, [20]), bias: normal(random, [20]), g: normal(random, shape) };
    const twice = (dtype: t.DType, run: (operands: Operands) => t.Tensor): Float64Array[] => {
      const [x, weight, bias] = [drawn.x, drawn.weight, drawn.bias].map((tensor, i) => (i === 0 ? t.channelsLast(t.toDtype(tensor, dtype)) : t.clone(t.toDtype(tensor, dtype))).setRequiresGrad(true));
      const g = t.toDtype(drawn.g, dtype), output = run({ x, weight, bias, g });
      const [first] = t.gradients([t.sum(t.mul(t.square(output), g))], [x], { createGraph: true });
      return t.gradients([t.sum(t.square(first!))], [x, weight, bias]).map((gradient) => numbers(gradient!));
    };
    const expected = twice('float64', definition);
    twice('float32', ours).forEach((values, i) => assert.ok(distance(values, expected[i]) <= 1e-4, withSeed(`${i}: ${distance(values, expected[i])}`)));
  }));
});
