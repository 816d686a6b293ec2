/** `unshake experiments run` on tiny runs: killed and given again, several seeds, a run that fails, other settings. Data are generated scenes. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { groupBackends, status } from '@unshake/libtorch';
import { synthScenes } from '../src/blur/synth.js';
import { parseConfig } from '../src/config.js';
import { AbortedError, UnshakeError } from '../src/errors.js';
import { loadConfig } from '../src/experiment-file.js';
import { runExperiments } from '../src/experiments.js';
import { readLog, runConfig } from '../src/run-folder.js';
import { train } from '../src/train.js';

const skip = status().available ? false : `no libtorch: ${status().reason}`;
const program = fileURLToPath(new URL('../../bin/unshake.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'unshake-experiments-'));
const data = join(folder, 'scenes');

/** An experiment of six steps as a file. */
function experiment(name: string, settings: object = {}): string {
  const file = join(folder, `${name}.yaml`);
  writeFileSync(file, stringify({
    name, steps: 6, batchSize: 1, crop: 32, precision: 'fp32', threads: 1, workers: 1, validateEvery: 6, validationPairs: 1, validationCrop: 32, checkpointEvery: 2, logEvery: 1,
    generator: { type: 'dgf-report', rate: 2 }, ...settings,
  }));
  return file;
}

const unshake = (...args: string[]) => spawnSync(process.execPath, [program, 'experiments', 'run', ...args], { encoding: 'utf8', timeout: 300_000 });
const best = (out: string, run: string): Buffer => readFileSync(join(out, 'runs', run, 'checkpoints', 'best.safetensors'));

before(async () => { await synthScenes(data, { count: 4, width: 176, height: 168, seed: 3 }); });
after(() => rmSync(folder, { recursive: true, force: true }));

test('killed and given again, it continues, and ends as one that was not killed; a third time only what is left is trained', { skip }, async () => {
  const files = [experiment('a'), experiment('b', { generator: { type: 'dgf-report', rate: 3 } })];
  const straight = join(folder, 'straight'), killed = join(folder, 'killed');
  for (const file of files) {
    const config = parseConfig({ ...await loadConfig(file), data: [{ path: data }] }, file);
    await train(config, join(straight, 'runs', `${config.name}-seed1`));
  }

  const child = spawn(process.execPath, [program, 'experiments', 'run', ...files, '--data', data, '-o', killed], { stdio: 'ignore' });
  const ended = new Promise((resolve) => child.on('close', resolve));
  while (!existsSync(join(killed, 'runs/b-seed1/checkpoints/step-00000002.safetensors')) && child.exitCode === null) await sleep(2);
  child.kill('SIGKILL');
  await ended;
  const firstOfTwo = statSync(join(killed, 'runs/a-seed1/checkpoints/best.safetensors')).mtimeMs;
  const again = unshake(...files, '--data', data, '-o', killed);
  assert.equal(again.status, 0, again.stderr);
  assert.match(again.stderr, /1 of 2: a-seed1 is finished/);
  assert.equal(statSync(join(killed, 'runs/a-seed1/checkpoints/best.safetensors')).mtimeMs, firstOfTwo);
  for (const run of ['a-seed1', 'b-seed1']) {
    assert.ok(best(killed, run).equals(best(straight, run)), run);
    assert.deepEqual(readLog(join(killed, 'runs', run)).map(({ step }) => step), [1, 2, 3, 4, 5, 6]);
  }
  for (const file of ['report.html', 'table.md', 'loss.svg']) assert.ok(existsSync(join(killed, file)), file);
  // Given a third time, with a larger budget for one of them; and with other settings, which are another run.
  experiment('a', { steps: 8 });
  const third = await runExperiments(files, killed, { data });
  assert.deepEqual(third.outcomes.map(({ outcome }) => outcome), ['trained', 'finished']);
  assert.equal(readLog(join(killed, 'runs/a-seed1')).at(-1)!.step, 8);
  const changed = await runExperiments(files.slice(0, 1), killed, { data, set: ['optimizer.lr=1e-5'] });
  assert.match(changed.outcomes[0].error!.message, /begun with other settings \(optimizer\.lr was 0\.0002 and is 0\.00001 now\)/);
});

