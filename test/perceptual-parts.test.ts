/** What the perceptual losses are made of: backbones, resizing, SSIM of features. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { rand, scope, tensor, type Tensor } from '@unshake/libtorch';
import { Backbone, backboneNames } from '../src/losses/backbones.js';
import { featureSsim } from '../src/losses/feature-ssim.js';
import { resizeBilinear } from '../src/losses/perceptual.js';
import { ssim } from '../src/metrics/ssim.js';
import { randomAt } from '../src/random.js';

const seed = Math.floor(Math.random() * 2 ** 31);
const numbers = (x: Tensor): number[] => [...x.toArray() as Float64Array];

test("backbones have torchvision's parameters, by count and by name", () => {
  const counts = { vgg16: 14_714_688, vgg19: 20_024_384, alexnet: 2_469_696, squeezenet1_1: 722_496 };
  for (const name of backboneNames) {
    const net = new Backbone(name);
    assert.equal([...net.stateDict().values()].reduce((total, value) => total + value.numel, 0), counts[name]);
    assert.equal(net.parameterCount, 0, 'frozen');
    net.release();
  }
  const shapes = (name: (typeof backboneNames)[number], key: string) => { const net = new Backbone(name); const shape = net.stateDict().get(key)?.shape; net.release(); return shape; };
  assert.deepEqual(shapes('vgg16', 'features.28.weight'), [512, 512, 3, 3]);
  assert.deepEqual(shapes('vgg19', 'features.34.weight'), [512, 512, 3, 3]);
  assert.deepEqual(shapes('alexnet', 'features.10.weight'), [256, 256, 3, 3]);
  assert.deepEqual(shapes('squeezenet1_1', 'features.12.expand3x3.weight'), [256, 64, 3, 3]);
});

test('layers have the sizes of torchvision, and a picture that is too small is refused by its size', () => {
  scope(() => {
    const sizes = (name: (typeof backboneNames)[number], taps: number[], side: number): number[][] => {
      const net = new Backbone(name, { last: Math.max(...taps) });
      const result = net.forward(rand([1, 3, side, side]), taps).map(({ shape }) => [...shape].slice(1, 3));
      if (side === 40) assert.throws(() => net.forward(rand([1, 3, 31, 40]), taps), /needs crops of 32 pixels or more, received 40×31/);
      net.release();
      return result;
    };
    assert.deepEqual(sizes('vgg16', [3, 8, 15, 22], 40), [[64, 40], [128, 20], [256, 10], [512, 5]]); // relu1_2, 2_2, 3_3, 4_3
    assert.deepEqual(sizes('vgg19', [15], 40), [[256, 10]]); // relu3_3
    assert.deepEqual(sizes('alexnet', [1, 4, 11], 64), [[64, 15], [192, 7], [256, 3]]);
    assert.deepEqual(sizes('squeezenet1_1', [1, 4, 7, 9], 64), [[64, 31], [128, 15], [256, 7], [384, 3]]);
    assert.deepEqual(sizes('squeezenet1_1', [1, 4, 7, 9], 67), [[64, 33], [128, 16], [256, 8], [384, 4]]); // 33 → 16, 16 → 8 by rounding up, 8 → 4
  });
});

test('bilinear resizing has half-pixel centres and keeps straight ramps straight', () => {
  scope(() => {
    const ramp = tensor(Float64Array.from({ length: 2 * 6 * 9 }, (_, i) => 3 * (i % 9) - 2 * Math.floor((i % 54) / 9)), [1, 2, 6, 9]);
    const small = numbers(resizeBilinear(ramp, 4));
    small.forEach((value, i) => {
      const [y, x] = [Math.floor((i % 16) / 4), i % 4];
      assert.ok(Math.abs(value - (3 * (((x + 0.5) * 9) / 4 - 0.5) - 2 * (((y + 0.5) * 6) / 4 - 0.5))) < 1e-12);
    });
    const large = resizeBilinear(ramp, 18).toArray() as Float64Array;
    assert.ok(Math.abs(large[0] - 0) < 1e-12 && Math.abs(large[17] - 24) < 1e-12, 'borders are repeated');
  });
});

test("SSIM of features is SSIM: the metric's value on a picture", () => {
  const [a, b] = [1, 2].map((stream) => { const random = randomAt(seed, 50, stream); return Uint8Array.from({ length: 40 * 36 * 3 }, () => random.integer(256)); });
  const blend = b.map((value, i) => Math.round(0.7 * a[i] + 0.3 * value));
  const image = (data: Uint8Array) => ({ width: 40, height: 36, channels: 3 as const, data });
  scope(() => {
    const planes = (data: Uint8Array): Tensor => tensor(Float64Array.from({ length: data.length }, (_, i) => data[(i % (36 * 40)) * 3 + Math.floor(i / (36 * 40))] / 255), [1, 3, 36, 40]);
    const actual = featureSsim(planes(a), planes(blend)).item(), expected = ssim(image(a), image(blend));
    assert.ok(Math.abs(actual - expected) < 1e-6, `${actual} where ${expected} is expected (seed ${seed})`);
    assert.ok(Math.abs(featureSsim(planes(a).setRequiresGrad(true), planes(a)).item() - 1) < 1e-12);
  });
});
