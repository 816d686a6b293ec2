/** Differentiable augmentation against its definition, pixel by pixel; gradients; and that a step draws the same again. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { channelsLast, gradients, manualSeed, mul, scope, sum, tensor, type Tensor } from '@unshake/libtorch';
import { parseConfig } from '../src/config.js';
import { augmentations, diffAugment, type Augmentation } from '../src/diff-augment.js';
import { makePlayers, releasePlayers, trainStep } from '../src/players.js';
import { randomAt, type Random } from '../src/random.js';
import { batchOf } from './small-batch.js';

const seed = Math.floor(Math.random() * 2 ** 31);
const [n, height, width] = [3, 13, 10];
const randoms = (use: number): Random[] => Array.from({ length: n }, (_, i) => randomAt(seed, i, use));
const picture = (stream: number): Float64Array => { const random = randomAt(seed, stream, 99); return Float64Array.from({ length: n * 3 * height * width }, () => random.between(-1, 1)); };
const place = (data: Float64Array): Tensor => channelsLast(tensor(data, [n, 3, height, width]));
const values = (x: Tensor): Float64Array => x.toArray() as Float64Array;
const at = (data: Float64Array, i: number, c: number, y: number, x: number): number => y < 0 || x < 0 || y >= height || x >= width ? 0 : data[((i * 3 + c) * height + y) * width + x];

function* pixels(): Generator<[number, number, number, number]> {
  for (let i = 0; i < n; i++) for (let c = 0; c < 3; c++) for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) yield [i, c, y, x];
}

test('an empty policy returns the pictures themselves', () => {
  scope(() => { const x = place(picture(1)); assert.equal(diffAugment([x], [], randoms(0))[0], x); });
});

test('color is brightness, then saturation around the pixel, then contrast around the picture, with draws of the sample', () => {
  scope(() => {
    const data = picture(1);
    const out = values(diffAugment([place(data)], ['color'], randoms(0))[0]);
    for (let i = 0; i < n; i++) {
      const random = randoms(0)[i];
      const [brightness, saturation, contrast] = [random.uniform() - 0.5, 2 * random.uniform(), random.uniform() + 0.5];
      const mean = data.slice(i * 3 * height * width, (i + 1) * 3 * height * width).reduce((a, b) => a + b, 0) / (3 * height * width) + brightness; // saturation keeps it
      for (const [j, c, y, x] of pixels()) {
        if (j !== i) continue;
        const grey = [0, 1, 2].reduce((total, k) => total + at(data, i, k, y, x), 0) / 3 + brightness;
        const saturated = grey + (at(data, i, c, y, x) + brightness - grey) * saturation;
        assert.ok(Math.abs(at(out, i, c, y, x) - (mean + (saturated - mean) * contrast)) < 1e-6, `seed ${seed}`); // draws are kept in float32
      }
    }
  });
});

test('translation shifts each sample by whole pixels within an eighth, zeros enter, and all shifts occur', () => {
  const seen = new Set<string>();
  const data = picture(2);
  for (let use = 0; use < 200; use++) {
    const out = scope(() => values(diffAugment([place(data)], ['translation'], randoms(use))[0]));
    for (let i = 0; i < n; i++) {
      const shifts = [];
      for (let dy = -3; dy <= 3; dy++) for (let dx = -2; dx <= 2; dx++) if ([...pixels()].every(([j, c, y, x]) => j !== i || at(out, i, c, y, x) === at(data, i, c, y - dy, x - dx))) shifts.push(`${dy},${dx}`);
      assert.equal(shifts.length, 1, `seed ${seed}`);
      seen.add(shifts[0]);
    }
  }
  // ⌊13/8 + ½⌋ = 2 rows, ⌊10/8 + ½⌋ = 1 column: 5 × 3 shifts, and none is missed in 600 draws but once in 10^16.
  assert.deepEqual([...seen].sort(), [-2, -1, 0, 1, 2].flatMap((dy) => [-1, 0, 1].map((dx) => `${dy},${dx}`)).sort());
});

test('cutout zeroes a rectangle of half the size around any centre, clipped at the borders, for all channels alike', () => {
  const spans = { rows: new Set<string>(), columns: new Set<string>() };
  const data = picture(3);
  for (let use = 0; use < 200; use++) {
    const out = scope(() => values(diffAugment([place(data)], ['cutout'], randoms(use))[0]));
    for (let i = 0; i < n; i++) {
      const holes = [...pixels()].filter(([j, c, y, x]) => j === i && at(out, i, c, y, x) === 0);
      const extent = (axis: 2 | 3) => { const all = holes.map((hole) => hole[axis]); return [Math.min(...all), Math.max(...all)]; };
      const [[top, bottom], [left, right]] = [extent(2), extent(3)];
      assert.equal(holes.length, 3 * (bottom - top + 1) * (right - left + 1), 'a full rectangle');
      for (const [j, c, y, x] of pixels()) if (j === i && (y < top || y > bottom || x < left || x > right)) assert.equal(at(out, i, c, y, x), at(data, i, c, y, x));
      spans.rows.add(`${top}-${bottom}`);
      spans.columns.add(`${left}-${right}`);
    }
  }
  // 7 of 13 rows (odd: centres 0…12, half 3), 5 of 10 columns (odd: centres 0…9, half 2).
  const possible = (size: number, hole: number) => Array.from({ length: size + 1 - (hole % 2) }, (_, centre) => `${Math.max(0, centre - Math.floor(hole / 2))}-${Math.min(size, centre - Math.floor(hole / 2) + hole) - 1}`);
  assert.deepEqual([...spans.rows].sort(), possible(13, 7).sort());
  assert.deepEqual([...spans.columns].sort(), possible(10, 5).sort());
});

test('both pictures of a pair get the same draw; means are of each by itself', () => {
  scope(() => {
    const data = picture(4), shifted = data.map((v) => v + 0.25);
    for (const policy of [['translation'], ['cutout'], ['translation', 'cutout']] as Augmentation[][]) {
      const [a, b] = diffAugment([place(data), place(data.map((v) => 2 * v))], policy, randoms(5)).map(values);
      assert.deepEqual(b, a.map((v) => 2 * v));
    }
    const [a, b] = diffAugment([place(data), place(shifted)], ['color'], randoms(6)).map(values);
    a.forEach((v, i) => assert.ok(Math.abs(b[i] - v - 0.25) < 1e-6)); // with a common mean, contrast would scale the 0.25
  });
});

test('gradients agree with finite differences', () => {
  const data = picture(7), weights = picture(8);
  const policy = [...augmentations];
  const value = (input: Tensor) => sum(mul(diffAugment([input], policy, randoms(7))[0], tensor(weights, [n, 3, height, width])));
  const analytic = scope(() => { const leaf = place(data).setRequiresGrad(true); return values(gradients([value(leaf)], [leaf])[0]!); });
  for (let i = 0; i < data.length; i += 17) {
    const moved = (by: number) => scope(() => value(place(data.map((v, j) => j === i ? v + by : v))).item());
    assert.ok(Math.abs((moved(1e-3) - moved(-1e-3)) / 2e-3 - analytic[i]) < 1e-8, `seed ${seed}`); // linear: no error but rounding
  }
});

test("the generator's step feels the augmentation, and a step is drawn again bit by bit", () => {
  const after = (policy: readonly string[], runSeed: number): string => {
    const config = parseConfig({
      seed: runSeed, batchSize: 2, crop: 32, precision: 'fp32', generator: { type: 'dgf-report', rate: 4 }, discriminator: { type: 'patch', ndf: 4, norm: 'instance' },
      losses: { adversarial: { weight: 100 } }, discriminatorOptimizer: { lr: 1e-12 }, diffAugment: policy,
    }, 'test');
    manualSeed(3);
    const players = makePlayers(config, 'cpu');
    trainStep(players, batchOf(config, 1), 7, 0);
    const weights = Buffer.concat([...players.generator.stateDict().values()].map((value) => value.toBytes())).toString('base64');
    releasePlayers(players);
    return weights;
  };
  const augmented = after(['color', 'translation', 'cutout'], 1);
  assert.equal(after(['color', 'translation', 'cutout'], 1), augmented);
  assert.notEqual(after(['color', 'translation', 'cutout'], 2), augmented, 'another seed');
  assert.notEqual(after([], 1), augmented);
});
