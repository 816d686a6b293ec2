/**
 * What a photo carries survives, as second tools see it: exiftool reads the metadata, ImageMagick the pixels. Twelve files are made
 * for it, of every format, with EXIF in both byte orders, wide-gamut and gray profiles, alpha, 16 bits, turned pixels.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import sharp from 'sharp';
import { deblurFiles, type DeblurredFile } from '../src/deblur-files.js';
import { encodeImage } from '../src/image/codec-node.js';
import type { Image } from '../src/image/image.js';
import { openModel, type Model } from '../src/runtime/session.js';
import { grayProfile } from './gray-profile.js';
import { identityModel } from './small-models.js';

const works = (command: string, argument: string): boolean => spawnSync(command, [argument]).status === 0;
const missing = !works('exiftool', '-ver') ? 'exiftool is not installed' : !works('identify', '-version') || !works('convert', '-version') ? 'ImageMagick is not installed' : false;

interface Case {
  name: string;
  channels: Image['channels'];
  bits: 8 | 16;
  profile?: 'p3' | 'gray';
  /** EXIF's byte order and orientation; without, the file has no EXIF. */
  exif?: { order: 'II' | 'MM'; orientation: number };
  /** Largest mean difference of samples, in 1/255: encoding twice loses something in some formats. */
  tolerance: number;
}

const cases: Case[] = [
  { name: 'turned.jpg', channels: 3, bits: 8, exif: { order: 'II', orientation: 6 }, tolerance: 1 },
  { name: 'wide.jpg', channels: 3, bits: 8, profile: 'p3', exif: { order: 'MM', orientation: 3 }, tolerance: 1 },
  { name: 'gray.jpeg', channels: 1, bits: 8, profile: 'gray', exif: { order: 'MM', orientation: 8 }, tolerance: 1 },
  { name: 'deep.png', channels: 3, bits: 16, profile: 'p3', exif: { order: 'II', orientation: 5 }, tolerance: 0 },
  { name: 'deep-gray-alpha.png', channels: 2, bits: 16, profile: 'gray', tolerance: 0 },
  { name: 'alpha.png', channels: 4, bits: 8, exif: { order: 'MM', orientation: 7 }, tolerance: 0 },
  { name: 'alpha.webp', channels: 4, bits: 8, profile: 'p3', exif: { order: 'II', orientation: 6 }, tolerance: 3 },
  { name: 'plain.webp', channels: 3, bits: 8, exif: { order: 'MM', orientation: 1 }, tolerance: 3 },
  { name: 'deep.tif', channels: 3, bits: 16, profile: 'p3', exif: { order: 'MM', orientation: 8 }, tolerance: 0 },
  { name: 'gray.tiff', channels: 1, bits: 16, profile: 'gray', exif: { order: 'II', orientation: 2 }, tolerance: 0 },
  { name: 'alpha.tiff', channels: 4, bits: 8, profile: 'p3', exif: { order: 'II', orientation: 1 }, tolerance: 0 },
  { name: 'wide.avif', channels: 3, bits: 8, profile: 'p3', exif: { order: 'MM', orientation: 1 }, tolerance: 3 },
];

