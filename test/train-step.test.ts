/** One training step, from inside: who learns from what, memory, the learning rate. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { setImmediate as nextTick } from 'node:timers/promises';
import { manualSeed, memory, setCudaFlags, setNumThreads, version, type Device } from '@unshake/libtorch';
import { parseConfig } from '../src/config.js';
import { learningRate, makePlayers, releasePlayers, trainStep, type Losses, type Players } from '../src/players.js';
import { batchOf } from './small-batch.js';

const small = { batchSize: 2, crop: 32, precision: 'fp32', generator: { type: 'dgf-report', rate: 4 }, discriminator: { type: 'patch', ndf: 4 } };

const weights = (tensors: Iterable<[string, { toBytes(): Uint8Array }]>): string => [...tensors].map(([name, value]) => `${name}:${Buffer.from(value.toBytes()).toString('base64')}`).join('\n');

/** ‖a − b‖ / ‖b‖ over all arrays. */
function relativeDifference(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  const sum = (of: (i: number, j: number) => number): number => b.reduce((total, values, i) => values.reduce((inner, _, j) => inner + of(i, j) ** 2, total), 0);
  return Math.sqrt(sum((i, j) => a[i][j] - b[i][j]) / sum((i, j) => b[i][j]));
}

/** Weights of both after one step from the same start. */
function afterOneStep(settings: object): { generator: string; discriminator: string; players: Players } {
  const config = parseConfig({ ...small, ...settings }, 'test');
  manualSeed(3);
  const players = makePlayers(config, 'cpu');
  trainStep(players, batchOf(config, 1), 0, 0);
  const result = { generator: weights(players.generator.stateDict()), discriminator: weights(players.discriminator!.stateDict()), players };
  releasePlayers(players);
  return result;
}

test("the generator's loss leaves the discriminator alone, and the adversarial gradient reaches the generator", () => {
  const without = afterOneStep({ losses: { adversarial: { weight: 0 } } });
  const heavy = afterOneStep({ losses: { adversarial: { weight: 1000 } } });
  const trained = (text: string) => text.split('\n').filter((line) => !/running_/.test(line)).join('\n');
  assert.equal(trained(heavy.discriminator), trained(without.discriminator));
  assert.notEqual(heavy.generator, without.generator);
});

test("the discriminator's update leaves the generator alone", () => {
  const settings = { losses: { adversarial: { weight: 0 } } };
  const slow = afterOneStep({ ...settings, discriminatorOptimizer: { lr: 1e-6 } }), fast = afterOneStep({ ...settings, discriminatorOptimizer: { lr: 1e-2 } });
  assert.equal(slow.generator, fast.generator);
  assert.notEqual(slow.discriminator, fast.discriminator);
});

for (const precision of ['fp32', 'bf16'] as const) {
  test(`200 steps in ${precision} leave the live handles where they were, and resident memory flat after step 20`, async () => {
    setNumThreads(2);
    const config = parseConfig({ ...small, precision, crop: 64 }, 'test');
    const before = memory();
    const players = makePlayers(config, 'cpu');
    const batch = batchOf(config, 2);
    const started = memory();
    let residentAt20 = 0;
    for (let step = 0; step < 200; step++) {
      trainStep(players, batch, step, 0);
      await nextTick(); // as the training loop does: the wrappers of released handles are collected then
      if (step === 20) residentAt20 = process.memoryUsage.rss();
    }
    const growth = process.memoryUsage.rss() / residentAt20;
    assert.deepEqual(memory(), started);
    assert.ok(growth < 1.05, `resident memory grew by a factor of ${growth.toFixed(3)}`);
    releasePlayers(players);
    assert.deepEqual(memory(), before);
  });
}

