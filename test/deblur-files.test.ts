/** Files in, files out: every kind of picture gives a correct picture or a clear error, and no output when it fails. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, test } from 'node:test';
import zlib from 'node:zlib';
import sharp, { type Sharp } from 'sharp';
import { deblurFiles, planJobs, type DeblurFilesOptions, type DeblurredFile, type DeblurReport } from '../src/deblur-files.js';
import { AbortedError, ImageError, UsageError } from '../src/errors.js';
import { readImage, readRgb, writeImage } from '../src/image/codec-node.js';
import { cropImage, type Image } from '../src/image/image.js';
import { openModel, type Model } from '../src/runtime/session.js';
import { hardEdges, largestDifference, noisyImage } from './small-images.js';
import { boxModel, identityModel } from './small-models.js';

let folder: string, model: Model;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'unshake-'));
  model = await openModel(identityModel());
});
after(async () => {
  await model.release();
  await rm(folder, { recursive: true });
});

async function deblur(inputs: string[], output?: string, notes: string[] = []): Promise<DeblurReport> {
  const { jobs, failed } = await planJobs(inputs, output);
  const report = await deblurFiles(model, jobs, { tile: 64, force: true, onNote: (_, note) => notes.push(note) });
  return { images: report.images, failed: [...failed, ...report.failed] };
}

function meanDifference(a: Image, b: Image): number {
  let sum = 0;
  for (let i = 0; i < a.data.length; i++) sum += Math.abs(a.data[i] - b.data[i]);
  return sum / a.data.length;
}

const rawSharp = ({ data, width, height, channels }: Image): Sharp => sharp(data, { raw: { width, height, channels } });

for (const [extension, bits] of [['png', 8], ['png', 16], ['tiff', 8], ['tiff', 16]] as const) {
  test(`${extension} with ${bits} bits: gray, gray and alpha, RGB, RGBA pass unchanged through an identity`, async () => {
    for (const channels of [1, 2, 3, 4] as const) {
      const image = noisyImage(83, 47, channels, bits), input = join(folder, `in-${bits}-${channels}.${extension}`), output = join(folder, `out.${extension}`);
      assert.deepEqual(await writeImage(input, image), []);
      const report = await deblur([input], output);
      assert.deepEqual(report.failed, []);
      assert.deepEqual({ ...report.images[0], seconds: 0 }, { input, output, width: 83, height: 47, tiles: 2, seconds: 0, device: model.device, model: 'identity' });
      assert.equal(largestDifference((await readImage(output)).image, image), 0, `${channels} channels`);
    }
  });
}

test('a CMYK JPEG becomes an sRGB JPEG, with a word', async () => {
  const input = join(folder, 'cmyk.jpg'), output = join(folder, 'cmyk-out.jpg'), notes: string[] = [];
  await rawSharp(noisyImage(64, 48)).toColourspace('cmyk').jpeg().toFile(input);
  assert.equal((await sharp(input).metadata()).space, 'cmyk');
  assert.deepEqual((await deblur([input], output, notes)).failed, []);
  const { space, channels } = await sharp(output).metadata();
  assert.deepEqual({ space, channels }, { space: 'srgb', channels: 3 });
  assert.ok(largestDifference(await readRgb(output), await readRgb(input)) < 40);
  assert.ok(notes.some((note) => note.includes('CMYK')));
});

test('orientation is applied, and the EXIF block is kept with an upright one', async () => {
  for (const extension of ['jpg', 'png']) {
    const input = join(folder, 'turned.jpg'), output = join(folder, `upright.${extension}`);
    await rawSharp(noisyImage(64, 40)).jpeg({ quality: 100 }).withExif({ IFD0: { Make: 'Unshaken', Orientation: '6' } }).withMetadata({ orientation: 6 }).toFile(input);
    assert.equal((await sharp(input).metadata()).orientation, 6);
    const report = await deblur([input], output);
    assert.deepEqual([report.images[0].width, report.images[0].height], [40, 64]);
    const { width, height, orientation, exif } = await sharp(output).metadata();
    assert.deepEqual([width, height, orientation], [40, 64, 1]);
    assert.ok(exif!.includes('Unshaken'));
    assert.ok(largestDifference(await readRgb(output), await readRgb(input)) < 60);
  }
});

test('the EXIF chunk of a PNG has a right checksum', { skip: !('crc32' in zlib) && 'zlib.crc32 came with Node 20.15' }, async () => {
  const path = join(folder, 'exif.png');
  await writeImage(path, noisyImage(9, 9), { exif: Buffer.from('MM\0*\0\0\0\b\0\0\0\0\0\0', 'latin1') });
  const bytes = await readFile(path), at = bytes.indexOf('eXIf');
  const end = at + 4 + bytes.readUInt32BE(at - 4);
  assert.equal(bytes.readUInt32BE(end), zlib.crc32(bytes.subarray(at, end)));
});

test('of a GIF and of a TIFF with pages, the first is used, with a word', async () => {
  const frames = Buffer.concat([Uint8Array.from(noisyImage(40, 30).data), new Uint8Array(40 * 30 * 3)]); // the second is black
  const paged = sharp(frames, { raw: { width: 40, height: 60, channels: 3, pageHeight: 30 } });
  for (const [name, bytes] of [['moving.gif', await paged.gif().toBuffer()], ['pages.tiff', await paged.tiff().toBuffer()]] as const) {
    const notes: string[] = [];
    await writeFile(join(folder, name), bytes);
    const { images } = await deblur([join(folder, name)], join(folder, 'first.png'), notes);
    assert.deepEqual([images[0].width, images[0].height], [40, 30], name);
    assert.ok(notes.some((note) => note.includes('first of 2')), name);
    assert.ok(meanDifference(await readRgb(join(folder, 'first.png')), noisyImage(40, 30)) < 30, name); // GIF: 256 colours, twice
  }
});

test('to be compared, a wide-gamut picture is converted to sRGB, with a word; sRGB itself is left alone', async () => {
  const image = noisyImage(40, 30), wide = join(folder, 'wide.png'), plain = join(folder, 'plain.png');
  await rawSharp(image).withIccProfile('p3').png().toFile(wide);
  await rawSharp(image).withIccProfile('srgb').png().toFile(plain);
  const converted = await readImage(wide, { toSrgb: true }), kept = await readImage(wide);
  assert.deepEqual([converted.notes, converted.icc, kept.notes], [['its colour profile was converted to sRGB'], undefined, []]);
  assert.ok(largestDifference(converted.image, image) <= 2);
  assert.ok(largestDifference(kept.image, image) > 5);
  assert.deepEqual((await readImage(plain, { toSrgb: true })).image, (await readImage(plain)).image);
});

test('what a format can not hold is said: alpha and 16 bits in JPEG', async () => {
  const input = join(folder, 'deep.png'), notes: string[] = [];
  await writeImage(input, noisyImage(30, 20, 4, 16));
  await deblur([input], join(folder, 'shallow.jpg'), notes);
  assert.equal(notes.length, 2);
});

test('1×1 pixel', async () => {
  const input = join(folder, 'dot.png'), output = join(folder, 'dot-out.png');
  await writeImage(input, noisyImage(1, 1));
  await deblur([input], output);
  assert.equal(largestDifference((await readImage(output)).image, noisyImage(1, 1)), 0);
});

test('damaged, cut short, empty, missing, not a picture, a folder: an error that names the file, and no output', async () => {
  const good = join(folder, 'good.jpg');
  await writeImage(good, noisyImage(200, 150));
  const jpeg = await readFile(good);
  const png = await rawSharp(noisyImage(200, 150)).png().toBuffer();
  const flipped = Buffer.from(png);
  for (let i = png.length >> 1; i < (png.length >> 1) + 40; i++) flipped[i] ^= 0xff;
  const bad: Record<string, Buffer> = {
    'short.jpg': jpeg.subarray(0, jpeg.length >> 1), 'short.png': png.subarray(0, png.length >> 1), 'header.jpg': jpeg.subarray(0, 20),
    'flipped.png': flipped, 'empty.jpg': Buffer.alloc(0), 'text.png': Buffer.from('no picture at all'), 'noise.jpg': Buffer.alloc(5000, 0x5a),
    'vector.png': Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
  };
  const out = join(folder, 'bad-out');
  for (const [name, bytes] of Object.entries(bad)) {
    const input = join(folder, name);
    await writeFile(input, bytes);
    const { images, failed } = await deblur([input], `${out}/`);
    assert.deepEqual(images, [], name);
    assert.equal(failed[0].code, 'IMAGE', name);
    assert.ok(failed[0].error instanceof ImageError, name);
    assert.ok(failed[0].message.startsWith(input) && !failed[0].message.includes('\n'), failed[0].message);
    assert.deepEqual(await readdir(out).catch(() => []), [], name);
  }
  const missing = await deblur([join(folder, 'missing.jpg')], `${out}/`);
  assert.match(missing.failed[0].message, /missing\.jpg: .*no such file/);
  await assert.rejects(readImage(folder), (error) => error instanceof ImageError && /folder/.test(error.message));
  await assert.rejects(writeImage(join(folder, 'absent', 'a.png'), noisyImage(4, 4)), ImageError);
});

test('JPEGs of many phones, whose scan claims to end with its first coefficient, are read; damaged ones are not', async () => {
  const baseline = await rawSharp(noisyImage(200, 150)).jpeg().toBuffer(), quirk = Buffer.from(baseline);
  const scan = quirk.indexOf(Buffer.of(0xff, 0xda)), spectralEnd = scan + 6 + 2 * quirk[scan + 4];
  assert.equal(quirk[spectralEnd], 63);
  quirk[spectralEnd] = 0;
  assert.deepEqual((await readImage(quirk)).image, (await readImage(baseline)).image);
  const scarred = Buffer.from(baseline).fill(0, baseline.length >> 1, (baseline.length >> 1) + 200);
  for (const bad of [scarred, quirk.subarray(0, -40)]) await assert.rejects(readImage(bad), /damaged or cut short/);
});

test('a failed write leaves nothing of its own and what was there as it was', async () => {
  const place = join(folder, 'write');
  await mkdir(join(place, 'folder.png'), { recursive: true });
  await writeFile(join(place, 'wide.jpg'), 'earlier');
  await assert.rejects(writeImage(join(place, 'folder.png'), noisyImage(4, 4)), ImageError);
  await assert.rejects(writeImage(join(place, 'wide.jpg'), noisyImage(70_000, 1)), ImageError); // JPEG ends at 65,535
  assert.deepEqual((await readdir(place)).sort(), ['folder.png', 'wide.jpg']);
  assert.equal(await readFile(join(place, 'wide.jpg'), 'utf8'), 'earlier');
});

test('a name as long as file systems take is written', async () => {
  const name = `${'写'.repeat(83)}.png`, place = join(folder, 'long');
  await mkdir(place);
  await writeImage(join(folder, name), noisyImage(8, 8));
  assert.deepEqual((await deblur([join(folder, name)], join(place, name))).failed, []);
  assert.deepEqual(await readdir(place), [name]);
});

test('a PNG called .jpg is refused, and told what it is; without a picture extension the content decides', async () => {
  const input = join(folder, 'really-png.jpg'), unnamed = join(folder, 'really-png'), png = await rawSharp(noisyImage(50, 40)).png().toBuffer();
  await writeFile(input, png);
  await writeFile(unnamed, png);
  assert.match((await deblur([input])).failed[0].message, /really-png\.jpg: .*it is PNG, whatever its name says/);
  assert.deepEqual((await deblur([unnamed], join(folder, 'from-png.jpg'))).failed, []);
});

test('a folder with a bad file: the rest is done, names are kept, results of earlier runs are passed over', async () => {
  const source = join(folder, 'album'), out = join(folder, 'album-out');
  await mkdir(source);
  for (const name of ['a.png', 'b.jpg', 'd.webp', 'a.deblurred.png']) await writeImage(join(source, name), noisyImage(40, 30));
  await writeFile(join(source, 'c.png'), 'broken');
  await writeFile(join(source, 'notes.txt'), 'not a picture');
  const { images, failed } = await deblur([source], out);
  assert.deepEqual(images.map(({ output }) => basename(output)), ['a.png', 'b.jpg', 'd.webp']);
  assert.deepEqual(failed.map(({ input }) => basename(input)), ['c.png']);
  assert.deepEqual((await readdir(out)).sort(), ['a.png', 'b.jpg', 'd.webp']);
  await mkdir(join(folder, 'nothing'));
  assert.match((await deblur([join(folder, 'nothing')])).failed[0].message, /holds no picture/);
});

test('outputs that make no sense are wrong usage, found before anything is written', async () => {
  const [a, b] = [join(folder, 'one', 'x.png'), join(folder, 'two', 'x.png')];
  for (const path of [a, b]) {
    await mkdir(join(path, '..'));
    await writeImage(path, noisyImage(10, 10));
  }
  const refused: [string[], string][] = [
    [[a, b], join(folder, 'same')], // both would become same/x.png
    [[a, b], join(folder, 'result.png')], // two pictures, one file
    [[a], a], [[a], join(folder, 'one')], // over the input
    [[a], join(folder, 'result.xyz')],
  ];
  for (const [inputs, output] of refused) await assert.rejects(planJobs(inputs, output), UsageError, output);
  const unknown = join(folder, 'photo.dat');
  await writeFile(unknown, await readFile(a));
  assert.match((await planJobs([unknown])).failed[0].message, /name the result with -o/);
  assert.deepEqual((await planJobs([unknown], join(folder, 'photo.png'))).failed, []);
  assert.deepEqual((await planJobs([a])).jobs, [{ input: a, output: join(folder, 'one', 'x.deblurred.png') }]);
});

test('folders in folders keep their tree, the output folder inside is not taken for input, existing results are passed over', async () => {
  const source = join(folder, 'tree'), out = join(source, 'out');
  await mkdir(join(source, 'trip', 'day 1'), { recursive: true });
  const names = ['a.png', join('trip', 'b.png'), join('trip', 'day 1', 'c.png')];
  for (const name of names) await writeImage(join(source, name), noisyImage(40, 30));
  const run = async (skipExisting: boolean): Promise<{ done: string[]; skipped: number }> => {
    const { jobs, skipped } = await planJobs([source], `${out}/`, { skipExisting });
    return { done: (await deblurFiles(model, jobs)).images.map(({ output }) => output), skipped: skipped.length };
  };
  assert.deepEqual(await run(false), { done: names.map((name) => join(out, name)), skipped: 0 });
  await rm(join(out, names[1]));
  assert.deepEqual(await run(true), { done: [join(out, names[1])], skipped: 2 });
  assert.deepEqual(await run(false), { done: names.map((name) => join(out, name)), skipped: 0 });
});

test('patterns name pictures where the shell does not', async () => {
  const source = join(folder, 'patterns');
  await mkdir(join(source, 'x', 'y'), { recursive: true });
  for (const name of ['one.png', 'two.png', 'one.jpg', join('x', 'one.png'), join('x', 'y', 'one+.png')]) await writeFile(join(source, name), '');
  const matches = async (pattern: string): Promise<string[]> => (await planJobs([join(source, pattern)], join(folder, 'new'))).jobs.map(({ output }) => output.slice(join(folder, 'new').length + 1));
  assert.deepEqual(await matches('*.png'), ['one.png', 'two.png']);
  assert.deepEqual(await matches('o?e.*'), ['one.jpg', 'one.png']);
  assert.deepEqual(await matches('*/one.png'), [join('x', 'one.png')]);
  assert.deepEqual(await matches('**/one*.png'), ['one.png', join('x', 'one.png'), join('x', 'y', 'one+.png')]);
  assert.deepEqual(await matches('x/**'), ['one.png', join('y', 'one+.png')]);
  assert.match((await planJobs([join(source, '*.webp')])).failed[0].message, /no picture matches/);
});

