/** Several processes: they equal one with the whole batch, a lost one ends all, and --resume continues. */
import { after, before, suite, test } from 'node:test';
import assert from 'node:assert/strict';
import { fork, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { groupBackends } from '@unshake/libtorch';
import { readCheckpointInfo } from '../src/checkpoint.js';
import { ranksFromEnvironment } from '../src/parallel.js';
import { readLog } from '../src/run-folder.js';
import { trainShare, type Outcome, type Split } from './parallel-gan.js';

const skip = !groupBackends().includes('gloo') && 'the addon was built without Gloo (apt-get install libgloo-dev)';

/** trainShare() by `size` processes. */
async function byProcesses(size: number, split: Split): Promise<Outcome[]> {
  const children: ChildProcess[] = [];
  const start = (rank: number, port: number): Promise<Outcome> => new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(new URL('./parallel-gan.js', import.meta.url)), [String(rank), String(size), String(port), JSON.stringify(split)], { serialization: 'advanced' });
    children.push(child);
    child.on('message', (message: { port: number } | { outcome: Outcome }) => {
      if ('outcome' in message) resolve(message.outcome);
      else if (rank === 0) for (let other = 1; other < size; other++) others.push(start(other, message.port));
    });
    child.on('close', (code) => reject(new Error(`rank ${rank} ended with ${code}`)));
  });
  const others: Promise<Outcome>[] = [];
  try {
    return [await start(0, 0), ...await Promise.all(others)];
  } finally {
    for (const child of children) child.kill('SIGKILL');
  }
}

/** max |a − b| / max |b|. */
function relativeDifference(a: readonly number[], b: readonly number[]): number {
  assert.equal(a.length, b.length);
  return Math.max(...a.map((value, i) => Math.abs(value - b[i]))) / Math.max(...b.map(Math.abs));
}

suite('gradients of a split batch', { skip }, () => {
  const double = { dtype: 'float64', optimizer: 'sgd', steps: 10 } as const;

  test('10 steps of SGD in float64: two processes, micro-batches, and both, equal one process with the whole batch', async () => {
    const pairOfOne = trainShare({ ...double, globalBatch: 2, microBatch: 2 }, null);
    const ranks = await byProcesses(2, { ...double, globalBatch: 2, microBatch: 1 });
    for (const { weights } of ranks) assert.ok(relativeDifference(weights, pairOfOne.weights) < 1e-9, String(relativeDifference(weights, pairOfOne.weights)));
    assert.deepEqual(ranks[0].weights, ranks[1].weights, 'the processes hold the same weights, bit by bit');
    const accumulated = trainShare({ ...double, globalBatch: 2, microBatch: 1 }, null);
    assert.ok(relativeDifference(accumulated.weights, pairOfOne.weights) < 1e-9);

    const whole = trainShare({ ...double, steps: 3, globalBatch: 6, microBatch: 6 }, null);
    const three = await byProcesses(3, { ...double, steps: 3, globalBatch: 6, microBatch: 1 });
    for (const { weights } of three) assert.ok(relativeDifference(weights, whole.weights) < 1e-9);
    const half = trainShare({ ...double, steps: 3, globalBatch: 3, microBatch: 3 }, null);
    assert.ok(relativeDifference(half.weights, whole.weights) > 1e-6, 'other pictures give other weights');
  });

  test('Adam in float32: the first averaged gradient agrees', async () => {
    const adam = { dtype: 'float32', optimizer: 'adam', steps: 1, globalBatch: 2 } as const;
    const whole = trainShare({ ...adam, microBatch: 2 }, null);
    for (const { firstGradients } of await byProcesses(2, { ...adam, microBatch: 1 })) {
      assert.ok(relativeDifference(firstGradients, whole.firstGradients) < 1e-5, String(relativeDifference(firstGradients, whole.firstGradients)));
    }
  });
});

const program = fileURLToPath(new URL('../../bin/unshake.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'unshake-parallel-'));
const data = join(folder, 'scenes');
const unshake = (...args: string[]) => spawnSync(process.execPath, [program, ...args], { encoding: 'utf8', timeout: 300_000 });
const checkpoint = (run: string, step: number) => join(run, 'checkpoints', `step-${String(step).padStart(8, '0')}.safetensors`);
const ok = ({ status, stderr }: { status: number | null; stderr: string }) => assert.equal(status, 0, stderr);
const smoke = ['train', 'smoke', '--data', data, '--set', 'batchSize=1', '--set', 'checkpointEvery=5', '--set', 'validateEvery=10'];

/** A run in the background. */
function begin(args: readonly string[], env: NodeJS.ProcessEnv = process.env): { child: ChildProcess; stderr: () => string; ended: Promise<number | null> } {
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'ignore', 'pipe'], env });
  let stderr = '';
  child.stderr!.on('data', (chunk: Buffer) => { stderr += chunk.toString(); });
  return { child, stderr: () => stderr, ended: new Promise((resolve) => child.on('close', resolve)) };
}

