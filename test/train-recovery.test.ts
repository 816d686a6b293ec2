/** What a run does when something goes wrong, or has changed, between its first step and its last: nothing is lost, and it says so. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { status } from '@unshake/libtorch';
import { synthScenes } from '../src/blur/synth.js';
import { listCheckpoints, readCheckpointInfo } from '../src/checkpoint.js';
import { parseConfig, type Config } from '../src/config.js';
import { UnshakeError } from '../src/errors.js';
import { readLog, runConfig } from '../src/run-folder.js';
import { train, type TrainOptions } from '../src/train.js';

const skip = status().available ? false : `no libtorch: ${status().reason}`;
const program = fileURLToPath(new URL('../../bin/unshake.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'unshake-recovery-'));
const data = join(folder, 'scenes');
const unshake = (...args: string[]) => spawnSync(process.execPath, [program, ...args], { encoding: 'utf8', timeout: 120_000 });

before(async () => { await synthScenes(data, { count: 6, width: 96, height: 80, seed: 3 }); });
after(() => rmSync(folder, { recursive: true, force: true }));

const config = (settings: object = {}): Config => parseConfig({
  name: 'tiny', data: [{ path: data }], steps: 6, batchSize: 1, crop: 32, precision: 'fp32', threads: 1, workers: 1, validateEvery: 1000, validationCrop: 32, checkpointEvery: 1000, logEvery: 1,
  generator: { type: 'dgf-report', rate: 2 }, ...settings,
}, 'test');

/** Trains into a new folder; returns it with the notices and what was thrown. */
async function run(name: string, settings: Config, options: TrainOptions = {}): Promise<{ out: string; notices: string[]; error: UnshakeError | null }> {
  const out = join(folder, name), notices: string[] = [];
  const error = await train(settings, out, { ...options, onNotice: (line) => notices.push(line) }).then(() => null, (reason: unknown) => reason as UnshakeError);
  assert.ok(error === null || error instanceof UnshakeError, String(error?.stack));
  return { out, notices, error };
}

const steps = (out: string): number[] => listCheckpoints(join(out, 'checkpoints')).map((path) => readCheckpointInfo(path).step);

/** A copy of the scenes. */
function copyOfData(name: string): string {
  cpSync(data, join(folder, name), { recursive: true });
  return join(folder, name);
}

test('what the networks refuse is an error of the settings, and nothing is left that would stop another try', { skip }, async () => {
  const patch = await run('patch', config({ crop: 16, discriminator: { type: 'patch', ndf: 4 } }));
  assert.equal(patch.error?.code, 'TRAINING');
  assert.match(patch.error.message, /^step 1 with batchSize 1 and crop 16: the patch discriminator needs crops of 32 pixels or more.*try another crop/);
  const odd = await run('odd', config({ crop: 36, generator: { type: 'residual-unet', width: 8, blocks: [1, 1, 1] } }));
  assert.match(`${odd.error?.code}: ${odd.error?.message}`, /^CONFIG: crop: expected a multiple of 8, .*residual-unet.*got 36/);
  assert.equal((await run('patch', config({ steps: 1 }))).error, null, 'the same folder, with other settings');
});

test('weights that gave an impossible loss are put aside, earlier ones stay; lower settings go on from there', { skip }, async () => {
  const wild = { checkpointEvery: 1, validateEvery: 1, generator: { type: 'residual-unet', width: 8, blocks: [1, 1, 1] } };
  const fresh = await run('wild', config({ ...wild, optimizer: { lr: 1e30 } }));
  assert.equal(fresh.error?.code, 'DIVERGED');
  assert.match(fresh.error.message, /^the loss l1 became \S+ at step 2, on .*There is no checkpoint from before: begin again with a lower --set optimizer\.lr/);
  assert.deepEqual(steps(fresh.out), []);

  const { out } = await run('tame', config({ ...wild, steps: 2 }));
  const wrong = unshake('train', 'smoke', '--out', out, '--resume', '--steps', '6', '--set', 'optimizer.lr=1e30');
  assert.match(wrong.stderr, /^optimizer\.lr was 0\.0002 and is 1e\+30 from here on$/m);
  assert.match(wrong.stderr, /^unshake: DIVERGED: .* at step 4, on .*has checkpoints from before: --resume with a lower/m);
  assert.deepEqual(steps(out), [1, 2], 'step 3, whose weights are those of the loss at step 4, is none');
  assert.ok(existsSync(join(out, 'checkpoints/step-00000003.diverged')));
  const right = unshake('train', 'smoke', '--out', out, '--resume', '--set', 'optimizer.lr=1e-5');
  assert.equal(right.status, 0, right.stderr);
  assert.match(right.stderr, /was begun as tiny, and goes on as it; smoke changes nothing/);
  assert.deepEqual([runConfig(out).optimizer.lr, readLog(out).at(-1)!.step], [1e-5, 6]);
  const other = unshake('train', 'smoke', '--out', out, '--resume', '--set', 'generator.width=16');
  assert.equal(other.status, 2);
  assert.match(other.stderr, /^unshake: USAGE: --resume --set generator\.width=16: a run keeps it; expected a key under optimizer, /m);
});