test('a network learns a constant shift of tone, in fp32 and in bf16 alike', () => {
  for (const precision of ['fp32', 'bf16']) {
    const config = parseConfig({ batchSize: 2, crop: 32, precision, generator: { type: 'residual-unet', width: 8, blocks: [1, 1, 1] }, losses: { pixel: { weight: 1 } }, optimizer: { lr: 1e-3, betas: [0.9, 0.99] } }, 'test');
    manualSeed(1);
    const players = makePlayers(config, 'cpu');
    const { blur, names } = batchOf(config, 4);
    const dark = blur.map((value) => value >> 1);
    const batch = { blur: dark, sharp: dark.map((value) => value + 40), names };
    const losses = Array.from({ length: 60 }, (_, step) => trainStep(players, batch, step, 0).l1);
    assert.ok(losses[59] < 0.25 * losses[0], `${precision}: ${losses[0]} → ${losses[59]}`);
    releasePlayers(players);
  }
});

test('the learning rate rises linearly, then follows half a cosine to its floor', () => {
  const config = parseConfig({ schedule: { type: 'cosine', warmup: 9, floor: 0.1 } }, 'test');
  assert.ok(Math.abs(learningRate(config, 1, 0, 0) - 0.1) < 1e-12);
  assert.ok(Math.abs(learningRate(config, 1, 9, 0) - 1) < 1e-12);
  assert.ok(Math.abs(learningRate(config, 1, 100, 0.5) - 0.55) < 1e-12);
  assert.ok(Math.abs(learningRate(config, 1, 100, 1) - 0.1) < 1e-12);
  assert.equal(learningRate(parseConfig({}, 'test'), 2, 5, 0.7), 2);
});

test('micro-batches give the gradients of the whole batch, for both players, and of a part that is left over', () => {
  const plain = { type: 'sgd', lr: 1, betas: [0, 0] };
  const settings = { ...small, ema: 0, discriminator: { type: 'patch', ndf: 4, norm: 'instance' }, optimizer: plain, discriminatorOptimizer: { ...plain, lr: 10 }, losses: { pixel: { type: 'mse', weight: 100 } } };
  const batch = batchOf({ batchSize: 5, crop: 32 }, 6);
  const changes = (batchSize: number): { losses: Losses; change: Float32Array[] } => {
    manualSeed(3);
    const players = makePlayers(parseConfig({ ...settings, batchSize }, 'test'), 'cpu');
    const parameters = [...players.generator.parameters(), ...players.discriminator!.parameters()];
    const values = () => parameters.map((parameter) => parameter.toArray() as Float32Array);
    const before = values();
    const losses = trainStep(players, batch, 0, 0);
    const change = values().map((after, i) => after.map((value, j) => value - before[i][j]));
    releasePlayers(players);
    return { losses, change };
  };
  const whole = changes(5);
  for (const batchSize of [1, 2]) {
    const parts = changes(batchSize);
    for (const [name, value] of Object.entries(whole.losses)) assert.ok(Math.abs(parts.losses[name] / value - 1) < 1e-5, name);
    assert.ok(relativeDifference(parts.change, whole.change) < 1e-4, `batchSize ${batchSize}: ${relativeDifference(parts.change, whole.change)}`);
  }
});

test('ten steps of a GAN on a GPU lose what they lose on the CPU', { skip: version().cudaDevices === 0 && 'no CUDA device' }, () => {
  setCudaFlags({ tf32: false });
  const config = parseConfig({ ...small, crop: 64, diffAugment: ['color', 'translation'], gradientClip: 1, losses: { pixel: { type: 'l1', weight: 100 }, fourier: { weight: 1 } } }, 'test');
  const run = (device: Device): Losses[] => {
    manualSeed(3);
    const players = makePlayers(config, device);
    const losses = Array.from({ length: 10 }, (_, step) => trainStep(players, batchOf(config, 1 + (step % 3)), step, 0));
    releasePlayers(players);
    return losses;
  };
  const here = run('cpu'), there = run('cuda:0');
  here.forEach((losses, step) => {
    for (const [name, value] of Object.entries(losses)) assert.ok(Math.abs(there[step][name] - value) <= 0.01 * Math.abs(value) + 1e-4, `step ${step + 1}, ${name}: ${there[step][name]}, on the CPU ${value}`);
  });
});
