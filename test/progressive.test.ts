/** Progressive crops: stages of a run from outside, and what the loader makes for them. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseConfig } from '../src/config.js';
import { ConfigError } from '../src/errors.js';
import { readLog } from '../src/run-folder.js';
import { stageAt } from '../src/stages.js';
import { batches, withLoader } from './data-loading.js';

const program = fileURLToPath(new URL('../../bin/unshake.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'unshake-progressive-'));
const data = join(folder, 'scenes');
const unshake = (...args: string[]) => spawnSync(process.execPath, [program, ...args], { encoding: 'utf8', timeout: 120_000 });
const ok = ({ status, stderr }: { status: number | null; stderr: string }) => assert.equal(status, 0, stderr);

before(() => ok(unshake('data', 'synth', '--scenes', data, '--count', '6', '--seed', '7')));
after(() => rmSync(folder, { recursive: true, force: true }));

const stages = [{ from: 0.3, crop: 96, batchSize: 1 }, { from: 0.8, crop: 128, batchSize: 3 }];

test('the stage at a share of the run is the last one that has begun', () => {
  const config = parseConfig({ crop: 64, batchSize: 2, progressive: stages }, 'here');
  const at = (progress: number) => { const { crop, batchSize } = stageAt(config, progress); return [crop, batchSize]; };
  assert.deepEqual([0, 0.29, 0.3, 0.79, 0.8, 1].map(at), [[64, 2], [64, 2], [96, 1], [96, 1], [128, 3], [128, 3]]);
  assert.throws(() => parseConfig({ progressive: [...stages].reverse() }, 'here'), (error) => error instanceof ConfigError && /progressive: expected each stage after the one before, got from: 0.8, 0.3/.test(error.message));
});

test('a batch of a stage is the one that a loader of its size makes, whatever was prepared ahead', async () => {
  const sources = [{ path: data }], stage = { crop: 48, batchSize: 3 };
  const small = await batches({ sources }, [0, 1, 2, 3]), large = await batches({ sources, ...stage }, [0, 1, 2, 3]);
  const mixed = await withLoader({ sources }, async (loader) => [await loader.batch(0), await loader.batch(1, stage), await loader.batch(2, stage), await loader.batch(3)]);
  assert.deepEqual(mixed, [small[0], large[1], large[2], small[3]]);
});

test('a run goes through its stages, and an interrupted one writes the same bytes', async () => {
  const train = (run: string) => ['train', 'smoke', '--data', data, '--out', run, '--steps', '40', '--set', 'checkpointEvery=4', '--set', 'validateEvery=40', '--set', `progressive=${JSON.stringify(stages)}`];
  const straight = join(folder, 'straight'), stopped = join(folder, 'stopped');
  ok(unshake(...train(straight)));
  assert.deepEqual(readLog(straight).map(({ effectiveBatch }) => effectiveBatch), [...Array(12).fill(2), ...Array(20).fill(1), ...Array(8).fill(3)]);

  const child = spawn(process.execPath, [program, ...train(stopped)], { stdio: 'ignore' });
  const ended = new Promise((resolve) => child.on('close', resolve));
  while (!existsSync(join(stopped, 'checkpoints/step-00000016.safetensors')) && child.exitCode === null) await sleep(5);
  child.kill('SIGKILL');
  await ended;
  const last = (run: string) => join(run, 'checkpoints/step-00000040.safetensors');
  assert.ok(!existsSync(last(stopped)), 'the run was to be killed before its end');
  ok(unshake('train', 'smoke', '--out', stopped, '--resume'));
  assert.ok(readFileSync(last(straight)).equals(readFileSync(last(stopped))));
});

test('a stage that the pictures or the network are too small for is refused before the first step', () => {
  const run = join(folder, 'refused');
  const refused = (...set: string[]) => unshake('train', 'smoke', '--data', data, '--out', run, ...set.flatMap((assignment) => ['--set', assignment]));
  const large = refused('progressive=[{from: 0.5, crop: 5000, batchSize: 1}]');
  assert.match(large.stderr, /^unshake: DATA: .*smaller than the crop, 5000×5000/m);
  const odd = refused('progressive=[{from: 0.5, crop: 100, batchSize: 1}]', 'generator={type: residual-unet, width: 8, blocks: [1, 1, 1]}');
  assert.match(odd.stderr, /^unshake: CONFIG: crop: expected a multiple of 8, .* got 100/m);
  assert.deepEqual([large.status, odd.status, existsSync(run)], [1, 1, false]);
});
