/** On a GPU every op, its gradient, and what moves the weights give what they give on the CPU. Skipped, visibly, where there is none. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as t from '../src/index.js';
import { count, draw, ladder, normal, withSeed } from './draw.js';
import { samples, type Sample } from './samples.js';

const skip = t.version().cudaDevices === 0 && 'no CUDA device';
const random = new Set(['rand', 'randn', 'uniform_', 'normal_', 'dropout']); // each device has its own generator
const devices = ['cpu', 'cuda'] as const;

/** Largest |a − b| over 1 + |b|. */
const apart = (a: ArrayLike<number>, b: ArrayLike<number>): number => Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]) / (1 + Math.abs(b[i]))), 0);

/** Outputs and, for differentiable ops, gradients of Σ output². */
function results(sample: Sample, inputs: readonly Float64Array[], device: t.Device, channelsLast: boolean, differentiable: boolean): Float64Array[] {
  return t.scope(() => {
    const placed = sample.inputs.map(({ shape }, i) => {
      const there = t.to(t.tensor(inputs[i], shape), device);
      return (channelsLast && shape.length === 4 ? t.channelsLast(there) : t.clone(there)).setRequiresGrad(differentiable);
    });
    const outputs = [sample.run(...placed)].flat();
    const values = (tensors: readonly (t.Tensor | null)[]) => tensors.map((x) => Float64Array.from(x ? x.toArray() as Float64Array : []));
    if (!differentiable || !outputs.some(({ requiresGrad }) => requiresGrad)) return values(outputs);
    const total = outputs.map((output) => t.sum(t.square(output))).reduce((all, one) => t.add(all, one));
    return [...values(outputs), ...values(t.gradients([total], placed))];
  });
}

suite('CUDA', { skip }, () => {
  for (const [name, { differentiable }] of Object.entries(t.specs)) {
    if (random.has(name)) continue;
    test(`${name} equals the CPU in float64, in both layouts`, () => {
      for (const [which, sample] of samples[name as keyof typeof t.specs].entries()) {
        const draws = draw(`cuda ${name} ${which}`), inputs = sample.inputs.map(({ shape, low = -2, high = 2 }) => ladder(draws, count(shape), low, high));
        for (const channelsLast of [false, true]) {
          const [here, there] = devices.map((device) => results(sample, inputs, device, channelsLast, differentiable));
          there.forEach((values, i) => assert.ok(values.length === here[i].length && apart(values, here[i]) <= 1e-6, withSeed(`${name} ${which}: result ${i} is ${values} instead of ${here[i]}`)));
        }
      }
    });
  }

  test('bf16 convolutions, norms and dense layers come as near to float64 as on the CPU', () => t.scope(() => {
    const draws = draw('cuda bf16'), x = normal(draws, [2, 16, 24, 24]), w = normal(draws, [16, 16, 3, 3], { std: 0.08 });
    const field = [[16, 16, 1, 1], [16, 16, 3, 3], [16, 32, 1, 1], [16, 16, 3, 3]].map((shape) => normal(draws, shape, { std: 0.1 }));
    const run = (device: t.Device, dtype: t.DType) => t.scope(() => {
      const place = (tensor: t.Tensor) => t.toDtype(t.to(tensor, device), dtype);
      const y = t.autocast(() => {
        const h = t.instanceNormLeakyRelu(t.conv2d(t.channelsLast(place(x)), place(w), null, { padding: [1, 1] }), { negativeSlope: 0.2 });
        return t.denseField(h, field.map(place), [], [1, 2], { training: true, normaliseFeatures: true, activateBottleneck: false, onlyLast: true });
      }, { device, dtype: 'bfloat16', enabled: dtype === 'float32' });
      return Float64Array.from(t.toDtype(y, 'float64').toArray() as Float64Array);
    });
    const right = run('cpu', 'float64'), error = (device: t.Device) => Math.sqrt(run(device, 'float32').reduce((sum, value, i) => sum + (value - right[i]) ** 2, 0) / right.length);
    const [here, there] = devices.map(error);
    assert.ok(there < 1.5 * here + 1e-3, withSeed(`root mean square error ${there}, on the CPU ${here}`));
  }));

  test('Adam, AdamW, the averaged weights and clipped gradients walk as on the CPU', () => t.scope(() => {
    const draws = draw('cuda adam'), shapes = [[7, 5, 3, 3], [4000], [4, 6, 3, 3]];
    const first = shapes.map((shape) => normal(draws, shape)), gradients = [0, 1, 2].map(() => shapes.map((shape) => normal(draws, shape)));
    for (const make of [t.Adam, t.AdamW]) {
      const walk = (device: t.Device) => {
        const over = first.map((x) => t.parameter(() => t.clone(t.to(x, device))));
        const named = () => new Map(over.map((parameter, i) => [String(i), parameter]));
        const optimizer = make(over, { lr: 0.01, weightDecay: 0.1 }), ema = new t.Ema(named(), 0.9);
        const norms = gradients.map((step, i) => {
          over.forEach((parameter, j) => { parameter.grad = t.clone(t.to(step[j], device)); });
          const norm = t.clipGradNorm(over, 10).item();
          optimizer.step();
          ema.update(named(), i + 1);
          return norm;
        });
        const walked = [...over, ...ema.average.values()].flatMap((tensor) => Array.from(tensor.toArray() as Float32Array));
        optimizer.zeroGrad();
        for (const owner of [optimizer, ema, ...over]) owner.release();
        return [...walked, ...norms];
      };
      const [here, there] = devices.map(walk);
      assert.ok(apart(there, here) < 1e-5, withSeed(`${make.name}: ${apart(there, here)} apart`));
    }
  }));
});