test('what a process left that was killed while it saved goes with the next checkpoint', { skip }, async () => {
  const { out } = await run('torn', config({ steps: 1 })), torn = join(out, 'checkpoints/step-00000002.safetensors.1.tmp');
  writeFileSync(torn, 'half a checkpoint');
  await train(config({ steps: 2 }), out, { resume: true });
  assert.deepEqual(readdirSync(join(out, 'checkpoints')).sort(), ['best.safetensors', 'step-00000001.safetensors', 'step-00000002.safetensors']);
});

test('a budget of time belongs to the run', { skip }, async () => {
  const { out } = await run('timed', config({ steps: 100_000, minutes: 1e-6, schedule: { type: 'cosine' } }));
  assert.deepEqual([readLog(out).length, runConfig(out).minutes], [1, 1e-6]);
  assert.equal((await run('timed', runConfig(out), { resume: true })).error, null);
  assert.equal(readLog(out).length, 1, 'the time is used up');
  const more = unshake('train', 'smoke', '--out', out, '--resume', '--steps', '3', '--minutes', '5');
  assert.equal(more.status, 0, more.stderr);
  assert.equal(readLog(out).at(-1)!.step, 3);
});

test('a picture that cannot be read costs no step: of the held-out pairs it is met first, of the others a checkpoint is saved', { skip }, async () => {
  const damaged = copyOfData('damaged');
  const sharps = readdirSync(join(damaged, 'sharp')).sort();
  const heldOut = (await run('which', config({ steps: 1 }))).notices.find((line) => line.includes('to validate'));
  assert.match(heldOut!, /5 to train, 1 to validate/);
  const outcomes: string[] = [];
  for (const name of sharps) {
    truncateSync(join(damaged, 'sharp', name), 100);
    const { out, error } = await run(`damaged-${name}`, config({ data: [{ path: damaged }], steps: 60 }));
    assert.match(`${error?.message}`, new RegExp(name.replace('.', '\\.')));
    const logged = readLog(out).length;
    assert.deepEqual(steps(out), logged === 0 ? [] : [logged]);
    outcomes.push(logged === 0 ? 'first' : 'saved');
    copyFileSync(join(data, 'sharp', name), join(damaged, 'sharp', name));
  }
  assert.ok(outcomes.includes('first') && outcomes.includes('saved'), outcomes.join());
});

test('a log or a sample that cannot be written is named, the steps are saved, and a run whose last validation failed makes up for it', { skip }, async () => {
  const settings = config({ steps: 3 });
  for (const [file, name] of [['log.jsonl', 'no-log'], ['samples', 'no-samples']]) {
    const out = join(folder, name), path = join(out, file), spoil = () => {
      rmSync(path, { recursive: true });
      if (file === 'samples') writeFileSync(path, '');
      else mkdirSync(path);
    };
    const { error } = await run(name, settings, { onProgress: ({ done }) => { if (done === 2) spoil(); } });
    assert.match(`${error?.code}: ${error?.message}`, file === 'samples' ? /^IMAGE: .*no-samples\/samples\/step-00000003\.png: can't be written/ : /^DATA: .*no-log\/log\.jsonl: can't be written/);
    assert.deepEqual(steps(out), [3]);
    rmSync(path, { recursive: true });
    if (file === 'samples') mkdirSync(path);
    const { best } = await train(settings, out, { resume: true });
    assert.equal(best?.step, 3);
    assert.ok(existsSync(join(out, 'checkpoints/best.safetensors')));
  }
});

