/** `unshake train` from outside: killed and resumed, interrupted, diverging, misused. Data are generated scenes. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { readCheckpointInfo } from '../src/checkpoint.js';
import { readLog } from '../src/run-folder.js';

const program = fileURLToPath(new URL('../../bin/unshake.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'unshake-train-'));
const data = join(folder, 'scenes');
const unshake = (...args: string[]) => spawnSync(process.execPath, [program, ...args], { encoding: 'utf8', timeout: 120_000 });
const checkpoint = (run: string, step: number) => join(run, 'checkpoints', `step-${String(step).padStart(8, '0')}.safetensors`);
const ok = ({ status, stderr }: { status: number | null; stderr: string }) => assert.equal(status, 0, stderr);

before(() => ok(unshake('data', 'synth', '--scenes', data, '--count', '8', '--seed', '5')));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Starts a run and sends `signal` as soon as `file` is there. */
async function interruptAt(file: string, signal: NodeJS.Signals, ...args: string[]): Promise<{ code: number | null; stderr: string }> {
  const child = spawn(process.execPath, [program, 'train', ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => { stderr += chunk.toString(); });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  while (!existsSync(file) && child.exitCode === null) await sleep(5);
  child.kill(signal);
  return { code: await ended, stderr };
}

test('60 steps straight, and 60 steps killed after the second checkpoint and resumed, write the same bytes', async () => {
  const straight = join(folder, 'straight'), killed = join(folder, 'killed');
  ok(unshake('train', 'smoke', '--data', data, '--out', straight));
  await interruptAt(checkpoint(killed, 40), 'SIGKILL', 'smoke', '--data', data, '--out', killed, '--steps', '60');
  assert.ok(!existsSync(checkpoint(killed, 60)), 'the run was to be killed before its end');
  ok(unshake('train', 'smoke', '--out', killed, '--resume'));

  for (const step of [20, 40, 60]) assert.ok(readFileSync(checkpoint(straight, step)).equals(readFileSync(checkpoint(killed, step))), `step ${step}`);
  assert.ok(readFileSync(join(straight, 'checkpoints', 'best.safetensors')).equals(readFileSync(join(killed, 'checkpoints', 'best.safetensors'))), 'best');
  const steps = Array.from({ length: 60 }, (_, i) => i + 1);
  assert.deepEqual(readLog(straight).map(({ step }) => step), steps);
  assert.deepEqual(readLog(killed).map(({ step }) => step), steps, 'the log was cut back to the checkpoint, and goes on at the next step');
  const losses = (run: string) => readLog(run).map(({ l1, discriminator, adversarial }) => [l1, discriminator, adversarial]);
  assert.deepEqual(losses(killed), losses(straight));
  const best = readCheckpointInfo(join(straight, 'checkpoints', 'best.safetensors')).best!;
  const validated = readLog(straight).filter((entry) => entry.validationPsnr !== undefined);
  assert.equal(best.psnr.toFixed(3), Math.max(...validated.map((entry) => entry.validationPsnr)).toFixed(3));
  assert.deepEqual(readdirSync(join(straight, 'samples')), ['step-00000020.png', 'step-00000040.png', 'step-00000060.png']);

  // A longer run goes on from there; another seed is another run.
  ok(unshake('train', 'smoke', '--out', killed, '--resume', '--steps', '62'));
  assert.equal(readLog(killed).at(-1)!.step, 62);
  const other = join(folder, 'other');
  ok(unshake('train', 'smoke', '--data', data, '--out', other, '--steps', '20', '--set', 'seed=2'));
  assert.ok(!readFileSync(checkpoint(straight, 20)).equals(readFileSync(checkpoint(other, 20))));
});

test('a damaged newest checkpoint is skipped with a word; without checkpoints --resume fails', () => {
  const run = join(folder, 'damaged');
  ok(unshake('train', 'smoke', '--data', data, '--out', run, '--steps', '40'));
  truncateSync(checkpoint(run, 40), 1000);
  const resumed = unshake('train', 'smoke', '--out', run, '--resume');
  ok(resumed);
  assert.match(resumed.stderr, /skipped a damaged checkpoint: .*step-00000040/);
  assert.match(resumed.stderr, /resuming after step 20/);
  rmSync(join(run, 'checkpoints'), { recursive: true });
  const failed = unshake('train', 'smoke', '--out', run, '--resume');
  assert.equal(failed.status, 1);
  assert.match(failed.stderr, /^unshake: CHECKPOINT: .*nothing to resume/m);
  assert.equal(unshake('train', 'smoke', '--out', join(folder, 'nowhere'), '--resume').status, 1);
});

test('Ctrl-C saves where it stands, and --resume goes on from there', async () => {
  const run = join(folder, 'interrupted');
  const { code, stderr } = await interruptAt(checkpoint(run, 20), 'SIGINT', 'smoke', '--data', data, '--out', run, '--steps', '100000');
  assert.equal(code, 1);
  const stopped = Number(/unshake: ABORTED: stopped at step (\d+)/.exec(stderr)?.[1]);
  assert.ok(stopped >= 20 && existsSync(checkpoint(run, stopped)), stderr);
  assert.match(stderr, /stopping after this step; Ctrl-C again stops at once/);
  ok(unshake('train', 'smoke', '--out', run, '--resume', '--steps', String(stopped + 3)));
  assert.deepEqual(readLog(run).map(({ step }) => step).slice(-3), [stopped + 1, stopped + 2, stopped + 3]);
  const config = readFileSync(join(run, 'config.yaml'), 'utf8'), shorter = unshake('train', 'smoke', '--out', run, '--resume', '--steps', '3');
  assert.deepEqual([shorter.status, readFileSync(join(run, 'config.yaml'), 'utf8')], [2, config]);
  assert.match(shorter.stderr, /interrupted: is at step \d+ already, and 3 steps would end before; --steps can only extend a run/);
});

test('a loss that is not a number ends the run with step and file names; earlier checkpoints stay', () => {
  const run = join(folder, 'diverged');
  const first = unshake('train', 'smoke', '--data', data, '--out', run, '--steps', '20');
  ok(first);
  // A learning rate that overflows.
  const config = join(run, 'config.yaml');
  writeFileSync(config, readFileSync(config, 'utf8').replace('lr: 0.0002', 'lr: 1.0e+30'));
  const kept = readFileSync(checkpoint(run, 20));
  const { status, stderr } = unshake('train', 'smoke', '--out', run, '--resume', '--steps', '60');
  assert.equal(status, 1);
  assert.match(stderr, /^unshake: DIVERGED: the loss \w+ became (NaN|-?Infinity) at step 2\d, on \d+.*, \d+/m);
  assert.ok(readFileSync(checkpoint(run, 20)).equals(kept));
  assert.deepEqual(readdirSync(join(run, 'checkpoints')).filter((name) => name.startsWith('step')), ['step-00000020.safetensors']);
});

test('a loss larger than that of any two pictures ends the run, too', () => {
  const run = join(folder, 'diverged-finite');
  const { status, stderr } = unshake('train', 'smoke', '--data', data, '--out', run, '--steps', '40', '--set', 'generator={type: residual-unet, width: 8, blocks: [1, 1, 1]}', '--set', 'optimizer.lr=0.3');
  assert.equal(status, 1, stderr);
  const [, loss] = /^unshake: DIVERGED: the loss l1 became ([\d.e+]+) at step \d+, on /m.exec(stderr) ?? [];
  assert.ok(Number(loss) > 4 && Number.isFinite(Number(loss)), stderr);
});

test('--init-from starts from the averaged weights, of the same network only', () => {
  const from = join(folder, 'damaged-source'), run = join(folder, 'from');
  ok(unshake('train', 'smoke', '--data', data, '--out', from, '--steps', '20'));
  ok(unshake('train', 'smoke', '--data', data, '--out', run, '--steps', '1', '--init-from', from, '--set', 'optimizer.lr=1e-12'));
  const loss = (folderName: string, index: number) => readLog(folderName).at(index)!.l1;
  assert.notEqual(loss(run, 0), loss(from, 0), 'not the fresh weights');
  const file = join(folder, 'from.onnx'), again = join(folder, 'from-onnx');
  ok(unshake('export', from, '-o', file));
  ok(unshake('train', 'smoke', '--data', data, '--out', again, '--steps', '1', '--init-from', file, '--set', 'optimizer.lr=1e-12'));
  assert.equal(loss(again, 0), loss(run, 0), 'an exported model starts a run as its checkpoint does');
  const other = unshake('train', 'smoke', '--data', data, '--out', join(folder, 'misfit'), '--init-from', from, '--set', 'generator.rate=4');
  assert.equal(other.status, 1);
  assert.match(other.stderr, /CHECKPOINT: .*can't start this run/);
});

test('--limit-pairs trains on that many pairs', () => {
  const run = join(folder, 'limited');
  const { stderr, status } = unshake('train', 'smoke', '--data', data, '--out', run, '--steps', '2', '--limit-pairs', '2');
  assert.equal(status, 0, stderr);
  assert.match(stderr, /: 2 to train, 1 to validate/);
});

test('misuse is refused in one line, with the right exit code', () => {
  const cases: [string[], number, RegExp][] = [
    [['train', 'smoke'], 2, /USAGE: .*--out/],
    [['train', 'smok', '--out', join(folder, 'x')], 1, /CONFIG: smok: no such experiment .*; did you mean smoke\? expected a YAML file or one of/],
    [['train', 'smoke', '--out', join(folder, 'x'), '--set', 'batchsize=3'], 1, /CONFIG: .*unknown key batchsize: did you mean batchSize\?/],
    [['train', 'smoke', '--out', join(folder, 'x'), '--set', 'steps'], 1, /CONFIG: --set steps: expected key=value/],
    [['train', 'smoke', '--out', join(folder, 'x'), '--set', 'crop=x'], 1, /CONFIG: .*crop: expected number/],
    [['train', 'smoke', '--out', join(folder, 'x'), '--steps', '0'], 2, /USAGE: --steps/],
    [['train', 'smoke', '--out', join(folder, 'x'), '--device', 'tpu'], 2, /USAGE: --device/],
    [['train', 'smoke', '--out', join(folder, 'x'), '--data', join(folder, 'none')], 1, /DATA: .*none: no such folder/],
    [['train', 'smoke', '--out', join(folder, 'x'), '--data', data, '--set', 'precision=fp16', '--device', 'cpu'], 1, /CONFIG: precision/],
    [['train', 'smoke', '--out', join(folder, 'x'), '--data', data, '--set', 'crop=5000'], 1, /DATA: .*crop/],
    [['train', 'smoke', '--out', join(folder, 'straight'), '--data', data], 1, /DATA: .*--resume continues it/],
    [['train', 'smoke', '--out', join(folder, 'straight'), '--resume', '--set', 'crop=32'], 2, /USAGE: --resume/],
    [['train', 'smoke', '--out', join(folder, 'straight'), '--resume', '--minutes', 'Infinity'], 2, /USAGE: --minutes: expected a number above 0/],
    [['train', join(folder, '50%.yaml'), '--out', join(folder, 'x')], 1, /CONFIG: .*50%\.yaml: no such experiment/],
    [['train', 'a%2Fb', '--out', join(folder, 'x')], 1, /CONFIG: a%2Fb: no such experiment/],
    [['train', `/${folder}/none.yaml`, '--out', join(folder, 'x')], 1, /CONFIG: .*none\.yaml: no such experiment/],
    [['train', 'smoke', '--out', join(folder, 'x'), '--data', data, '--set', 'batchSize=1e9'], 1, /CONFIG: batchSize 1000000000 and crop \d+: 5 batches .* GiB are free/],
  ];
  for (const [args, status, message] of cases) {
    const result = unshake(...args);
    assert.equal(result.status, status, `${args.join(' ')}\n${result.stderr}`);
    assert.match(result.stderr, message);
    assert.ok(!result.stderr.includes('    at '), 'no stack');
  }
});
