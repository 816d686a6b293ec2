/** EXIF and TIFF structures that are damaged: never more than a refusal. Intact ones are checked by second tools in photo-metadata.test.ts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import sharp from 'sharp';
import { littleEndian, uprightExif } from '../src/image/exif.js';
import { insertMetadata } from '../src/image/metadata.js';
import { exifOfTiff, tiffWithMetadata } from '../src/image/tiff.js';
import { randomAt } from '../src/random.js';

/** A block with a main, an EXIF and a GPS directory. */
async function block(): Promise<Uint8Array> {
  const jpeg = await sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } })
    .withExif({ IFD0: { Make: 'Unshaken', Copyright: 'somebody' }, IFD2: { ExposureTime: '1/50', UserComment: 'a comment' }, IFD3: { GPSLatitudeRef: 'N' } }).jpeg().toBuffer();
  return uprightExif((await sharp(jpeg).metadata()).exif!)!;
}

test('what is no EXIF block gives undefined', () => {
  for (const bytes of [new Uint8Array(0), new Uint8Array(100), Buffer.from('Exif\0\0'), Buffer.from('II*\0\xff\xff\xff\x7f........', 'latin1')]) {
    assert.equal(uprightExif(bytes), undefined);
    assert.equal(exifOfTiff(bytes), undefined);
  }
});

test('a little-endian block is left as it is, and comes back out of a TIFF file', async () => {
  const little = littleEndian(await block())!, tiff = await sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } }).tiff().toBuffer();
  assert.equal(littleEndian(little), little);
  const kept = exifOfTiff(tiffWithMetadata(tiff, { exif: little }))!;
  for (const text of ['Unshaken', 'somebody', 'a comment']) assert.ok(Buffer.from(kept).includes(text), text);
});

test('damaged blocks and files never throw, loop or grow', async () => {
  const random = randomAt(3), exif = await block();
  const tiff = tiffWithMetadata(await sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } }).tiff().toBuffer(), { exif: littleEndian(exif) });
  for (let round = 0; round < 3000; round++) {
    const [a, b] = [exif.slice(), tiff.slice()];
    for (let k = 0; k < 1 + random.integer(8); k++) {
      a[4 + random.integer(a.length - 4)] = random.integer(256);
      b[4 + random.integer(b.length - 4)] = random.integer(256);
    }
    const upright = uprightExif(a.subarray(0, random.integer(4) === 0 ? random.integer(a.length) : a.length));
    if (upright) littleEndian(upright);
    assert.ok((exifOfTiff(b)?.length ?? 0) <= 2 ** 24);
  }
});

test('an EXIF block that a JPEG can not hold is left out, and that is said; PNG takes it', async () => {
  const picture = sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } }), exif = new Uint8Array(70_000);
  exif.set(await block());
  assert.equal((await insertMetadata(await picture.clone().jpeg().toBuffer(), { exif })).kept.exif, false);
  const { bytes, kept } = await insertMetadata(await picture.clone().png().toBuffer(), { exif });
  assert.equal(kept.exif, true);
  assert.equal((await sharp(bytes).metadata()).exif!.length, 70_000);
});
