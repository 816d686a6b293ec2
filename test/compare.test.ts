/** Comparing files and folders, as a library and as a user runs `unshake compare`. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { compare } from '../src/compare.js';
import { AbortedError, UnshakeError } from '../src/errors.js';
import { writeImage } from '../src/image/codec-node.js';
import { centreCrop, type Image } from '../src/image/image.js';
import { measure, metricNames } from '../src/metrics/index.js';
import type { Progress } from '../src/progress.js';
import { noisyImage } from './small-images.js';

const program = fileURLToPath(new URL('../../bin/unshake.js', import.meta.url));
const names = ['GOPR0384_11_00_000001', 'GOPR0384_11_00_000002', 'GOPR0410_11_00-7', 'other'];
const pictures = new Map<string, { test: Image; reference: Image }>();
let folder: string, tests: string, references: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'unshake-'));
  [tests, references] = [join(folder, 'tests'), join(folder, 'references')];
  await Promise.all([tests, references].map((path) => mkdir(path)));
  for (const [i, name] of names.entries()) {
    const pair = { test: noisyImage(180, 170, 3, 8, 2 * i), reference: noisyImage(180, 170, 3, 8, 2 * i + 1) };
    pictures.set(name, pair);
    await writeImage(join(tests, `${name}.png`), pair.test);
    await writeImage(join(references, `${name}.png`), pair.reference);
  }
});
after(() => rm(folder, { recursive: true }));

function unshake(...args: string[]): { code: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' });
  return { code: status, stdout, stderr };
}

const failsWith = (code: string, ...words: string[]) => (error: unknown): boolean =>
  error instanceof UnshakeError && error.code === code && words.every((word) => error.message.includes(word));

test('a folder: every pair is what the metrics say of it, with means, deviations and sequences', async () => {
  const progress: Progress[] = [];
  const result = await compare(tests, references, { onProgress: (report) => progress.push(report) });
  assert.deepEqual(result.pairs.map(({ name }) => name), names);
  for (const { name, ...scores } of result.pairs) assert.deepEqual(scores, measure(pictures.get(name)!.test, pictures.get(name)!.reference));
  const psnrs = result.pairs.map(({ psnr }) => psnr!);
  assert.ok(Math.abs(result.mean.psnr! - psnrs.reduce((a, b) => a + b) / 4) < 1e-9);
  assert.deepEqual(Object.entries(result.sequences).map(([name, { pairs }]) => [name, pairs]), [['GOPR0384_11_00', 2], ['GOPR0410_11_00', 1]]);
  assert.ok(Math.abs(result.sequences.GOPR0384_11_00.mean.psnr! - (psnrs[0] + psnrs[1]) / 2) < 1e-9);
  assert.equal(result.sequences.GOPR0410_11_00.std.psnr, 0);
  assert.deepEqual(progress.map(({ done, total }) => [done, total]), [0, 1, 2, 3, 4].map((done) => [done, 4]));
});

test('the number of threads changes nothing', async () => {
  const [one, three] = await Promise.all([1, 3].map((workers) => compare(tests, references, { workers, protocol: 'report', crop: 165 })));
  assert.deepEqual(one, three);
});

test('files: --crop is the centred window, --protocol report is measured as such', async () => {
  const [name] = names, { test: a, reference: b } = pictures.get(name)!;
  const { pairs, crop, protocol } = await compare(join(tests, `${name}.png`), join(references, `${name}.png`), { crop: 161, protocol: 'report', metrics: ['vif', 'psnr'] });
  assert.deepEqual([pairs.length, crop, protocol], [1, 161, 'report']);
  assert.deepEqual(pairs[0], { name, ...measure(centreCrop(a, 161, 161), centreCrop(b, 161, 161), { metrics: ['vif', 'psnr'], protocol: 'report' }) });
});

test('subfolders count; GOPR in a folder name makes a sequence', async () => {
  const [deep, deepReferences] = [join(folder, 'deep/GOPR0854_11_00'), join(folder, 'deep-references/GOPR0854_11_00')];
  await Promise.all([deep, deepReferences].map((path) => mkdir(path, { recursive: true })));
  await writeImage(join(deep, '000047.png'), noisyImage(50, 60));
  await writeImage(join(deepReferences, '000047.jpg'), noisyImage(50, 60));
  const { pairs, sequences } = await compare(join(folder, 'deep'), join(folder, 'deep-references'), { metrics: ['ssim'] });
  assert.equal(pairs[0].name, 'GOPR0854_11_00/000047');
  assert.deepEqual(Object.keys(sequences), ['GOPR0854_11_00']);
});

test('alpha is ignored with a word; gray beside colour works', async () => {
  const [a, b] = [join(folder, 'alpha.png'), join(folder, 'gray.png')];
  await writeImage(a, noisyImage(64, 64, 4));
  await writeImage(b, noisyImage(64, 64, 1));
  const { notes, pairs } = await compare(a, b, { metrics: ['psnr', 'ssim'] });
  assert.deepEqual(notes, [`${a}: the alpha channel is ignored`]);
  assert.ok(pairs[0].psnr! > 0);
});

test('what is wrong is named: partners, sizes, damaged files, small pictures, crops, kinds of path', async () => {
  const make = async (name: string, files: Record<string, Image | string>): Promise<string> => {
    const path = join(folder, name);
    await mkdir(path);
    for (const [file, content] of Object.entries(files)) await (typeof content === 'string' ? writeFile(join(path, file), content) : writeImage(join(path, file), content));
    return path;
  };
  const image = noisyImage(60, 50);
  const two = await make('two', { 'a.png': image, 'b.png': image }), three = await make('three', { 'b.png': image, 'c.png': image, 'd.png': image });
  await assert.rejects(compare(two, three), failsWith('DATA', `${three}: no partner for a`, `${two}: no partners for c, d`));
  const twice = await make('twice', { 'a.png': image, 'a.jpg': image });
  await assert.rejects(compare(twice, two), failsWith('DATA', 'a.png', 'same stem'));
  const [sized, damaged, empty] = [await make('sized', { 'a.png': image, 'b.png': noisyImage(61, 50) }), await make('damaged', { 'a.png': image, 'b.png': 'no picture' }), await make('empty', {})];
  for (const workers of [1, 2]) {
    await assert.rejects(compare(sized, two, { workers, metrics: ['psnr'] }), failsWith('DATA', join(sized, 'b.png'), '61×50', '60×50'));
    await assert.rejects(compare(damaged, two, { workers, metrics: ['psnr'] }), failsWith('IMAGE', join(damaged, 'b.png')));
    await assert.rejects(compare(two, two, { workers, metrics: metricNames }), failsWith('METRIC', 'msssim', '161×161', '60×50'));
    const fitting = await compare(two, two, { workers });
    assert.deepEqual([Object.keys(fitting.mean), fitting.notes], [['psnr', 'ssim', 'fsim', 'fsimc', 'vif'], ['msssim is left out: it needs 161×161, and a has 60×50']]);
    await assert.rejects(compare(two, two, { workers, crop: 51 }), failsWith('METRIC', '51×51', '60×50'));
  }
  await assert.rejects(compare(empty, two), failsWith('DATA', empty));
  await assert.rejects(compare(join(folder, 'nowhere'), two), failsWith('DATA', 'nowhere'));
  await assert.rejects(compare(two, join(two, 'a.png')), failsWith('USAGE', 'two files or two folders'));
});

test('an answer that comes while the threads are being closed does not let the process end before them', async () => {
  const [damaged, good] = ['damaged.png', 'good.png'].map((name) => join(folder, name));
  await writeFile(damaged, 'no picture');
  await writeImage(good, noisyImage(900, 700));
  const script = `import { openMeasurePool } from '${new URL('../src/compare/pool.js', import.meta.url).href}';
    const pool = openMeasurePool(2, { metrics: ['psnr'], protocol: 'clean' });
    const [first, second] = ${JSON.stringify([damaged, good])}.map((file) => pool.measure({ name: file, files: { test: file, reference: file } }));
    second.catch(() => {});
    await first.catch(() => {});
    for (const until = Date.now() + 1500; Date.now() < until;); // the second answer waits to be heard
    await pool.close();
    console.log('closed');`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  assert.deepEqual([stdout, stderr], ['closed\n', '']);
});

test('aborting ends it', async () => {
  const abort = new AbortController();
  await assert.rejects(compare(tests, references, { workers: 2, signal: abort.signal, onProgress: () => abort.abort() }), AbortedError);
});

test('the command: --json is one document of the contract', async () => {
  const { code, stdout, stderr } = unshake('compare', tests, references, '--json', '--metrics', 'psnr,vif');
  assert.deepEqual([code, stderr], [0, '']);
  const document = JSON.parse(stdout);
  assert.deepEqual(document, JSON.parse(JSON.stringify(await compare(tests, references, { metrics: ['psnr', 'vif'] }))));
  assert.deepEqual(Object.keys(document.pairs[0]), ['name', 'psnr', 'vif']);
});

test('the command: --csv has a line for each pair', () => {
  const { code, stdout } = unshake('compare', tests, references, '--csv', '--metrics', 'ssim', '--protocol', 'report');
  const lines = stdout.trim().split('\n');
  assert.equal(code, 0);
  assert.equal(lines[0], 'name,sequence,protocol,crop,ssim');
  assert.equal(lines.length, 5);
  assert.match(lines[1], /^GOPR0384_11_00_000001,GOPR0384_11_00,report,,0\.\d+$/);
});

test('the command: the table shows pairs, sequences, mean, deviation, and every convention', () => {
  const { code, stdout } = unshake('compare', tests, references, '--crop', '164');
  assert.equal(code, 0);
  for (const text of [...names, 'GOPR0384_11_00 (2)', 'mean of 4', 'standard deviation', 'protocol clean', '164×164', 'piq 0.8']) assert.ok(stdout.includes(text), text);
  for (const metric of metricNames) assert.ok(stdout.toLowerCase().replace('-', '').includes(metric), metric);
});

test('the command: wrong usage exits with 2 and one line, a failure with 1', () => {
  const cases: [number, string[]][] = [
    [2, ['compare', tests]], [2, ['compare', tests, references, '--metrics', 'snr']], [2, ['compare', tests, references, '--crop', '-3']],
    [2, ['compare', tests, references, '--protocol', 'other']], [2, ['compare', tests, references, '--json', '--csv']],
    [1, ['compare', tests, join(folder, 'nowhere')]],
  ];
  for (const [expected, args] of cases) {
    const { code, stdout, stderr } = unshake(...args);
    assert.equal(code, expected, args.join(' '));
    assert.equal(stdout, '');
    assert.match(stderr, /^unshake: [A-Z]+: .+\n$/);
  }
});