test('a sharp photo is copied byte for byte, or converted; force runs it; before and after lie side by side', async () => {
  const half = await openModel(boxModel()), source = join(folder, 'sharp.png');
  const sharpScene = hardEdges(480, 360);
  await writeImage(source, sharpScene);
  const run = async (name: string, options: DeblurFilesOptions = {}, beforeAfter?: string): Promise<DeblurredFile> =>
    (await deblurFiles(half, [{ input: source, output: join(folder, name), beforeAfter }], options)).images[0];
  try {
    const copied = await run('left.png');
    assert.deepEqual([copied.unblurred, copied.tiles], [true, 0]);
    assert.deepEqual(await readFile(copied.output), await readFile(source));
    const converted = await run('left.tiff');
    assert.equal(converted.unblurred, true);
    assert.equal(largestDifference((await readImage(converted.output)).image, sharpScene), 0);
    const forced = await run('forced.deblurred.png', {}, join(folder, 'forced.before-after.png'));
    assert.equal(forced.unblurred, undefined);
    assert.equal(forced.beforeAfter, join(folder, 'forced.before-after.png'));
    const { image: result } = await readImage(forced.output), { image: pair } = await readImage(forced.beforeAfter!);
    assert.ok(largestDifference(result, sharpScene) > 20);
    assert.equal(largestDifference(cropImage(pair, 0, 0, 480, 360), sharpScene), 0);
    assert.equal(largestDifference(cropImage(pair, 480, 0, 480, 360), result), 0);
  } finally {
    await half.release();
  }
});

test('aborting half way leaves neither a file nor half of one, and an existing output as it was', async () => {
  const source = join(folder, 'abort'), out = join(folder, 'abort-out');
  await mkdir(source);
  await mkdir(out);
  for (const name of ['a.png', 'b.png']) await writeImage(join(source, name), noisyImage(200, 200));
  await writeFile(join(out, 'b.png'), 'earlier');
  const { jobs } = await planJobs([source], out);
  const abort = new AbortController();
  const work = deblurFiles(model, jobs, { tile: 32, force: true, signal: abort.signal, onProgress: ({ done, total, label }) => {
    if (label!.endsWith('b.png') && done === total >> 1) abort.abort();
  } });
  await assert.rejects(work, AbortedError);
  // The first may be written or not: it is done with the network, and written while the second runs.
  for (const name of await readdir(out)) assert.ok(name === 'a.png' || name === 'b.png', name);
  if ((await readdir(out)).includes('a.png')) assert.equal((await readImage(join(out, 'a.png'))).image.width, 200);
  assert.equal(await readFile(join(out, 'b.png'), 'utf8'), 'earlier');
});
