/** `unshake deblur` and `unshake doctor` as a user runs them. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readImage, writeImage } from '../src/image/codec-node.js';
import { hardEdges, largestDifference, noisyImage } from './small-images.js';
import { boxModel, identityModel, meanModel, wideModel } from './small-models.js';

const program = fileURLToPath(new URL('../../bin/unshake.js', import.meta.url));
let folder: string, identity: string, photo: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'unshake-'));
  identity = join(folder, 'identity.onnx');
  photo = join(folder, 'photo.png');
  await writeFile(identity, identityModel());
  await writeImage(photo, noisyImage(120, 90));
});
after(() => rm(folder, { recursive: true }));

interface Result { code: number | null; stdout: string; stderr: string }

/** Runs the program; `interruptAt` sends it SIGINT once its stdout matches. With `input`, its stdout is given as bytes, one a character. */
function unshake(args: string[], { interruptAt, input, path = process.env.PATH }: { interruptAt?: RegExp; input?: Uint8Array; path?: string } = {}): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...args], { env: { ...process.env, PATH: path } });
    const result: Result = { code: null, stdout: '', stderr: '' };
    child.stdin.end(input);
    child.stdout.setEncoding(input ? 'latin1' : 'utf8').on('data', (text) => {
      result.stdout += text;
      if (interruptAt?.test(result.stdout)) child.kill('SIGINT');
    });
    child.stderr.on('data', (text) => { result.stderr += text; });
    child.on('error', reject).on('close', (code) => resolve({ ...result, code }));
  });
}

test('one picture: NAME.deblurred.EXT beside it, a line on stdout, nothing on stderr', async () => {
  const { code, stdout, stderr } = await unshake(['deblur', photo, '--model', identity]);
  assert.deepEqual([code, stderr], [0, '']);
  assert.match(stdout, /photo\.png → .*photo\.deblurred\.png {2}120×90, 1 tile, \d+\.\d s, identity on \w+\n$/);
  assert.equal(largestDifference((await readImage(join(folder, 'photo.deblurred.png'))).image, noisyImage(120, 90)), 0);
});

test('a network that may invent detail says so at each use', async () => {
  const inventing = join(folder, 'inventing.onnx');
  await writeFile(inventing, identityModel({ invents: true }));
  const { code, stderr } = await unshake(['deblur', photo, '--model', inventing, '-o', join(folder, 'invented.png')]);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /it may invent detail\. Don't rely on letters, numbers or faces/);
});

test('--json is one document of the documented shape, bad files listed, exit code 1', async () => {
  const broken = join(folder, 'broken.jpg'), out = join(folder, 'out');
  await writeFile(broken, 'broken');
  const { code, stdout, stderr } = await unshake(['deblur', photo, broken, join(folder, 'absent.png'), '-o', out, '--model', identity, '--tile', '32', '--json', '--device', 'cpu']);
  assert.equal(code, 1);
  const report = JSON.parse(stdout) as { images: Record<string, unknown>[]; failed: Record<string, unknown>[] };
  assert.deepEqual(Object.keys(report), ['images', 'failed']);
  const [image] = report.images;
  assert.deepEqual(Object.keys(image), ['input', 'output', 'width', 'height', 'tiles', 'seconds', 'device', 'model']);
  assert.ok((image.seconds as number) > 0);
  assert.deepEqual({ ...image, seconds: 0 }, { input: photo, output: join(out, 'photo.png'), width: 120, height: 90, tiles: 12, seconds: 0, device: 'cpu', model: 'identity' });
  assert.deepEqual(report.failed.map(({ input, code }) => [basename(input as string), code]).sort(), [['absent.png', 'IMAGE'], ['broken.jpg', 'IMAGE']]);
  assert.equal(stderr.trim().split('\n').length, 2);
  assert.match(stderr, /^unshake: IMAGE: .*absent\.png/);
  assert.deepEqual(await readdir(out), ['photo.png']);
});

test('a folder in, a folder out; strength and tta are honoured', async () => {
  const [box, album, out] = [join(folder, 'box.onnx'), join(folder, 'album'), join(folder, 'album-out')];
  await writeFile(box, boxModel());
  assert.equal((await unshake(['deblur', photo, '-o', `${album}/`, '--model', identity])).code, 0);
  assert.equal((await unshake(['deblur', album, '-o', out, '--model', box, '--strength', '0', '--tta'])).code, 0);
  assert.equal(largestDifference((await readImage(join(out, 'photo.png'))).image, noisyImage(120, 90)), 0);
});

test('from the standard input to the standard output, in the same format; nothing else is printed', async () => {
  const { code, stdout, stderr } = await unshake(['deblur', '-', '--model', identity], { input: await readFile(photo) });
  assert.deepEqual([code, stderr], [0, '']);
  const { image, format } = await readImage(Buffer.from(stdout, 'latin1'));
  assert.equal(format, 'png');
  assert.equal(largestDifference(image, noisyImage(120, 90)), 0);
  const named = await unshake(['deblur', '-', '-o', join(folder, 'from-pipe.webp'), '--model', identity], { input: await readFile(photo) });
  assert.equal(named.code, 0);
  assert.equal((await readImage(join(folder, 'from-pipe.webp'))).format, 'webp');
  const bad = await unshake(['deblur', '-', '--model', identity], { input: Buffer.from('no picture') });
  assert.deepEqual([bad.code, bad.stdout], [1, '']);
  assert.match(bad.stderr, /^unshake: IMAGE: .*standard input.*\n$/);
});

