/** bfloat16 and autocast give float32's results within rounding, forward and backward, and layers keep channels-last in each. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as t from '../src/index.js';
import { count, draw, ladder, normal, withSeed } from './draw.js';
import { samples } from './samples.js';

/** ‖a − b‖ / ‖b‖, where b is of size 1 or so; what cancels to less than that is not held to its last digit. */
function difference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let error = 0, norm = 0;
  for (let i = 0; i < b.length; i++) { error += (a[i] - b[i]) ** 2; norm += b[i] ** 2; }
  return Math.sqrt(error / Math.max(norm, b.length / 2));
}

// What networks are made of; each must work on a bfloat16 activation.
const inNetworks = [
  'reshape', 'permute', 'flip', 'narrow', 'chunk', 'cat', 'add', 'sub', 'mul', 'div', 'addScalar', 'mulScalar', 'square', 'abs', 'clamp', 'sum', 'mean', 'relu',
  'leakyRelu', 'prelu', 'tanh', 'sigmoid', 'softplus', 'gelu', 'silu', 'matmul', 'linear', 'conv2d', 'convTranspose2d', 'batchNorm', 'instanceNorm', 'instanceNormLeakyRelu', 'layerNorm2d', 'avgPool2d', 'localMean2d', 'maxPool2d',
  'pixelShuffle', 'pixelUnshuffle', 'upsampleNearest2d', 'upsampleBilinear2d', 'zeroPad2d', 'reflectionPad2d', 'replicationPad2d',
] as const;

/** What the op and its gradients are when every input is `dtype`; `inAutocast` leaves all but the first in float32, as parameters are. */
function results(name: (typeof inNetworks)[number], which: number, dtype: t.DType, { nhwc, inAutocast }: { nhwc: boolean; inAutocast: boolean }): number[][] {
  const random = draw(`${name} ${which}`), sample = samples[name][which];
  return t.scope(() => {
    const leaves = sample.inputs.map(({ shape, low = -2, high = 2 }, i) => {
      // Rounded to bfloat16 first, so that both precisions start from the same numbers.
      const value = t.toDtype(t.toDtype(t.tensor(Float32Array.from(ladder(random, count(shape), low, high)), shape), 'bfloat16'), inAutocast && i > 0 ? 'float32' : dtype);
      return (nhwc && shape.length === 4 ? t.channelsLast(value) : t.clone(value)).setRequiresGrad(true);
    });
    const outputs = inAutocast ? t.autocast(() => [sample.run(...leaves)].flat()) : [sample.run(...leaves)].flat();
    const weights = t.tensor(Float32Array.from(ladder(random, Math.max(2, outputs[0].numel), -1, 1).slice(0, outputs[0].numel)), outputs[0].shape);
    t.backward(t.sum(t.mul(t.toDtype(outputs[0], 'float32'), weights)));
    return [...outputs, ...leaves.map((leaf) => leaf.grad).filter((gradient) => gradient !== null)].map((tensor) => [...t.toDtype(tensor, 'float32').toArray() as Float32Array]);
  });
}

suite('bfloat16', () => {
  for (const name of inNetworks) {
    test(name, () => {
      for (const which of samples[name].keys()) {
        if (name === 'batchNorm' && which === 1) continue; // its running statistics are float64 constants
        for (const nhwc of [false, true]) {
          const exact = results(name, which, 'float32', { nhwc, inAutocast: false });
          for (const inAutocast of [false, true]) {
            const rounded = results(name, which, 'bfloat16', { nhwc, inAutocast });
            assert.equal(rounded.length, exact.length);
            rounded.forEach((values, i) => {
              const error = difference(values, exact[i]), limit = i === 0 ? 0.01 : 0.05;
              assert.ok(error < limit, withSeed(`${name} ${which}, ${nhwc ? 'channels-last' : 'NCHW'}${inAutocast ? ', autocast' : ''}: result ${i} is ${error} from float32's`));
            });
          }
        }
      }
    });
  }
});