test('seeds, settings and a budget of time reach the runs; each is evaluated where asked', { skip }, async () => {
  const out = join(folder, 'seeds'), notices: string[] = [];
  const { outcomes, report } = await runExperiments([experiment('c', { steps: 10_000 })], out, {
    data, seeds: [4, 5], set: ['crop=24'], minutes: 1e-6, report: { data: [data] }, onNotice: (line) => notices.push(line),
  });
  assert.deepEqual(outcomes.map(({ name, outcome }) => [name, outcome]), [['c-seed4', 'trained'], ['c-seed5', 'trained']]);
  const { seed, crop, steps } = runConfig(outcomes[1].path);
  assert.deepEqual([seed, crop, steps, readLog(outcomes[1].path).length], [5, 24, 10_000, 1], 'one step used up the time');
  assert.deepEqual(report.sets, [{ title: data, pairs: 4, measured: 2 }], notices.join('\n'));
  assert.doesNotMatch(readFileSync(join(out, 'table.md'), 'utf8'), /stopped at/, 'a run whose time is up has come to its end');
  assert.deepEqual((await runExperiments([join(folder, 'c.yaml')], out, { data, seeds: [4, 5], set: ['crop=24'], minutes: 1e-6 })).outcomes.map(({ outcome }) => outcome), ['finished', 'finished']);
});

const skipPair = skip || (!groupBackends().includes('gloo') && 'the addon was built without Gloo (apt-get install libgloo-dev)');
test('--nproc 2: two processes share each batch, and a run that was stopped continues with two', { skip: skipPair }, () => {
  const out = join(folder, 'pair'), file = experiment('pair', { steps: 2 });
  const first = unshake(file, '--data', data, '--nproc', '2', '-o', out);
  assert.equal(first.status, 0, first.stderr);
  const again = unshake(file, '--data', data, '--nproc', '2', '--steps', '4', '-o', out);
  assert.equal(again.status, 0, again.stderr);
  assert.match(again.stdout, /report\.html: 1 trained, 0 finished before, 0 failed/);
  const log = readLog(join(out, 'runs/pair-seed1'));
  assert.deepEqual(log.map(({ step, effectiveBatch }) => [step, effectiveBatch]), [[1, 2], [2, 2], [3, 2], [4, 2]]);
});

test('a run that fails is passed over and named, on the page and by the exit code', { skip }, () => {
  const out = join(folder, 'failing');
  const { status: code, stderr, stdout } = unshake(experiment('broken', { crop: 5000 }), experiment('whole', { steps: 1 }), '--data', data, '-o', out, '--verbose');
  assert.equal(code, 1);
  assert.match(stderr, /^unshake: DATA: broken-seed1: .*crop.*\nDataError: [^]*?\n    at /m);
  assert.match(stdout, /report\.html: 1 trained, 0 finished before, 1 failed/);
  for (const file of ['report.html', 'table.md']) assert.match(readFileSync(join(out, file), 'utf8'), /broken-seed1: .*crop/);
});

test('so is one whose networks refuse its crops', { skip }, async () => {
  const small = experiment('small', { crop: 16, discriminator: { type: 'patch', ndf: 4 } });
  const { outcomes } = await runExperiments([small, experiment('after', { steps: 1 })], join(folder, 'refusing'), { data });
  assert.deepEqual(outcomes.map(({ outcome, error }) => [outcome, error?.code]), [['failed', 'TRAINING'], ['trained', undefined]]);
});

test('stopped by a signal, it saves the run and says how to go on', { skip }, async () => {
  const stop = new AbortController();
  const error = await runExperiments([experiment('stopped')], join(folder, 'stopped'), { data, signal: stop.signal, onProgress: ({ done }) => { if (done === 3) stop.abort(); } })
    .then(() => assert.fail('it was to be stopped'), (reason: unknown) => reason as AbortedError);
  assert.ok(error instanceof AbortedError);
  const step = /^stopped-seed1: stopped at step ([345]) of 6; .*the same command again continues$/.exec(error.message)?.[1];
  assert.ok(existsSync(join(folder, `stopped/runs/stopped-seed1/checkpoints/step-0000000${step}.safetensors`)), error.message);
});

test('what cannot be is refused before anything is trained', async () => {
  const out = join(folder, 'refused');
  const refused = (names: string[], options: object, code: string, message: RegExp) =>
    assert.rejects(runExperiments(names, out, options), (error: unknown) => error instanceof UnshakeError && error.code === code && message.test(error.message));
  await refused([experiment('a'), 'no-such-experiment'], {}, 'CONFIG', /no-such-experiment: no such experiment/);
  await refused([experiment('a')], { set: ['stepps=3'] }, 'CONFIG', /unknown key stepps: did you mean steps/);
  await refused([experiment('a')], { steps: 1, minutes: 1 }, 'USAGE', /one budget/);
  await refused([experiment('a'), experiment('twin', { name: 'a' })], {}, 'CONFIG', /two of the experiments call themselves a/);
  await refused([experiment('a')], { report: { data: [data, join(folder, 'nowhere')] } }, 'DATA', /nowhere/);
  await refused([experiment('a')], { report: { exclude: [join(folder, 'names.txt')] } }, 'DATA', /--exclude .*names\.txt: can't be read/);
  assert.ok(!existsSync(out));
  for (const args of [['--seeds', '1,x'], ['--steps', '1', '--minutes', '1']]) assert.equal(unshake('smoke', '-o', out, ...args).status, 2, args.join(' '));
});