async function until(what: () => boolean, child: ChildProcess): Promise<void> {
  while (!what() && child.exitCode === null && child.signalCode === null) await sleep(5);
}

before(() => ok(unshake('data', 'synth', '--scenes', data, '--count', '8', '--seed', '5')));
after(() => rmSync(folder, { recursive: true, force: true }));

suite('unshake train --nproc', { skip }, () => {
  test('two processes see the pictures of one with the double batch, and log means over all', () => {
    const instance = ['--set', 'discriminator.norm=instance', '--steps', '4'];
    const one = join(folder, 'one'), two = join(folder, 'two'), both = join(folder, 'both');
    ok(unshake(...smoke, '--out', one, ...instance, '--set', 'batchSize=4'));
    ok(unshake(...smoke, '--out', two, ...instance, '--set', 'batchSize=2', '--nproc', '2'));
    ok(unshake(...smoke, '--out', both, ...instance, '--set', 'accumulate=2', '--nproc', '2'));
    const whole = readLog(one);
    for (const run of [two, both]) {
      const log = readLog(run);
      assert.deepEqual(log.map(({ step, effectiveBatch }) => [step, effectiveBatch]), whole.map(({ step }) => [step, 4]));
      for (const [i, { l1, discriminator, adversarial, generator }] of log.entries()) {
        for (const [value, wanted] of [[l1, whole[i].l1], [discriminator, whole[i].discriminator], [adversarial, whole[i].adversarial], [generator, whole[i].generator]]) {
          assert.ok(Math.abs(value / wanted - 1) < 1e-3, `${run} step ${i + 1}: ${value} where one process has ${wanted}`); // Adam enlarges rounding where gradients are near 0
        }
      }
    }
    assert.equal(readCheckpointInfo(checkpoint(two, 4)).environment.processes, '2');
  });

  test('a killed process ends the other with a clear error, and --resume finishes as if nothing had been', async () => {
    const straight = join(folder, 'straight'), killed = join(folder, 'killed');
    const withDropout = [...smoke, '--set', 'generator.type=dgf-paper', '--set', 'generator.rate=4', '--nproc', '2', '--steps', '20'];
    ok(unshake(...withDropout, '--out', straight));
    const { child, stderr, ended } = begin([...withDropout, '--out', killed]);
    await until(() => existsSync(checkpoint(killed, 10)), child);
    const victim = Number(/pids \d+, (\d+)/.exec(stderr())?.[1]);
    process.kill(victim, 'SIGKILL');
    assert.equal(await ended, 1);
    assert.match(stderr(), new RegExp(`^unshake: PARALLEL: process 1 of the run \\(pid ${victim}\\) was lost: it ended with SIGKILL`, 'm'));
    assert.equal(stderr().match(/^unshake: /gm)!.length, 1, stderr());
    for (const name of readdirSync(join(killed, 'checkpoints'))) readCheckpointInfo(join(killed, 'checkpoints', name));
    assert.ok(!existsSync(checkpoint(killed, 20)), 'the run was to be killed before its end');

    ok(unshake('train', 'smoke', '--out', killed, '--resume', '--nproc', '2'));
    for (const name of ['step-00000020.safetensors', 'best.safetensors']) {
      assert.ok(readFileSync(join(straight, 'checkpoints', name)).equals(readFileSync(join(killed, 'checkpoints', name))), name);
    }
    assert.deepEqual(readLog(killed).map(({ step, l1 }) => [step, l1]), readLog(straight).map(({ step, l1 }) => [step, l1]));
    const alone = unshake('train', 'smoke', '--out', killed, '--resume', '--steps', '21');
    ok(alone);
    assert.match(alone.stderr, /processes was 2 when the checkpoint was written and is 1 now/);
  });

  test('Ctrl-C saves and ends all at one step', async () => {
    const run = join(folder, 'interrupted');
    const { child, stderr, ended } = begin([...smoke, '--out', run, '--nproc', '2', '--steps', '100000']);
    await until(() => existsSync(checkpoint(run, 5)), child);
    child.kill('SIGINT');
    assert.equal(await ended, 1);
    const stopped = Number(/unshake: ABORTED: stopped at step (\d+)/.exec(stderr())?.[1]);
    assert.ok(stopped >= 5 && existsSync(checkpoint(run, stopped)), stderr());
  });

  test('a picture that one process cannot read ends all with its name', () => {
    const damaged = join(folder, 'damaged');
    ok(unshake('data', 'synth', '--scenes', damaged, '--count', '8', '--seed', '5'));
    for (const name of readdirSync(join(damaged, 'blur'))) writeFileSync(join(damaged, 'blur', name), readFileSync(join(damaged, 'blur', name)).subarray(0, 2000));
    const { status, stderr } = unshake('train', 'smoke', '--data', damaged, '--out', join(folder, 'unreadable'), '--nproc', '2', '--steps', '20');
    assert.equal(status, 1);
    assert.match(stderr, /^unshake: (DATA|IMAGE): .*damaged/m);
    assert.equal(stderr.match(/^unshake: /gm)!.length, 1, stderr);
  });
});

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0);
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

