/** What a training example is: a window of a pair, blurred, shrunk, compressed and matched in tone as its source says. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { openLoader, type LoaderOptions } from '../src/data.js';
import { ConfigError } from '../src/errors.js';
import { batches, numbered, withLoader } from './data-loading.js';
import { noise, picture, temporaryFolder, writeTree } from './data-pictures.js';

test('a crop is a window of the pair, the same of both, in the orientations asked for', async (t) => {
  const root = await temporaryFolder(t), width = 50, height = 44, crop = 16;
  // Every sample says where it comes from.
  const sharp = picture(width, height, (x, y, c) => [x, y, 200][c]);
  const blur = picture(width, height, (x, y, c) => [x, y, 100][c]);
  await writeTree(root, { 'train/sharp/a.png': sharp, 'train/blur/a.png': blur });
  const seen = async (flips: Partial<LoaderOptions>): Promise<{ orientations: Set<string>; corners: Set<string> }> => {
    const orientations = new Set<string>(), corners = new Set<string>();
    for (const batch of await batches({ sources: [{ path: root }], batchSize: 16, ...flips }, [0, 1, 2, 3])) {
      assert.equal(batch.blur.length, 16 * crop * crop * 3);
      for (let n = 0; n < 16; n++) {
        const at = (data: Uint8Array, x: number, y: number, c: number): number => data[((n * crop + y) * crop + x) * 3 + c];
        const x0 = at(batch.sharp, 0, 0, 0), y0 = at(batch.sharp, 0, 0, 1);
        const across = [at(batch.sharp, 1, 0, 0) - x0, at(batch.sharp, 1, 0, 1) - y0], down = [at(batch.sharp, 0, 1, 0) - x0, at(batch.sharp, 0, 1, 1) - y0];
        for (let y = 0; y < crop; y++) {
          for (let x = 0; x < crop; x++) {
            for (const [data, mark] of [[batch.sharp, 200], [batch.blur, 100]] as const) {
              assert.deepEqual([at(data, x, y, 0), at(data, x, y, 1), at(data, x, y, 2)], [x0 + across[0] * x + down[0] * y, y0 + across[1] * x + down[1] * y, mark]);
            }
          }
        }
        orientations.add([...across, ...down].join(' '));
        corners.add(`${Math.min(x0, at(batch.sharp, crop - 1, crop - 1, 0))} ${Math.min(y0, at(batch.sharp, crop - 1, crop - 1, 1))}`);
      }
    }
    return { orientations, corners };
  };
  const plain = await seen({ flipHorizontal: false });
  assert.deepEqual([...plain.orientations], ['1 0 0 1']);
  assert.ok(plain.corners.size > 40, 'crops lie all over the picture');
  const xs = [...plain.corners].map((corner) => Number(corner.split(' ')[0]));
  assert.ok(Math.min(...xs) <= 2 && Math.max(...xs) >= width - crop - 2, 'up to both edges');
  assert.deepEqual([...(await seen({})).orientations].sort(), ['-1 0 0 1', '1 0 0 1']);
  assert.deepEqual([...(await seen({ flipVertical: true })).orientations].sort(), ['-1 0 0 -1', '-1 0 0 1', '1 0 0 -1', '1 0 0 1']);
  assert.equal((await seen({ flipVertical: true, transpose: true })).orientations.size, 8);
});

test('a blur recipe: the target is a window of the photo, the blur another at every step, with light from outside of the crop', async (t) => {
  const root = await temporaryFolder(t), crop = 24;
  // White outside of the middle: only a blur that sees past the crop's edge can bring light into a black crop.
  const photos = Object.fromEntries(numbered(3).map((name) => [`${name}.png`, picture(40, 40, (x, y) => (Math.min(x, y) >= 8 && Math.max(x, y) < 32 ? 0 : 255))]));
  await writeTree(root, photos);
  await withLoader({ sources: [{ path: root, blur: 'shake' }], batchSize: 64, crop }, async (loader) => {
    let lit = 0;
    const blurs = new Set<string>();
    for (let step = 0; step < 8; step++) {
      const { sharp, blur } = await loader.batch(step), size = crop * crop * 3;
      for (let n = 0; n < 64; n++) {
        assert.ok(sharp.subarray(n * size, (n + 1) * size).every((value) => value === 0 || value === 255));
        const own = blur.subarray(n * size, (n + 1) * size), dark = sharp.subarray(n * size, (n + 1) * size).filter((value) => value === 0).length;
        if (dark === size && own.some((value) => value > 0)) lit++;
        if (dark > 0 && dark < size) blurs.add(Buffer.from(own).toString('base64'));
      }
    }
    assert.ok(lit > 0, 'a black crop gets light');
    assert.ok(blurs.size > 100, `blurs differ (${blurs.size} kinds)`);
  });
});

test('uniform: a crop from the middle of a photo has the dark borders that the recipe gives half of its pictures', async (t) => {
  const root = await temporaryFolder(t), crop = 48;
  await writeTree(root, { 'a.png': picture(400, 400, () => 200) });
  const { sharp, blur } = (await batches({ sources: [{ path: root, blur: 'uniform' }], batchSize: 100, crop }, [0]))[0], size = crop * crop * 3;
  assert.ok(sharp.every((value) => value === 200));
  const darkened = Array.from({ length: 100 }, (_, n) => blur.subarray(n * size, (n + 1) * size).some((value) => value < 190)).filter(Boolean).length;
  assert.ok(darkened > 35 && darkened < 65, `50 expected, got ${darkened}`);
});

test('rescale shrinks both halves alike by a factor of its range, and no further than the crop allows', async (t) => {
  const root = await temporaryFolder(t), width = 120, height = 90, crop = 30;
  // Steps across a crop of smooth ramps tell how much it was shrunk.
  await writeTree(root, { 'train/sharp/a.png': picture(width, height, (x, y, c) => [2 * x, 2 * y, 200][c]), 'train/blur/a.png': picture(width, height, (x, y, c) => [2 * x, 2 * y, 100][c]) });
  const factors = async (rescale: [number, number]): Promise<number[]> => {
    const { blur, sharp } = (await batches({ sources: [{ path: root, rescale }], batchSize: 64, crop, flipHorizontal: false }, [0]))[0];
    return Array.from({ length: 64 }, (_, n) => {
      const at = (data: Uint8Array, x: number, y: number, c: number): number => data[((n * crop + y) * crop + x) * 3 + c];
      for (let y = 0; y < crop; y++) for (let x = 0; x < crop; x++) {
        assert.deepEqual([at(blur, x, y, 0), at(blur, x, y, 1)], [at(sharp, x, y, 0), at(sharp, x, y, 1)]);
        assert.deepEqual([at(sharp, x, y, 2), at(blur, x, y, 2)], [200, 100]);
      }
      return (2 * (crop - 10)) / (at(sharp, crop - 5, 9, 0) - at(sharp, 5, 9, 0));
    });
  };
  const wide = await factors([0.4, 1]);
  assert.ok(Math.min(...wide) < 0.5 && Math.min(...wide) > 0.38 && Math.max(...wide) > 0.85 && Math.max(...wide) < 1.03, `${Math.min(...wide)} to ${Math.max(...wide)}`);
  assert.ok((await factors([0.1, 0.1])).every((factor) => Math.abs(factor - 1 / 3) < 0.01), 'a third: 90 pixels to 30');
  await assert.rejects(() => openLoader({ sources: [{ path: root, rescale: [0.8, 0.4] }], seed: 1, batchSize: 1, crop }), (error) => error instanceof ConfigError && /rescale/.test(error.message));
});

test('jpeg compresses the stated share of the blurry halves, never the target', async (t) => {
  const root = await temporaryFolder(t);
  await writeTree(root, { 'train/sharp/a.png': noise(3, 60, 60), 'train/blur/a.png': noise(3, 60, 60) });
  const { blur, sharp } = (await batches({ sources: [{ path: root, jpeg: 0.3 }], batchSize: 200, crop: 24 }, [0]))[0], size = 24 * 24 * 3;
  let compressed = 0;
  for (let n = 0; n < 200; n++) {
    const difference = sharp.subarray(n * size, (n + 1) * size).reduce((sum, v, i) => sum + Math.abs(v - blur[n * size + i]), 0) / size;
    if (difference > 0) compressed++;
    assert.ok(difference < 60, 'still the same picture');
  }
  assert.ok(compressed > 35 && compressed < 85, `60 expected, got ${compressed}`);
});

test('keepTone moves each channel of the target to the mean of the blurry crop, and nothing else', async (t) => {
  const root = await temporaryFolder(t), sharp = picture(60, 60, (x, y, c) => 60 + ((x * 7 + y * 11 + c * 29) % 100));
  await writeTree(root, { 'train/sharp/a.png': sharp, 'train/blur/a.png': picture(60, 60, (x, y, c) => sharp.data[(y * 60 + x) * 3 + c] + [5, 0, -3][c] + ((x + y) % 3 === 0 ? 1 : 0)) });
  const crop = 24, size = crop * crop * 3;
  for (const keepTone of [true, false]) {
    const batch = (await batches({ sources: [{ path: root, keepTone }], batchSize: 12, crop }, [0]))[0];
    const plain = (await batches({ sources: [{ path: root }], batchSize: 12, crop }, [0]))[0];
    assert.deepEqual(batch.blur, plain.blur);
    for (let n = 0; n < 12; n++) {
      for (let c = 0; c < 3; c++) {
        const moved = new Set<number>();
        let difference = 0;
        for (let i = n * size + c; i < (n + 1) * size; i += 3) {
          moved.add(batch.sharp[i] - plain.sharp[i]);
          difference += (batch.blur[i] - batch.sharp[i]) / (crop * crop);
        }
        assert.deepEqual([...moved], [keepTone ? [5, 0, -3][c] : 0]);
        if (keepTone) assert.ok(Math.abs(difference) <= 0.5, `${difference}`);
      }
    }
  }
});