suite('channels-last is kept', () => {
  const c = 8, perChannel = (value: number) => t.full([c], value);
  const weight = (...shape: number[]) => t.channelsLast(t.full(shape, 0.1));
  const layers: Record<string, (x: t.Tensor) => t.Tensor> = {
    conv2d: (x) => t.conv2d(x, t.toDtype(weight(4, c, 3, 3), x.dtype), null, { padding: [1, 1] }),
    convTranspose2d: (x) => t.autocast(() => t.convTranspose2d(x, weight(c, 4, 3, 3), null, { stride: [2, 2] }), { enabled: x.dtype === 'bfloat16' }),
    batchNorm: (x) => t.batchNorm(x, perChannel(1), perChannel(0), perChannel(0), perChannel(1), true),
    'batchNorm in eval': (x) => t.batchNorm(x, perChannel(1), perChannel(0), perChannel(0), perChannel(1), false),
    instanceNorm: (x) => t.instanceNorm(x),
    'instanceNorm, affine': (x) => t.instanceNorm(x, perChannel(2), perChannel(1)),
    instanceNormLeakyRelu: (x) => t.instanceNormLeakyRelu(x),
    layerNorm2d: (x) => t.layerNorm2d(x, perChannel(1), perChannel(0)),
    prelu: (x) => t.prelu(x, perChannel(0.2)),
    relu: t.relu, leakyRelu: (x) => t.leakyRelu(x), tanh: t.tanh, sigmoid: t.sigmoid, softplus: t.softplus, gelu: t.gelu, silu: t.silu,
    dropout: (x) => t.dropout(x, 0.5, true),
    'add of a bias': (x) => t.add(x, t.toDtype(t.reshape(perChannel(1), [1, c, 1, 1]), x.dtype)),
    cat: (x) => t.cat([x, x], 1),
    pixelShuffle: (x) => t.pixelShuffle(x, 2),
    pixelUnshuffle: (x) => t.pixelUnshuffle(x, 2),
    upsampleNearest2d: (x) => t.upsampleNearest2d(x, 2),
    upsampleBilinear2d: (x) => t.upsampleBilinear2d(x, 2),
    avgPool2d: (x) => t.avgPool2d(x, { kernel: [2, 2], stride: [2, 2] }),
    localMean2d: (x) => t.localMean2d(x, 5),
    maxPool2d: (x) => t.maxPool2d(x, { kernel: [2, 2], stride: [2, 2] }),
    zeroPad2d: (x) => t.zeroPad2d(x, [1, 1, 1, 1]),
    reflectionPad2d: (x) => t.reflectionPad2d(x, [3, 3, 3, 3]),
    replicationPad2d: (x) => t.replicationPad2d(x, [3, 3, 3, 3]),
  };
  for (const [name, layer] of Object.entries(layers)) {
    test(name, () => t.scope(() => {
      for (const dtype of ['float32', 'bfloat16'] as const) {
        const x = t.channelsLast(t.toDtype(normal(draw(name), [2, c, 8, 6]), dtype)).setRequiresGrad(true);
        for (const inAutocast of [false, true]) {
          const y = inAutocast ? t.autocast(() => layer(x)) : layer(x);
          const where = `${name}, ${dtype}${inAutocast ? ' in autocast' : ''}`;
          assert.ok(y.isChannelsLast, where);
          if (dtype === 'bfloat16') assert.equal(y.dtype, 'bfloat16', where);
          const weights = t.channelsLast(normal(draw('weights'), y.shape));
          const [gradient] = t.gradients([t.sum(t.mul(t.toDtype(y, 'float32'), weights))], [x]);
          assert.ok(gradient!.isChannelsLast, `gradient of ${where}`);
          assert.equal(gradient!.dtype, dtype, `gradient of ${where}`);
        }
      }
    }));
  }
});