let folder: string, model: Model, done: DeblurredFile[];
const place = (name: string): string => join(folder, name);
const exiftool = (...args: string[]): string => execFileSync('exiftool', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

before(async () => {
  if (missing) return;
  folder = await mkdtemp(join(tmpdir(), 'unshake-'));
  model = await openModel(identityModel());
  const p3 = (await sharp(await sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } }).withIccProfile('p3').png().toBuffer()).metadata()).icc!;
  for (const { name, channels, bits, profile, exif } of cases) {
    const format = ({ jpg: 'jpeg', jpeg: 'jpeg', png: 'png', webp: 'webp', tif: 'tiff', tiff: 'tiff', avif: 'avif' } as const)[name.split('.')[1] as 'jpg'];
    const { bytes } = await encodeImage(waves(channels, bits), format, profile ? { icc: profile === 'p3' ? p3 : grayProfile() } : {});
    await writeFile(place(name), bytes);
    if (!exif) continue;
    const thumbnail = place('thumbnail.jpg');
    await writeFile(thumbnail, await sharp({ create: { width: 16, height: 12, channels: 3, background: 'red' } }).jpeg().toBuffer());
    exiftool('-q', '-overwrite_original', `-ExifByteOrder=${exif.order}`, '-Make=Unshaken', '-Model=Camera one', '-Copyright=© somebody', '-ISO=200', '-ExposureTime=1/50', '-FNumber=2.8',
      '-DateTimeOriginal=2024:05:06 07:08:09', '-GPSLatitude=47.5', '-GPSLatitudeRef=N', '-GPSLongitude=8.25', '-GPSLongitudeRef=E', `-Orientation#=${exif.orientation}`,
      '-ExifImageWidth=72', '-ExifImageHeight=44', ...(name.includes('.tif') ? [] : [`-ThumbnailImage<=${thumbnail}`]), place(name));
  }
  done = (await deblurFiles(model, cases.map(({ name }) => ({ input: place(name), output: place(`out/${name}`) })), { tile: 32, force: true })).images;
});
after(async () => {
  if (missing) return;
  await model.release();
  await rm(folder, { recursive: true });
});

/** 72×44, smooth, so that encoding twice loses little; no two places, directions or channels alike. */
function waves(channels: Image['channels'], bits: 8 | 16): Image {
  const data = new (bits === 16 ? Uint16Array : Uint8Array)(72 * 44 * channels);
  for (let i = 0; i < data.length; i++) {
    const c = i % channels, x = Math.floor(i / channels) % 72, y = Math.floor(i / channels / 72);
    data[i] = Math.round((2 ** bits - 1) * (0.5 + 0.2 * Math.sin((x + 9 * c) / 11) * Math.cos(y / 9) + 0.2 * (x / 72) - 0.1 * (y / 44)));
  }
  return { width: 72, height: 44, channels, data };
}

type Tags = Record<string, string | number | undefined>;
const tagsOf = (names: string[]): Tags[] => JSON.parse(exiftool('-j', '-n', ...names.map(place))) as Tags[];

test('EXIF is kept, upright and without its thumbnail; profiles and bits stay (exiftool)', { skip: missing }, () => {
  assert.equal(done.length, cases.length);
  const [from, to] = [tagsOf(cases.map(({ name }) => name)), tagsOf(cases.map(({ name }) => `out/${name}`))];
  cases.forEach(({ name, exif, bits, profile }, index) => {
    const [a, b] = [from[index], to[index]], turned = exif !== undefined && exif.orientation >= 5;
    assert.deepEqual([b.ImageWidth, b.ImageHeight], turned ? [44, 72] : [72, 44], name);
    for (const tag of ['Make', 'Model', 'Copyright', 'ISO', 'ExposureTime', 'FNumber', 'DateTimeOriginal', 'GPSLatitude', 'GPSLongitude', 'ProfileDescription', 'BitDepth', 'BitsPerSample']) {
      assert.equal(b[tag], a[tag], `${name}: ${tag}`);
    }
    assert.equal(a.ProfileDescription !== undefined, profile !== undefined, name);
    assert.ok(b.Error === undefined, `${name}: ${b.Error}`);
    if (bits === 16) assert.match(String(b.BitDepth ?? b.BitsPerSample), /^16/, name);
    if (!exif) return;
    assert.equal(a.Make, 'Unshaken', name);
    assert.equal(a.Orientation, exif.orientation, name);
    assert.equal(b.Orientation, 1, name);
    assert.deepEqual([b.ExifImageWidth, b.ExifImageHeight], turned ? [44, 72] : [72, 44], name);
    assert.equal(b.ThumbnailOffset, undefined, `${name}: thumbnail`);
  });
});

const orientations = ['', 'TopLeft', 'TopRight', 'BottomRight', 'BottomLeft', 'LeftTop', 'RightTop', 'RightBottom', 'LeftBottom'];

/**
 * Samples of 16 bits after turning upright, as ImageMagick sees them; `managed` converts by the embedded profile to sRGB. It is told
 * the orientation, which it doesn't read from every format.
 */
