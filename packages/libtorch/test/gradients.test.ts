/** Every differentiable op, and the gradient of its gradient, against central differences in float64 on fresh random input. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { channelsLast, enableGrad, gradients, mul, scope, specs, sum, add, tensor, type Tensor } from '../src/index.js';
import { count, draw, ladder, withSeed, type Draw } from './draw.js';
import { samples, type Sample } from './samples.js';

interface Values { data: Float64Array; shape: readonly number[] }
type Scalar = (...inputs: Tensor[]) => Tensor;

const place = ({ data, shape }: Values, nhwc: boolean): Tensor => nhwc && shape.length === 4 ? channelsLast(tensor(data, shape)) : tensor(data, shape);

/** Σ outputs · weights, the weights drawn once, so that every output element counts differently. */
function weighted(random: Draw, run: Sample['run']): Scalar {
  const weights: Float64Array[] = [];
  return (...inputs) => [run(...inputs)].flat()
    .map((output, i) => {
      weights[i] ??= ladder(random, Math.max(2, output.numel), -1, 1).slice(0, output.numel);
      const weight = tensor(output.dtype === 'float32' ? Float32Array.from(weights[i]) : weights[i], output.shape);
      return sum(mul(output, weight));
    })
    .reduce((total, part) => add(total, part));
}

/** Σ (d f / d inputs) · weights: its gradient is f's second-order one. */
function gradientOf(random: Draw, fn: Scalar): Scalar {
  const weights: Float64Array[] = [];
  return (...inputs) => enableGrad(() => {
    const leaves = inputs.map((input) => input.requiresGrad ? input : input.setRequiresGrad(true));
    return gradients([fn(...leaves)], leaves, { createGraph: true })
      .map((gradient, i) => {
        weights[i] ??= ladder(random, Math.max(2, count(inputs[i].shape)), -1, 1).slice(0, count(inputs[i].shape));
        return gradient && sum(mul(gradient, tensor(weights[i], gradient.shape)));
      })
      .filter((part) => part !== null).reduce((total, part) => add(total, part));
  });
}

function check(label: string, fn: Scalar, values: readonly Values[], { nhwc, step = 1e-5, tolerance = 1e-6 }: { nhwc: boolean; step?: number; tolerance?: number }): void {
  const value = (changed: readonly Values[]) => scope(() => fn(...changed.map((input) => place(input, nhwc))).item());
  const analytic = scope(() => {
    const leaves = values.map((input) => place(input, nhwc).setRequiresGrad(true));
    const output = fn(...leaves);
    if (!output.requiresGrad) return values.map(({ data }) => new Float64Array(data.length));
    return gradients([output], leaves).map((gradient, i) => gradient ? gradient.toArray() as Float64Array : new Float64Array(values[i].data.length));
  });
  for (const [i, { data, shape }] of values.entries()) {
    for (let element = 0; element < data.length; element++) {
      const [above, below] = [step, -step].map((shift) => {
        const moved = data.slice();
        moved[element] += shift;
        return value(values.map((input, j) => j === i ? { data: moved, shape } : input));
      });
      const numeric = (above - below) / (2 * step), error = Math.abs(numeric - analytic[i][element]) / Math.max(1, Math.abs(numeric));
      assert.ok(error <= tolerance, withSeed(`${label}: d/d input ${i} [${shape.join(',')}] element ${element} is ${analytic[i][element]}, finite differences say ${numeric}`));
    }
  }
}

const drawn = (label: string, { inputs }: Sample): Values[] => {
  const random = draw(label);
  return inputs.map(({ shape, low = -2, high = 2 }) => ({ data: ladder(random, count(shape), low, high), shape }));
};

suite('gradients against finite differences', () => {
  const differentiable = Object.values(specs).filter((spec) => spec.differentiable).map((spec) => spec.name) as (keyof typeof specs)[];

  test('ops.json, the generated specs and the samples are of the same ops', () => {
    const listed = (JSON.parse(readFileSync(new URL('../../ops.json', import.meta.url), 'utf8')) as { name?: string; sig?: string; differentiable?: boolean }[]).filter((op) => op.name);
    assert.deepEqual(Object.keys(specs), listed.map((op) => op.name));
    assert.deepEqual(Object.keys(samples).sort(), Object.keys(specs).sort());
    assert.deepEqual(differentiable, listed.filter((op) => op.differentiable !== false && !op.sig!.endsWith('-> self')).map((op) => op.name));
    for (const name of differentiable) assert.ok(samples[name].some(({ inputs }) => inputs.length > 0), `${name} has no differentiable sample`);
  });

  for (const name of differentiable) {
    test(name, () => {
      for (const [i, sample] of samples[name].entries()) {
        const values = drawn(`${name} ${i}`, sample), random = draw(`weights of ${name} ${i}`);
        const options = { step: sample.step, tolerance: sample.tolerance };
        const fn = weighted(random, sample.run);
        const layouts = values.some(({ shape }) => shape.length === 4) ? [false, true] : [false];
        for (const nhwc of layouts) {
          check(`${name} ${i}${nhwc ? ', channels-last' : ''}`, fn, values, { nhwc, ...options });
          check(`${name} ${i}${nhwc ? ', channels-last' : ''}, second order`, gradientOf(random, fn), values, { nhwc, ...options });
        }
      }
    });
  }
});