test('so it does when an earlier validation succeeded', { skip }, async () => {
  const settings = config({ steps: 4, validateEvery: 2 }), out = join(folder, 'late'), samples = join(out, 'samples');
  const { error } = await run('late', settings, { onProgress: ({ done }) => {
    if (done !== 3) return;
    rmSync(samples, { recursive: true });
    writeFileSync(samples, '');
  } });
  assert.equal(error?.code, 'IMAGE');
  rmSync(samples);
  mkdirSync(samples);
  await train(settings, out, { resume: true });
  assert.deepEqual(readdirSync(samples), ['step-00000004.png']);
});

test('the time of a run that is stopped between two lines of its log counts', { skip }, async () => {
  const settings = config({ steps: 100, logEvery: 50 }), abort = new AbortController();
  const { out, error } = await run('stopped', settings, { signal: abort.signal, onProgress: ({ done }) => { if (done === 3) abort.abort(); } });
  assert.equal(error?.code, 'ABORTED');
  const entries = readLog(out);
  assert.deepEqual([entries.at(-1)!.step, steps(out)], [steps(out)[0], [entries.at(-1)!.step]]);
  assert.ok(entries.at(-1)!.seconds > 0 && entries.at(-1)!.l1 > 0);
});

test('weights of a network of another range start no run', { skip }, async () => {
  const { out } = await run('signed', config({ steps: 1, generator: { type: 'dgf-report', rate: 2 } }));
  const { error } = await run('unit', config({ steps: 1, generator: { type: 'dgf-report', rate: 2, range: 'unit' } }), { initFrom: join(out, 'checkpoints/best.safetensors') });
  assert.match(`${error?.code}: ${error?.message}`, /^CHECKPOINT: .*best\.safetensors can't start this run: its pictures are in range signed, this run's in unit/);
});

test('pairs that came or went since the checkpoint are told, and the best of the old ones is not compared', { skip }, async () => {
  const moving = copyOfData('moving'), settings = config({ data: [{ path: moving }], steps: 2 });
  const { out } = await run('moved', settings);
  assert.ok(readCheckpointInfo(listCheckpoints(join(out, 'checkpoints')).at(-1)!).best);
  assert.deepEqual((await run('moved', { ...settings, steps: 3 }, { resume: true })).notices.filter((line) => /bit-identical/.test(line)), []);
  const name = readdirSync(join(moving, 'sharp')).sort()[0];
  for (const half of ['blur', 'sharp']) rmSync(join(moving, half, name));
  const { notices } = await run('moved', { ...settings, steps: 4 }, { resume: true });
  assert.match(notices.join('\n'), /^pairs was 5 to train on, 1 held out \(names [\da-f]+\) when the checkpoint was written and is 4 to train on, 1 held out \(names [\da-f]+\) now/m);
  assert.equal(readCheckpointInfo(listCheckpoints(join(out, 'checkpoints')).at(-1)!).best?.step, 4);
});

test('pairs without blur do not choose the best checkpoint', { skip }, async () => {
  const split = join(folder, 'split');
  for (const part of ['train', 'val']) cpSync(data, join(split, part), { recursive: true });
  const inputPsnr = async (name: string): Promise<number> => readLog((await run(name, config({ data: [{ path: split }], steps: 1 }))).out)[0].validationInputPsnr;
  const name = readdirSync(join(split, 'val/sharp'))[0];
  copyFileSync(join(split, 'val/sharp', name), join(split, 'val/blur', name));
  const among = await inputPsnr('one-sharp');
  for (const half of ['blur', 'sharp']) rmSync(join(split, 'val', half, name));
  assert.equal(among, await inputPsnr('without'), 'as if it was not there');
  for (const rest of readdirSync(join(split, 'val/sharp'))) copyFileSync(join(split, 'val/sharp', rest), join(split, 'val/blur', rest));
  assert.equal(await inputPsnr('all-sharp'), 80, 'where there are no others, they are all there is');
});
