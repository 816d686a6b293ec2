/** Downloads of weights, against a server of our own that misbehaves on request. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { OfficialFile } from '../src/weights/catalogue.js';
import { fetchWeights } from '../src/weights/fetch.js';

const content = Buffer.from(Uint8Array.from({ length: 300_000 }, (_, i) => (i * i) >> 3));
const digits = createHash('sha256').update(content).digest('hex').slice(0, 8);
const root = mkdtempSync(join(tmpdir(), 'unshake-fetch-'));
const program = fileURLToPath(new URL('../../bin/unshake.js', import.meta.url));

type Behaviour = (request: IncomingMessage, response: ServerResponse) => void;
let server: Server, behaviour: Behaviour;
const asked: (string | undefined)[] = []; // the Range header of each request

const wholeFile: Behaviour = (_, response) => { response.writeHead(200, { 'content-length': content.length }); response.end(content); };
const ranges: Behaviour = (request, response) => {
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  if (start === 0) return wholeFile(request, response);
  if (start >= content.length) { response.writeHead(416, { 'content-range': `bytes */${content.length}` }); response.end(); return; }
  response.writeHead(206, { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}`, 'content-length': content.length - start });
  response.end(content.subarray(start));
};
/** Sends so many bytes of what is asked for, and hangs up. */
const hangUpAfter = (bytes: number): Behaviour => (request, response) => {
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  response.writeHead(start > 0 ? 206 : 200, { ...(start > 0 && { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` }), 'content-length': content.length - start });
  response.write(content.subarray(start, start + bytes), () => response.destroy());
};

before(async () => {
  server = createServer((request, response) => { asked.push(request.headers.range); behaviour(request, response); });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
});
after(() => { server.closeAllConnections(); server.close(); rmSync(root, { recursive: true, force: true }); });

const address = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}/file.pth`;
const official = (): OfficialFile => ({ file: `test-${digits}.pth`, url: address(), megabytes: 0.3, what: 'a test' });
let folders = 0;
const fresh = (): { folder: string; path: string; part: string } => { const folder = join(root, String(folders++)), path = join(folder, `test-${digits}.pth`); asked.length = 0; return { folder, path, part: `${path}.part` }; };

test('a file is fetched with progress, checked, named, and not fetched again; a damaged one is', async () => {
  const { folder, path, part } = fresh();
  behaviour = ranges;
  const seen: { done: number; total: number }[] = [];
  const result = await fetchWeights(official(), { folder, onProgress: ({ done, total }) => seen.push({ done, total }) });
  assert.deepEqual(result, { path, bytes: content.length, downloaded: true });
  assert.ok(readFileSync(path).equals(content) && !existsSync(part));
  assert.deepEqual(seen.at(-1), { done: content.length, total: content.length });
  assert.ok(seen.every(({ done }, i) => i === 0 || done > seen[i - 1].done));
  assert.equal((await fetchWeights(official(), { folder })).downloaded, false);
  assert.equal(asked.length, 1);
  writeFileSync(path, content.subarray(1));
  assert.equal((await fetchWeights(official(), { folder })).downloaded, true);
  assert.ok(readFileSync(path).equals(content));
});

test('after a lost connection the next call goes on where it ended', async () => {
  const { folder, path, part } = fresh();
  behaviour = hangUpAfter(100_000);
  await assert.rejects(fetchWeights(official(), { folder }), /WeightsError: .*can't be fetched into .*: .*0\.\d MB are kept, and the same command goes on from there/);
  const kept = readFileSync(part);
  assert.ok(kept.length > 0 && kept.equals(content.subarray(0, kept.length)) && !existsSync(path));
  behaviour = ranges;
  const seen: number[] = [];
  await fetchWeights(official(), { folder, onProgress: ({ done }) => seen.push(done) });
  assert.deepEqual(asked, [undefined, `bytes=${kept.length}-`]);
  assert.ok(seen[0] > kept.length, 'progress counts what was there');
  assert.ok(readFileSync(path).equals(content));
});

test('a server that knows no ranges sends all again; a part that is complete needs nothing; one that is too long starts over', async () => {
  const again = fresh();
  behaviour = hangUpAfter(100_000);
  await assert.rejects(fetchWeights(official(), again));
  behaviour = wholeFile;
  await fetchWeights(official(), again);
  assert.ok(readFileSync(again.path).equals(content));

  for (const [length, requests] of [[content.length, 1], [content.length + 5, 2]] as const) {
    const { folder, path, part } = fresh();
    behaviour = hangUpAfter(10);
    await fetchWeights(official(), { folder }).catch(() => {});
    writeFileSync(part, Buffer.concat([content, Buffer.alloc(5)]).subarray(0, length));
    asked.length = 0;
    behaviour = ranges;
    await fetchWeights(official(), { folder });
    assert.equal(asked.length, requests);
    assert.ok(readFileSync(path).equals(content));
  }
});

test('another file, an error page, no server: refused, and nothing gets the name', async () => {
  const { folder, path, part } = fresh();
  behaviour = (_, response) => response.end('<html>sign in first</html>');
  await assert.rejects(fetchWeights(official(), { folder }), new RegExp(`the SHA-256 should begin with ${digits}, but is [0-9a-f]{8}…: damaged on the way, or another file; it was deleted`));
  behaviour = (_, response) => { response.writeHead(404); response.end('no'); };
  await assert.rejects(fetchWeights(official(), { folder }), /the server answers 404 Not Found/);
  await assert.rejects(fetchWeights({ ...official(), url: 'http://127.0.0.1:9/' }, { folder }), /WeightsError: http:\/\/127\.0\.0\.1:9\/ can't be fetched into/);
  assert.ok(!existsSync(path) && !existsSync(part));
  writeFileSync(join(root, 'in the way'), '');
  behaviour = ranges;
  await assert.rejects(fetchWeights(official(), { folder: join(root, 'in the way') }), /can't be fetched into .*in the way/);
});

test('an abort keeps the part', async () => {
  const { folder, part } = fresh();
  const stop = new AbortController();
  behaviour = (_, response) => { response.writeHead(200, { 'content-length': content.length }); response.write(content.subarray(0, 50_000)); }; // and then silence
  await assert.rejects(fetchWeights(official(), { folder, signal: stop.signal, onProgress: () => setImmediate(() => stop.abort()) }), /AbortedError: stopped/);
  assert.ok(existsSync(part));
});

test('the command line: unknown names, a wrong file, and where it goes', async () => {
  const run = (...args: string[]) => new Promise<{ status: number | null; stderr: string }>((resolve) => {
    const child = spawn(process.execPath, [program, 'weights', 'fetch', ...args], { env: { ...process.env, UNSHAKE_CACHE: join(root, 'cache') } });
    let stderr = '';
    child.stderr.on('data', (text) => { stderr += text; });
    child.on('close', (status) => resolve({ status, stderr }));
  });
  behaviour = ranges;
  assert.match((await run('vgg61')).stderr, /unshake: USAGE: weights fetch: vgg61 is not known; did you mean vgg16\?/);
  const wrong = await run('lpips-vgg', '--url', address());
  assert.equal(wrong.status, 1);
  assert.match(wrong.stderr, /unshake: WEIGHTS: .*the SHA-256 should begin with a78928a0, but is/);
  assert.equal((await run('vgg16', 'vgg19', '--url', address())).status, 2);
  assert.equal((await run()).status, 2);
  assert.ok(existsSync(join(root, 'cache')));
});