suite("a launcher's processes", { skip }, () => {
  test('find each other by torchrun\'s variables; when one dies, the other says so and ends', async () => {
    const run = join(folder, 'launched');
    const shared = { ...process.env, WORLD_SIZE: '2', LOCAL_WORLD_SIZE: '2', MASTER_ADDR: '127.0.0.1', MASTER_PORT: String(await freePort()) };
    const ranks = ['0', '1'].map((rank) => begin([...smoke, '--out', run, '--steps', '100000'], { ...shared, RANK: rank, LOCAL_RANK: rank }));
    await until(() => existsSync(checkpoint(run, 5)), ranks[0].child);
    ranks[1].child.kill('SIGKILL');
    assert.equal(await ranks[0].ended, 1);
    assert.match(ranks[0].stderr(), /^unshake: PARALLEL: rank 0 of 2 lost the others .*--resume/m);
    assert.match(ranks[0].stderr(), /effective batch 2 \(2 processes × 1\)/);
    assert.equal(ranks[1].stderr(), '', 'only rank 0 talks');
    readCheckpointInfo(checkpoint(run, 5));
  });

  test('with other settings are refused', async () => {
    const shared = { ...process.env, WORLD_SIZE: '2', LOCAL_WORLD_SIZE: '2', MASTER_ADDR: '127.0.0.1', MASTER_PORT: String(await freePort()) };
    const ranks = ['0', '1'].map((rank) => begin([...smoke, '--out', join(folder, 'differ'), '--steps', `2${rank}`], { ...shared, RANK: rank, LOCAL_RANK: rank }));
    assert.deepEqual(await Promise.all(ranks.map(({ ended }) => ended)), [1, 1]);
    assert.match(ranks[1].stderr(), /^unshake: CONFIG: rank 1 has other settings than rank 0/m);
  });

  test('are recognised by their variables, and half of them is an error that names the other half', () => {
    const all = { WORLD_SIZE: '8', RANK: '5', LOCAL_RANK: '1', LOCAL_WORLD_SIZE: '4', MASTER_ADDR: 'node0', MASTER_PORT: '29500' };
    assert.deepEqual(ranksFromEnvironment(all), { rank: 5, size: 8, localRank: 1, localSize: 4, host: 'node0', port: 29500, storeRuns: false, prefix: 'unshake' });
    assert.equal(ranksFromEnvironment({}), null);
    assert.equal(ranksFromEnvironment({ ...all, WORLD_SIZE: '1', RANK: '0' }), null);
    assert.deepEqual([ranksFromEnvironment({ ...all, TORCHELASTIC_USE_AGENT_STORE: 'True', TORCHELASTIC_RESTART_COUNT: '2' })].map((ranks) => [ranks!.storeRuns, ranks!.prefix]), [[true, 'unshake/attempt_2']]);
    for (const [name, value] of [['RANK', undefined], ['RANK', '8'], ['MASTER_PORT', undefined], ['MASTER_ADDR', undefined], ['WORLD_SIZE', 'two']] as const) {
      assert.throws(() => ranksFromEnvironment({ ...all, [name]: value }), { code: 'USAGE', message: new RegExp(name) });
    }
    const { status, stderr } = spawnSync(process.execPath, [program, ...smoke, '--out', join(folder, 'x'), '--nproc', '2'], { encoding: 'utf8', env: { ...process.env, ...all } });
    assert.equal(status, 2);
    assert.match(stderr, /USAGE: --nproc .*WORLD_SIZE/);
  });
});
