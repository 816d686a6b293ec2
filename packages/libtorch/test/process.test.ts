/** What needs a process or a thread of its own: garbage collection, workers, ways to end, the allocator. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { autocast, memory, noGrad, scope, zeros } from '../src/index.js';

const path = (name: string): string => fileURLToPath(new URL(`./children/${name}.js`, import.meta.url));

function run(name: string, { flags = [], args = [] }: { flags?: string[]; args?: string[] } = {}): { status: number | null; signal: string | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [...flags, path(name), ...args], { encoding: 'utf8', timeout: 60_000 });
}

async function ask(task: string): Promise<{ answer: Record<string, unknown>; code: number }> {
  const worker = new Worker(path('worker'), { workerData: { task } });
  const [[answer], [code]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')]) as [[Record<string, unknown>], [number]];
  return { answer, code };
}

suite('garbage collection', () => {
  test('releases what nobody released', () => {
    const { stdout, stderr } = run('gc', { flags: ['--expose-gc'] });
    const { made, left } = JSON.parse(stdout) as Record<string, { tensors: number; bytes: number }>;
    assert.deepEqual(made, { tensors: 400, bytes: 400 * 256 * 256 * 4 }, stderr);
    assert.deepEqual(left, { tensors: 0, bytes: 0 });
  });

  test('is not started by scopes that come and go, and is by tensors that pile up', () => {
    const { stdout, stderr } = run('pressure', { flags: ['--trace-gc'] });
    const [, steps, leaks] = stdout.split(/^(?:steps|leaks)$/m);
    const collections = (text: string): number => text.match(/Mark-Compact/g)?.length ?? 0;
    assert.ok(collections(steps) <= 2, `${collections(steps)} collections in 30 steps\n${stderr}`);
    assert.ok(collections(leaks) > 0, stdout);
    const most = Number(/^most (\d+)$/m.exec(leaks)?.[1]);
    assert.ok(most < 800 * 2 ** 20, `${most} of 1600 MiB were alive at once`);
  });
});

suite('worker threads', () => {
  test('have handles, grad mode and autocast of their own, whatever the main thread is in', () => {
    const held = zeros([3]);
    try {
      const done = new Int32Array(new SharedArrayBuffer(4)), { port1, port2 } = new MessageChannel();
      noGrad(() => autocast(() => {
        new Worker(path('worker'), { workerData: { task: 'modes', port: port2, done }, transferList: [port2] });
        assert.equal(Atomics.wait(done, 0, 0, 30_000), 'ok');
      }));
      assert.deepEqual(receiveMessageOnPort(port1)?.message, { tensors: 1, records: true, product: 'float32' });
      port1.close();
    } finally {
      held.release();
    }
  });

  test('two at once train, and the main thread counts none of their handles', async () => {
    const before = memory().tensors;
    const results = await Promise.all([ask('train'), ask('train')]);
    for (const { answer, code } of results) {
      assert.equal(code, 0);
      assert.ok((answer.last as number) < (answer.first as number) / 100, JSON.stringify(answer));
      assert.equal(answer.tensors, 3); // the weight and Adam's two
    }
    assert.deepEqual(results[0].answer, results[1].answer);
    assert.equal(memory().tensors, before);
  });

  test('may end with tensors alive: their bytes come back', async () => {
    const before = memory();
    for (let i = 0; i < 3; i++) assert.deepEqual(await ask('leave'), { answer: { requiresGrad: true }, code: 0 });
    assert.deepEqual(memory(), before);
    scope(() => { zeros([2]); }); // and the addon still works here
  });
});

suite('the end of the process while a worker is inside libtorch', () => {
  for (const [way, status] of [['exit', 7], ['throw', 1], ['terminate', 7]] as const) {
    test(way, () => {
      const ended = run('exit', { args: [way] });
      assert.deepEqual([ended.status, ended.signal], [status, null], ended.stderr);
    });
  }
});

suite('keepFreedMemory', () => {
  test('spares nearly all page faults of memory freed and taken again', { skip: process.platform !== 'linux' && 'Linux only' }, () => {
    const measure = (...args: string[]) => JSON.parse(run('page-faults', { args }).stdout) as { faults: number; bytes: number; rss: number };
    const plain = measure(), kept = measure('keep');
    // 50 rounds · 2 buffers · 64 MiB are 1.6 million pages of 4 KiB, unless the kernel hands out huge ones.
    assert.ok(kept.faults * 20 < plain.faults, `${kept.faults} page faults with, ${plain.faults} without`);
    assert.equal(kept.bytes, 0);
    assert.ok(kept.rss < plain.rss + 160 * 2 ** 20, `${kept.rss} bytes resident, ${plain.rss} without`); // two blocks and some
  });
});
