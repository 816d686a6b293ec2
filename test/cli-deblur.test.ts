/** `unshake deblur` and `unshake doctor` as a user runs them. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { mkdir, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readImage, writeImage } from '../src/image/codec-node.js';
import { hardEdges, largestDifference, noisyImage } from './small-images.js';
import { boxModel, identityModel, meanModel, wideModel } from './small-models.js';

const windows = process.platform === 'win32';
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

/** Runs the program; SIGINT is sent once `interruptWhen` holds, and its stdin stays open till then. With `input`, its stdout is given as bytes, one a character. */
function unshake(args: string[], { interruptWhen, input, path = process.env.PATH }: { interruptWhen?: (said: Result) => boolean; input?: Uint8Array; path?: string } = {}): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...args], { env: { ...process.env, PATH: path } });
    const result: Result = { code: null, stdout: '', stderr: '' };
    const watch = interruptWhen && setInterval(() => {
      if (!interruptWhen(result)) return;
      clearInterval(watch);
      child.kill('SIGINT');
    }, 20);
    if (!interruptWhen) child.stdin.end(input);
    child.stdout.setEncoding(input ? 'latin1' : 'utf8').on('data', (text) => { result.stdout += text; });
    child.stderr.on('data', (text) => { result.stderr += text; });
    child.on('error', reject).on('close', (code) => {
      clearInterval(watch);
      resolve({ ...result, code });
    });
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

test('--verbose: the stack of each failure, on stderr only', async () => {
  const broken = join(folder, 'broken.jpg'), absent = join(folder, 'absent.png');
  await writeFile(broken, 'broken');
  const run = (...args: string[]): Promise<Result> => unshake(['deblur', broken, absent, '--model', identity, ...args]);
  const [brief, long, json] = [await run(), await run('--verbose'), await run('--verbose', '--json')];
  assert.doesNotMatch(brief.stderr, /^ {4}at /m);
  for (const { code, stderr } of [long, json]) {
    assert.equal(code, 1);
    assert.match(stderr, /^unshake: IMAGE: .*broken\.jpg.*\n\w*Error: .*broken\.jpg.*\n {4}at .*codec-node/m);
    assert.match(stderr, /^unshake: IMAGE: .*absent\.png.*\n\w*Error: .*absent\.png.*\n {4}at .*jobs/m);
  }
  assert.equal(long.stdout, '');
  const { images, failed } = JSON.parse(json.stdout) as { images: object[]; failed: object[] };
  assert.deepEqual([images, failed.map((failure) => Object.keys(failure))], [[], [['input', 'code', 'message'], ['input', 'code', 'message']]]);
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
  await rm(join(out, 'sharp.before-after.png'));
  const missing = await unshake(['deblur', sharp, '-o', `${out}/`, '--model', identity, '--skip-existing', '--before-after']);
  assert.deepEqual([missing.code, missing.stderr], [0, '']);
  assert.deepEqual((await readdir(out)).sort(), ['sharp.before-after.png', 'sharp.png']);
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
  const { code, stderr } = await unshake(['deblur', small, large, '-o', `${out}/`, '--model', wide, '--tile', '64', '--tta', '--force'], { interruptWhen: ({ stdout }) => stdout.includes('a-small') });
  assert.equal(code, 1);
  assert.equal(stderr, 'unshake: ABORTED: stopped after 1 of 2 pictures; --skip-existing continues\n');
  assert.deepEqual(await readdir(out), ['a-small.png']);
});

