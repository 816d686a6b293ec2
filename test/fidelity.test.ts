/** The slips of the report's program: each visible, each to be turned on alone, all of them by `fidelity: as-coded`. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { channelsLast, l1Loss, manualSeed, noGrad, permute, rand, scope, tensor, type Tensor } from '@unshake/libtorch';
import { parseConfig, type Config } from '../src/config.js';
import { loadConfig } from '../src/experiment-file.js';
import { reportExperiments } from '../src/experiments.js';
import { makeDiscriminator, makeGenerator, restore } from '../src/models/index.js';
import { makePlayers, releasePlayers, trainStep, type Losses } from '../src/players.js';
import { batchOf } from './small-batch.js';

const base = {
  batchSize: 1, crop: 128, precision: 'fp32', generator: { type: 'dgf-report', rate: 2 }, discriminator: { type: 'report' }, losses: { adversarial: { weight: 1 } },
  discriminatorOptimizer: { lr: 1e-3 },
};

/** Losses of `steps` steps, and the generator's weights after them. */
function run(settings: object, steps = 1): { losses: Losses[]; generator: string } {
  const config = parseConfig(settings, 'test');
  manualSeed(4);
  const players = makePlayers(config, 'cpu');
  const losses = Array.from({ length: steps }, (_, step) => trainStep(players, batchOf(config, 9), step, 0));
  const generator = Buffer.concat([...players.generator.stateDict().values()].map((value) => value.toBytes())).toString('base64');
  releasePlayers(players);
  return { losses, generator };
}

const asCoded = { ...base, fidelity: 'as-coded' };

test('as-coded turns on every slip; a setting that is given wins; as-intended has none', () => {
  const slips = ({ generator, discriminator, losses: { adversarial, perceptual } }: Config) => ({
    range: 'range' in generator ? generator.range : null, ...(discriminator?.type === 'report' && { patches: discriminator.patches, sigmoid: discriminator.sigmoid }),
    detachFake: adversarial.detachFake, lpips: perceptual?.range,
  });
  const withLpips = { ...base, losses: { perceptual: { type: 'lpips' } } };
  assert.deepEqual(slips(parseConfig({ ...withLpips, fidelity: 'as-coded' }, 'test')), { range: 'unit', patches: 'top-left', sigmoid: true, detachFake: true, lpips: 'unit' });
  assert.deepEqual(slips(parseConfig(withLpips, 'test')), { range: 'signed', patches: 'all', sigmoid: false, detachFake: false, lpips: 'signed' });
  const some = parseConfig({ ...asCoded, discriminator: { type: 'report', patches: 'all' } }, 'test');
  assert.deepEqual(slips(some), { range: 'unit', patches: 'all', sigmoid: true, detachFake: true, lpips: undefined });
  assert.deepEqual(parseConfig(some, 'a resumed run'), some);
  assert.throws(() => parseConfig({ ...asCoded, generator: { type: 'dgf-paper' } }, 'test'), /fidelity: as-coded: expected the report's own networks/);
  assert.throws(() => parseConfig({ ...asCoded, losses: { adversarial: { type: 'wgan' } } }, 'test'), /its program for WGAN is not public/);
});

test('the experiments that as-coded is for are those that docs/losses.md names', async () => {
  const taken = await Promise.all(reportExperiments().map((name) => loadConfig(name, { set: ['fidelity=as-coded'] }).then(() => [name], () => [])));
  assert.deepEqual(taken.flat(), ['report-exp1-lpips', 'report-exp2-parallel', 'report-exp4-diffaug', 'report-original']);
});

test('double sigmoid: however long the discriminator learns, the sum of both terms stays above 1.006; on logits it does not', () => {
  const settings = (sigmoid: boolean) => ({ ...base, generator: { type: 'dgf-report', rate: 1 }, discriminator: { type: 'report', sigmoid }, discriminatorOptimizer: { lr: 1e-2 }, losses: { adversarial: { criticSteps: 20 } } });
  const sums = [true, false].map((sigmoid) => run(settings(sigmoid), 5).losses.map(({ discriminator }) => 2 * discriminator)); // the loss is half of the sum
  assert.ok(sums[0].every((sum) => sum >= Math.log1p(Math.exp(-1)) + Math.log(2)), sums[0].join(' '));
  assert.ok(sums[1].at(-1)! < 0.5, sums[1].join(' '));
});

test('detached fake: the adversarial weight changes nothing in the generator; as intended it does', () => {
  const generator = (settings: object, weight: number) => run({ ...settings, losses: { adversarial: { weight } } }).generator;
  assert.equal(generator(asCoded, 1000), generator(asCoded, 0));
  assert.notEqual(generator(base, 1000), generator(base, 0));
});

test('targets in [0, 1] against tanh: what is minimised, and what deblurring shows', () => {
  scope(() => {
    const batch = batchOf(base, 9);
    const floats = (bytes: Uint8Array, map: (value: number) => number): Tensor => permute(tensor(Float32Array.from(bytes, (value) => map(value / 255)), [1, 128, 128, 3]), [0, 3, 1, 2]);
    for (const [settings, map] of [[asCoded, (value: number) => value], [base, (value: number) => 2 * value - 1]] as const) {
      manualSeed(5);
      const players = makePlayers(parseConfig(settings, 'test'), 'cpu');
      const expected = noGrad(() => l1Loss(players.generator.forward(channelsLast(floats(batch.blur, map))), floats(batch.sharp, map))).item();
      const { l1 } = trainStep(players, batch, 0, 0);
      assert.ok(Math.abs(l1 / expected - 1) < 1e-4, `${l1} where ${expected} is expected`);
      releasePlayers(players);
    }
    const coded = makeGenerator({ type: 'dgf-report', rate: 2, norm: 'instance', range: 'unit' });
    const x = rand([1, 3, 16, 16]);
    const [direct, shown] = noGrad(() => [coded.forward(x), restore(coded, x)]).map((value) => value.toArray() as Float32Array);
    assert.deepEqual(shown, direct.map((value) => Math.max(0, value)), 'shown as it is, what tanh made negative is lost');
    coded.release();
  });
});

test('top left patches: what lies beyond 128×128 is not judged; as intended it is', () => {
  scope(() => {
    for (const [settings, sees] of [[asCoded, false], [base, true]] as const) {
      const critic = makeDiscriminator(parseConfig(settings, 'test').discriminator!);
      const picture = new Float32Array(3 * 256 * 256).map((_, i) => Math.sin(i));
      const changed = picture.map((value, i) => i % 256 < 128 && Math.floor(i / 256) % 256 < 128 ? value : value + Math.cos(3 * i));
      const [a, b] = [picture, changed].map((data) => { const x = tensor(data, [1, 3, 256, 256]); return noGrad(() => critic.forward(x, x)).item(); });
      assert.equal(a !== b, sees);
      critic.release();
    }
  });
});