test('a sharp photo is left as it is, with a word and in JSON; --force, --before-after and --skip-existing', async () => {
  const sharp = join(folder, 'sharp.png'), out = join(folder, 'sharp-out');
  await writeImage(sharp, hardEdges(480, 360));
  const left = await unshake(['deblur', sharp, '-o', `${out}/`, '--model', identity]);
  assert.match(left.stdout, /480×360, left as it is: it does not look motion-blurred \(--force deblurs it\)\n$/);
  assert.deepEqual(await readFile(join(out, 'sharp.png')), await readFile(sharp));
  const json = JSON.parse((await unshake(['deblur', sharp, '-o', `${out}/`, '--model', identity, '--json'])).stdout) as { images: { unblurred?: boolean }[] };
  assert.equal(json.images[0].unblurred, true);
  const forced = await unshake(['deblur', sharp, '-o', `${out}/`, '--model', identity, '--force', '--before-after']);
  assert.match(forced.stdout, /1 tile, .*; .*sharp\.before-after\.png\n$/);
  assert.equal((await readImage(join(out, 'sharp.before-after.png'))).image.width, 960);
  for (const asked of [['--tile', '200'], ['--tta'], ['--before-after']]) {
    assert.match((await unshake(['deblur', sharp, '-o', `${out}/`, '--model', identity, ...asked])).stdout, /480×360, \d+ tiles?, /, asked[0]);
  }
  const skipped = await unshake(['deblur', sharp, '-o', `${out}/`, '--model', identity, '--skip-existing']);
  assert.deepEqual([skipped.code, skipped.stdout], [0, '']);
  assert.match(skipped.stderr, /1 passed over/);
});

test('wrong usage is one line and exit code 2', async () => {
  const wrong = [
    ['deblur'], ['deblur', photo, '--strength', 'much'], ['deblur', photo, '--strength', '1.5'], ['deblur', photo, '--tile', '0'], ['deblur', photo, '--tile', '64.5'],
    ['deblur', photo, '--device', 'tpu'], ['deblur', photo, '--colour'], ['deblur', photo, photo, '-o', join(folder, 'one.png')], ['deblur', photo, '-o', join(folder, 'one.doc')],
    ['deblur', photo, photo, '-o', '-'], ['deblur', photo, '-o', '-', '--json'], ['deblur', 'a.mp4', 'b.mp4'], ['deblur', '-', '-o', folder],
  ];
  for (const args of wrong) {
    const { code, stdout, stderr } = await unshake(args);
    assert.equal(code, 2, args.join(' '));
    assert.equal(stdout, '');
    assert.match(stderr, /^unshake: USAGE: [^\n]+\n$/);
  }
});

test('an unknown model, a damaged checkpoint and an absent device are one line and exit code 1', async () => {
  const absent = process.platform === 'darwin' ? 'dml' : 'coreml';
  const checkpoint = join(folder, 'step.safetensors');
  await writeFile(checkpoint, '');
  const cases: [string[], RegExp][] = [
    [['--model', 'no-such-model'], /^unshake: MODEL: no model 'no-such-model'.*\n$/],
    [['--model', checkpoint], /^unshake: (?:CHECKPOINT|MISSING): .*\n$/],
    [['--model', identity, '--device', absent], new RegExp(`^unshake: MISSING: device ${absent}.*--device cpu.*\\n$`)],
  ];
  for (const [args, pattern] of cases) {
    const { code, stderr } = await unshake(['deblur', photo, ...args, '-o', join(folder, 'never.png')]);
    assert.equal(code, 1);
    assert.match(stderr, pattern);
  }
  assert.ok(!(await readdir(folder)).includes('never.png'));
});

test('a network that must see the whole picture says so', async () => {
  const mean = join(folder, 'mean.onnx');
  await writeFile(mean, meanModel());
  const { code, stdout, stderr } = await unshake(['deblur', photo, '--model', mean, '--tile', '32', '-o', join(folder, 'mean.png')]);
  assert.equal(code, 0);
  assert.match(stdout, /1 tile,/);
  assert.match(stderr, /run whole/);
});

test('Ctrl-C leaves no half file and ends with 1', async () => {
  const [wide, small, large, out] = ['wide.onnx', 'a-small.png', 'b-large.png', 'interrupted'].map((name) => join(folder, name));
  await writeFile(wide, wideModel(64, 3));
  await writeImage(small, noisyImage(20, 20));
  await writeImage(large, noisyImage(1500, 1200)); // takes minutes
  const { code, stderr } = await unshake(['deblur', small, large, '-o', `${out}/`, '--model', wide, '--tile', '64', '--tta', '--force'], { interruptAt: /a-small/ });
  assert.equal(code, 1);
  assert.match(stderr, /^unshake: ABORTED: /);
  assert.deepEqual(await readdir(out), ['a-small.png']);
});

test('doctor says what is there and how to get what is not, in words and as JSON', async () => {
  const { code, stdout } = await unshake(['doctor']);
  assert.equal(code, 0);
  for (const word of ['Node', 'ONNX Runtime', 'sharp', 'libtorch']) assert.ok(stdout.includes(word), word);
  const diagnosis = JSON.parse((await unshake(['doctor', '--json'])).stdout) as { onnxruntime: { devices: string[] }; libtorch: { available: boolean }; findings: { ok: boolean; found: string; name: string }[] };
  assert.ok(diagnosis.onnxruntime.devices.includes('cpu'));
  assert.equal(typeof diagnosis.libtorch.available, 'boolean');
  assert.deepEqual(diagnosis.findings.map(({ name }) => name), ['Node', 'ONNX Runtime', 'CUDA for deblurring', 'bf16 on the CPU', 'shipped models', 'videos', 'libtorch', 'several processes']);
  const bare = await unshake(['doctor'], { path: folder });
  assert.match(bare.stdout, /– videos: not read here; photos are\n.*videos need ffmpeg, .*apt-get install ffmpeg/);
});