test('Ctrl-C with --json: one document of what is done, in the order of the inputs, then how far it came', { timeout: 240_000, skip: windows && 'needs mkfifo' }, async () => {
  const album = join(folder, 'json-album'), out = join(folder, 'json-out'), names = ['absent.png', 'slow.png', 'copied.png', 'broken.png', 'pipe.png'], inputs = names.map((name) => join(album, name));
  const [absent, slow, copied, broken, pipe] = inputs, model = join(folder, 'slow.onnx');
  await mkdir(album);
  await writeFile(model, wideModel(64, 3));
  await writeImage(slow, { width: 320, height: 320, channels: 3, data: new Uint8Array(3 * 320 * 320).fill(128) }); // flat: not taken for sharp
  await writeImage(copied, hardEdges(480, 360)); // is done before
  await writeFile(broken, 'broken');
  spawnSync('mkfifo', [pipe]);
  const writer = await open(pipe, 'r+'); // says nothing, so that its reader waits
  try {
    const stop = (args: string[], results: string[], failures: string[]): Promise<Result> => unshake(['deblur', ...args, '-o', `${out}/`, '--model', model], {
      interruptWhen: ({ stdout, stderr }) => results.every((name) => existsSync(join(out, name)) && (args.includes('--json') || stdout.includes(`${name}  `))) && failures.every((name) => stderr.includes(name)),
    });
    const { code, stdout, stderr } = await stop([...inputs, '--json'], ['slow.png', 'copied.png'], ['broken.png']);
    assert.equal(code, 1);
    const report = JSON.parse(stdout) as { images: { input: string }[]; failed: { input: string }[] };
    assert.deepEqual(Object.keys(report), ['images', 'failed']);
    assert.deepEqual(report.images.map(({ input }) => input), [slow, copied]);
    assert.deepEqual(report.failed.map(({ input }) => input), [absent, broken]);
    assert.match(stderr, /\nunshake: ABORTED: stopped after 3 of 4 pictures; --skip-existing continues\n$/);

    await rm(join(out, 'copied.png'));
    const again = await stop([...inputs, '--json', '--skip-existing'], ['copied.png'], ['broken.png']);
    const rest = JSON.parse(again.stdout) as { images: { input: string }[]; skipped: { input: string }[] };
    assert.deepEqual([rest.images, rest.skipped].map((files) => files.map(({ input }) => input)), [[copied], [slow]]);
    assert.match(again.stderr, /\nunshake: ABORTED: stopped after 2 of 3 pictures; the same command again continues\n$/);

    const words = await stop(inputs, ['copied.png'], ['broken.png']);
    assert.match(words.stdout, /copied\.png {2}480×360/);
    assert.match(words.stderr, /\nunshake: 2 of [34] failed: .*absent\.png, .*broken\.png\nunshake: ABORTED: stopped after [23] of 4 pictures; --skip-existing continues\n$/);
  } finally {
    await writer.close();
  }
});

/** Half a second after the model has said what it may do: it is open then, and the work has begun. */
function atWork(): (said: Result) => boolean {
  let since: number | undefined;
  return ({ stderr }) => stderr.includes('invent detail') && performance.now() - (since ??= performance.now()) > 500;
}

test('Ctrl-C while there is one picture, from the standard input or a pipe: which, with --json as well', { timeout: 240_000, skip: windows && 'needs mkfifo' }, async () => {
  const inventing = join(folder, 'says-so.onnx'), pipe = join(folder, 'pipe.png'), result = join(folder, 'from-pipe.png');
  await writeFile(inventing, identityModel({ invents: true }));
  spawnSync('mkfifo', [pipe]);
  const writer = await open(pipe, 'r+');
  try {
    for (const [args, name, json] of [[['-'], 'the picture from the standard input', ''], [[pipe, '-o', result], pipe, ''], [[pipe, '-o', result, '--json'], pipe, '{"images":[],"failed":[]}\n']] as const) {
      const { code, stdout, stderr } = await unshake(['deblur', ...args, '--model', inventing], { interruptWhen: atWork() });
      assert.deepEqual([code, stdout], [1, json]);
      assert.equal(stderr.split('\n').slice(1).join('\n'), `unshake: ABORTED: stopped before ${name} was done; nothing was written\n`);
    }
  } finally {
    await writer.close();
  }
});

test('Ctrl-C in a video: after how many frames, and no video', { timeout: 240_000, skip: spawnSync('ffmpeg', ['-version']).status !== 0 && 'ffmpeg is not installed' }, async () => {
  const clip = join(folder, 'clip.mp4'), out = join(folder, 'video-out');
  spawnSync('ffmpeg', ['-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=160x120:rate=25:duration=120', '-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', clip]);
  const begun = (): boolean => existsSync(out) && readdirSync(out).some((name) => (statSync(join(out, name), { throwIfNoEntry: false })?.size ?? 0) > 0);
  for (const json of [false, true]) {
    const { code, stdout, stderr } = await unshake(['deblur', clip, '-o', `${out}/`, '--model', identity, ...(json ? ['--json'] : [])], { interruptWhen: begun });
    assert.deepEqual([code, stdout], [1, json ? '{"images":[],"failed":[]}\n' : '']);
    assert.match(stderr, /^unshake: ABORTED: stopped after \d+ of 3000 frames; nothing was written\n$/);
    assert.deepEqual(await readdir(out), []);
  }
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