function samplesOf(name: string, channels: number, managed: boolean, orientation = 1): Uint16Array {
  const convert = managed ? ['-profile', place('srgb.icc')] : [];
  const raw = execFileSync('convert', [place(name), '-orient', orientations[orientation], '-auto-orient', ...convert, '-depth', '16', '-endian', 'LSB', `${['', 'gray', 'graya', 'rgb', 'rgba'][channels]}:-`], { maxBuffer: 2 ** 26, stdio: ['ignore', 'pipe', 'pipe'] });
  return new Uint16Array(raw.buffer.slice(raw.byteOffset, raw.byteOffset + raw.byteLength));
}

test('pixel values are right, as stored and as colours (ImageMagick)', { skip: missing }, async () => {
  const srgb = (await sharp(await sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } }).withIccProfile('srgb').png().toBuffer()).metadata()).icc!;
  await writeFile(place('srgb.icc'), srgb);
  for (const { name, channels, profile, exif, tolerance } of cases) {
    for (const managed of profile === 'p3' ? [false, true] : [false]) {
      const [a, b] = [samplesOf(name, channels, managed, exif?.orientation), samplesOf(`out/${name}`, channels, managed)];
      assert.equal(a.length, 72 * 44 * channels, name);
      assert.equal(b.length, a.length, name);
      let sum = 0;
      for (let i = 0; i < a.length; i++) sum += Math.abs(a[i] - b[i]);
      assert.ok(sum / a.length / 257 <= tolerance, `${name}${managed ? ' in sRGB' : ''}: ${(sum / a.length / 257).toFixed(2)} of 255 on average`);
    }
  }
});

test('a note where bits of the source are lost, with as many as it has, and nowhere else', async () => {
  const image = waves(3, 16), deep = sharp(image.data, { raw: { width: 72, height: 44, channels: 3 } }).toColourspace('rgb16');
  const sources: Record<string, Buffer> = { 'ten.avif': await deep.avif({ bitdepth: 10 }).toBuffer(), 'twelve.avif': await deep.avif({ bitdepth: 12 }).toBuffer(), 'sixteen.png': await deep.png().toBuffer() };
  const lost: Record<string, string[]> = {
    'ten.avif': ['JPEG holds 8 bits of the 10', 'WebP holds 8 bits of the 10'], 'twelve.avif': ['JPEG holds 8 bits of the 12', 'WebP holds 8 bits of the 12'],
    'sixteen.png': ['AVIF holds 12 bits of the 16', 'JPEG holds 8 bits of the 16', 'WebP holds 8 bits of the 16'],
  };
  const own = await mkdtemp(join(tmpdir(), 'unshake-')), identity = await openModel(identityModel());
  try {
    for (const [name, bytes] of Object.entries(sources)) {
      await writeFile(join(own, name), bytes);
      const notes: string[] = [], formats = ['avif', 'jpg', 'png', 'tiff', 'webp'];
      for (const format of formats) {
        const { failed } = await deblurFiles(identity, [{ input: join(own, name), output: join(own, `to.${format}`) }], { force: true, onNote: (_, note) => notes.push(note) });
        assert.deepEqual(failed, []);
      }
      assert.deepEqual(notes, lost[name].map((note) => `${note}; write PNG or TIFF to keep them`), name);
      assert.equal((await sharp(join(own, 'to.avif')).metadata()).bitsPerSample, 12, name);
    }
    assert.deepEqual((await encodeImage(image, 'avif')).notes, ['AVIF holds 12 bits of the 16; write PNG or TIFF to keep them']);
  } finally {
    await identity.release();
    await rm(own, { recursive: true });
  }
});

test('the check has teeth: read without its profile, a wide-gamut picture has other colours', { skip: missing }, async () => {
  await writeFile(place('stripped.jpg'), await sharp(place('wide.jpg'), { ignoreIcc: true }).jpeg({ quality: 95 }).toBuffer());
  const [a, b] = [samplesOf('wide.jpg', 3, true), samplesOf('stripped.jpg', 3, true)];
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += Math.abs(a[i] - b[i]);
  assert.ok(sum / a.length / 257 > 2, (sum / a.length / 257).toFixed(2));
});
