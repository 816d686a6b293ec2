/** HEIC: read with depth, alpha, EXIF and profile, written as JPEG or what -o names. The files were made by fixtures/heic/make.mjs. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { deblur, releaseModels } from '../src/deblur-input.js';
import { planJobs } from '../src/deblur-files.js';
import { ImageError } from '../src/errors.js';
import { readImage, writeImage } from '../src/image/codec-node.js';
import type { Image } from '../src/image/image.js';
import { noisyImage } from './small-images.js';
import { identityModel } from './small-models.js';

const program = fileURLToPath(new URL('../../bin/unshake.js', import.meta.url));
const fixture = (name: string): string => fileURLToPath(new URL(`../../test/fixtures/heic/${name}.heic`, import.meta.url));
let folder: string, model: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'unshake-heic-'));
  model = join(folder, 'identity.onnx');
  await writeFile(model, identityModel());
});
after(async () => {
  await releaseModels();
  await rm(folder, { recursive: true });
});

/** Root mean square of the difference from what make.mjs drew, in 1/255. */
function error({ data, width, channels }: Image): number {
  const largest = data instanceof Uint16Array ? 65535 : 255;
  let sum = 0;
  for (let i = 0; i < data.length; i++) {
    const c = i % channels, x = Math.floor(i / channels) % width, y = Math.floor(i / channels / width);
    sum += (data[i] / largest - (0.5 + 0.4 * Math.sin((x + 6 * c + 2 * y) / 9))) ** 2;
  }
  return 255 * Math.sqrt(sum / data.length);
}

for (const [name, channels, bits, icc, limit] of [['colour', 3, 8, true, 6], ['deep', 3, 10, false, 0.3], ['alpha', 4, 8, false, 0.8]] as const) {
  test(`${name}: samples, depth and profile; the EXIF's orientation is none of HEIC's`, async () => {
    const picture = await readImage(fixture(name)), { image } = picture;
    assert.deepEqual([image.width, image.height, image.channels, image.data instanceof Uint16Array, picture.format, picture.bits], [72, 50, channels, bits > 8, 'heic', bits]);
    assert.ok(error(image) < limit, `${error(image)} of 255 on average`);
    assert.equal(picture.icc !== undefined, icc);
    assert.ok(Buffer.from(picture.exif!).includes('Apple'));
    assert.deepEqual(picture.notes, []);
  });
}

test('with toSrgb, its profile is converted', async () => {
  const [plain, converted] = [await readImage(fixture('colour')), await readImage(fixture('colour'), { toSrgb: true })];
  assert.deepEqual([converted.icc, converted.notes], [undefined, ['its colour profile was converted to sRGB']]);
  assert.ok(plain.image.data.some((value, i) => Math.abs(value - converted.image.data[i]) > 8));
});

test('the command writes NAME.deblurred.jpg with EXIF and profile, or what -o names; a pipe becomes a JPEG, with a note', async () => {
  const photo = join(folder, 'IMG_1.HEIC'), run = (...args: string[]) => spawnSync(process.execPath, [program, 'deblur', '--model', model, '--force', ...args], { input: undefined });
  await copyFile(fixture('colour'), photo);
  assert.equal(run(photo).status, 0);
  const result = await readImage(join(folder, 'IMG_1.deblurred.jpg'));
  assert.equal(result.format, 'jpeg');
  assert.ok(error(result.image) < 6 && result.icc && Buffer.from(result.exif!).includes('Apple'));
  const deep = join(folder, 'deep.png');
  assert.equal(run(fixture('deep'), '-o', deep).status, 0);
  assert.ok(error((await readImage(deep)).image) < 0.3);
  const piped = spawnSync(process.execPath, [program, 'deblur', '--model', model, '--force', '-'], { input: await readFile(photo), maxBuffer: 1e7 });
  assert.equal((await readImage(piped.stdout)).format, 'jpeg');
  assert.match(piped.stderr.toString(), /note: -: HEIC is read, not written: the result is a JPEG/);
  const { status, stderr } = run(photo, '-o', join(folder, 'out.heic'));
  assert.deepEqual([status, /-o should end in \.png/.test(stderr.toString())], [2, true]);
});

test('bytes in, a JPEG out', async () => {
  const notes: string[] = [];
  const bytes = await deblur(await readFile(fixture('colour')), { model, force: true, onNote: (note) => { notes.push(note); } });
  assert.equal((await readImage(bytes)).format, 'jpeg');
  assert.deepEqual(notes, ['HEIC is read, not written: the result is a JPEG']);
});

test('in folders: beside a JPEG of its name it yields, and its results are known as such', async () => {
  const album = await mkdtemp(join(folder, 'album-'));
  for (const name of ['a.HEIC', 'b.heic', 'b.jpg', 'c.heif']) await (name.endsWith('jpg') ? writeImage(join(album, name), noisyImage(20, 20)) : copyFile(fixture('colour'), join(album, name)));
  const out = join(folder, 'album-out');
  const { jobs, failed, notes } = await planJobs([album], out);
  assert.deepEqual(jobs.map(({ output }) => output).sort(), ['a.jpg', 'b.jpg', 'c.jpg'].map((name) => join(out, name)));
  assert.deepEqual([failed.map(({ input }) => input), notes], [[join(album, 'b.heic')], []]);
  assert.match(failed[0].message, /b\.heic: its result would be .*b\.jpg, which is that of .*b\.jpg: name it with -o FILE/);
  await writeImage(join(album, 'a.deblurred.jpg'), noisyImage(20, 20));
  const named = await planJobs((await readdir(album)).filter((name) => name.startsWith('a.')).map((name) => join(album, name)));
  assert.deepEqual([named.jobs.map(({ input }) => input), named.notes], [[join(album, 'a.HEIC')], ['1 result of earlier runs was passed over']]);
});

test('cut short, of another name, or no HEIC at all: an error that names the file', async () => {
  const bytes = await readFile(fixture('colour'));
  for (const [name, content, message] of [['cut.heic', bytes.subarray(0, 2000), /damaged or cut short/], ['text.heic', Buffer.from('no picture'), /expected PNG.*HEIC, got something else/]] as const) {
    const path = join(folder, name);
    await writeFile(path, content);
    await assert.rejects(readImage(path), (error: Error) => error instanceof ImageError && error.message.includes(name) && message.test(error.message), name);
  }
  const renamed = join(folder, 'renamed.jpg');
  await writeFile(renamed, bytes);
  await assert.rejects(deblur(renamed, { model }), /renamed\.jpg: can't be read as an image \(it is HEIC, whatever its name says: rename it\)/);
});
