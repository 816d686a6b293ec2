/** The diffusion model: its process and sampler against their definitions, training, resuming, and what it refuses. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { add, mulScalar, narrow, noGrad, normal_, rand, randn, scope, status, sub, tensor, toDtype, type Tensor } from '@unshake/libtorch';
import { parseConfig } from '../src/config.js';
import { evaluate } from '../src/evaluate.js';
import { ConfigError, ModelError, UsageError } from '../src/errors.js';
import { exportModel } from '../src/export.js';
import { Diffusion } from '../src/models/diffusion.js';
import { makePlayers, releasePlayers, trainStep } from '../src/players.js';
import { randomAt } from '../src/random.js';
import { train } from '../src/train.js';
import { writePairs } from './data-pictures.js';
import { batchOf } from './small-batch.js';

const { available, reason } = status();
const skip = available ? false : `libtorch: ${reason}`;
const seed = Math.floor(Math.random() * 2 ** 31);
const small = { width: 8, blocks: [1, 1, 1], spread: 0.1 } as const;
const values = (x: Tensor): Float32Array => x.toArray() as Float32Array;
const largest = (a: Tensor, b: Tensor): number => values(sub(a, b)).reduce((worst, value) => Math.max(worst, Math.abs(value)), 0);

let folder: string, data: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'unshake-diffusion-'));
  data = join(folder, 'data');
  await writePairs(data, ['a', 'b', 'c', 'd'], { width: 32, height: 32 });
});
after(() => rm(folder, { recursive: true }));

const settings = (changes: object = {}) => parseConfig({
  seed, steps: 4, crop: 32, batchSize: 2, precision: 'fp32', checkpointEvery: 2, validateEvery: 2, data: [{ path: data }], generator: { type: 'diffusion', ...small, steps: 2 }, losses: { pixel: { type: 'mse', weight: 100 } }, ...changes,
}, 'test');

test('in training a picture is mixed with noise by its own time; the untrained network takes it for cos² of what there is', { skip }, () => scope(() => {
  const network = new Diffusion(small), [blur, sharp] = [rand([2, 3, 16, 24]), rand([2, 3, 16, 24])];
  const guess = values(network.guess(blur, sharp, [0, 1].map((i) => randomAt(seed, i))));
  const [b, s] = [values(blur), values(sharp)], size = 3 * 16 * 24;
  for (let i = 0; i < 2; i++) {
    const random = randomAt(seed, i), angle = Math.PI / 2 * random.uniform();
    for (let k = i * size; k < (i + 1) * size; k++) {
      const noisy = Math.cos(angle) * (s[k] - b[k]) / small.spread + Math.sin(angle) * random.normal();
      assert.ok(Math.abs(guess[k] - (b[k] + small.spread * Math.cos(angle) * noisy)) < 1e-5, `${k}, seed ${seed}`);
    }
  }
  network.release();
}));

test('were the network always right, the sampler would come to the sharp picture, in any number of steps', { skip }, () => {
  for (const steps of [1, 2, 7]) scope(() => {
    const network = new Diffusion({ ...small, steps }), blur = rand([1, 3, 16, 24]), clean = randn([1, 3, 16, 24]);
    let step = steps;
    // x = cos · clean + sin · ε, so the true v = cos · ε − sin · clean.
    network.unet.correction = (seen) => {
      const angle = Math.PI / 2 * step-- / steps, x = narrow(seen, 1, 3, 3);
      const noise = mulScalar(sub(x, mulScalar(clean, Math.cos(angle))), 1 / Math.sin(angle));
      return sub(mulScalar(noise, Math.cos(angle)), mulScalar(clean, Math.sin(angle)));
    };
    assert.ok(largest(noGrad(() => network.forward(blur)), add(blur, mulScalar(clean, small.spread))) < 1e-5, `${steps} steps`);
    assert.equal(step, 0);
    network.release();
  });
});

test('a picture has one result, whatever stands beside it; averaging draws other noise', { skip }, () => scope(() => {
  const network = new Diffusion({ ...small, steps: 2 });
  noGrad(() => normal_(network.unet.ending.weight, 0, 0.1)); // untrained, it is zero
  const image = rand([1, 3, 16, 16]), other = rand([1, 3, 16, 16]), run = (x: Tensor): Tensor => noGrad(() => network.forward(x));
  assert.equal(largest(run(image), run(image)), 0);
  const both = tensor(Float32Array.from([...values(image), ...values(other)]), [2, 3, 16, 16]);
  assert.ok(largest(narrow(run(both), 0, 0, 1), run(image)) < 1e-4);
  const averaging = new Diffusion({ ...small, steps: 2, samples: 2 });
  averaging.loadStateDict(network.stateDict());
  assert.ok(largest(noGrad(() => averaging.forward(image)), run(image)) > 1e-3);
  averaging.release();
  network.release();
}));

test('every parameter learns, the time\'s too', { skip }, () => {
  const config = settings(), players = makePlayers(config, 'cpu');
  try {
    const states = [0, 1, 2].map((step) => {
      const state = new Map([...players.generator.stateDict()].map(([name, value]) => [name, values(toDtype(value, 'float32')).slice()]));
      const { mse, generator } = trainStep(players, batchOf(config, seed + step), step, 0);
      assert.ok(mse > 0 && Math.abs(generator - 100 * mse) < 1e-4 * generator);
      return state;
    });
    for (const [name, value] of states[0]) assert.ok(value.some((x, i) => x !== states[2].get(name)![i]), name);
  } finally {
    releasePlayers(players);
  }
});

test('a run that was stopped continues to the same bytes', { skip }, async () => {
  const [whole, halved] = ['whole', 'halved'].map((name) => join(folder, name)), last = 'checkpoints/step-00000004.safetensors';
  await train(settings(), whole);
  await train(settings({ steps: 2 }), halved);
  await train(settings(), halved, { resume: true });
  assert.deepEqual(await readFile(join(halved, last)), await readFile(join(whole, last)));
});

test('evaluate --set changes its steps; what its weights depend on, and other settings, are refused; so are export and a discriminator', { skip }, async () => {
  const run = join(folder, 'evaluated'), metrics = ['psnr'] as const;
  await train(settings(), run);
  const of = async (...set: string[]): Promise<number> => (await evaluate(run, data, { split: 'all', metrics, set })).rows[1].mean.psnr!;
  assert.equal(await of('generator.steps=2'), await of());
  assert.notEqual(await of('generator.steps=5'), await of());
  await assert.rejects(of('generator.width=16'), /the weights don't fit this network/);
  await assert.rejects(of('generator.stepps=5'), (error: Error) => error instanceof ConfigError && /did you mean steps/.test(error.message));
  for (const wrong of ['seed=2', 'generator.type=nafnet']) await assert.rejects(of(wrong), UsageError);
  await assert.rejects(exportModel(run, join(folder, 'model.onnx')), (error: Error) => error instanceof ModelError && /starts from noise/.test(error.message));
  assert.throws(() => settings({ discriminator: { type: 'patch' } }), (error: Error) => error instanceof ConfigError && /discriminator: expected none/.test(error.message));
  const program = fileURLToPath(new URL('../../bin/unshake.js', import.meta.url));
  const { status: code, stdout } = spawnSync(process.execPath, [program, 'evaluate', run, '--data', data, '--split', 'all', '--metrics', 'psnr', '--set', 'generator.steps=5', '--json'], { encoding: 'utf8' });
  assert.deepEqual([code, JSON.parse(stdout).rows[1].mean.psnr], [0, await of('generator.steps=5')]);
});
