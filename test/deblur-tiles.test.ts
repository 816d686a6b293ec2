/** Tiles: their geometry, and that they equal the whole picture. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blurPhoto } from '../src/blur/index.js';
import { generateScene } from '../src/blur/scenes.js';
import { deblurImage } from '../src/deblur.js';
import { cutAxis, mirrored, orientation, tilesOfArea, tilesOfSide } from '../src/image/tiles.js';
import { findModel } from '../src/model-path.js';
import { randomAt } from '../src/random.js';
import { openModel } from '../src/runtime/session.js';
import { largestDifference, noisyImage } from './small-images.js';
import { blockModel, boxModel, wideModel } from './small-models.js';

test('along an axis, weights add up to one, context is full, sizes are equal and starts aligned', () => {
  const random = randomAt(3);
  for (let round = 0; round < 2000; round++) {
    const rules = { multiple: random.pick([1, 2, 4, 8, 16, 32]), overlap: random.integer(90), blend: random.pick([1, 8, 16]) };
    const length = 1 + random.integer(1500), count = 1 + random.integer(20);
    const { size, spans } = cutAxis(length, count, rules);
    const what = JSON.stringify({ length, count, ...rules, size });
    const total = new Float64Array(length);
    assert.equal(size % rules.multiple, 0, what);
    assert.ok(spans.length <= count, what);
    for (const [index, span] of spans.entries()) {
      const last = index === spans.length - 1;
      assert.equal(span.start % rules.multiple, 0, what);
      assert.equal(span.weights.length, span.to - span.from, what);
      assert.ok(index === 0 ? span.start === 0 && span.from === 0 : span.from - span.start >= rules.overlap, what);
      assert.ok(last ? span.to === length && span.start + size >= length : span.start + size - span.to >= rules.overlap, what);
      assert.ok(span.start + size < length + rules.multiple, what);
      span.weights.forEach((weight, k) => {
        total[span.from + k] += weight;
        assert.ok(k === 0 || Math.abs(weight - span.weights[k - 1]) < 1.001 / rules.blend, `${what}: a ramp, not a step`);
      });
    }
    assert.ok(total.every((sum) => Math.abs(sum - 1) < 1e-6), what);
  }
});

test('a long axis gets as many tiles as were asked for; a short one is not cut', () => {
  assert.equal(cutAxis(1000, 4, { multiple: 4, overlap: 128 }).spans.length, 4);
  assert.equal(cutAxis(40, 4, { multiple: 4, overlap: 16 }).spans.length, 1);
});

test('tiles of an area stay within it, and the picture is whole when it fits', () => {
  const rules = { multiple: 8, overlap: 40 };
  for (const [width, height] of [[1280, 720], [719, 1999], [6000, 4000]]) {
    const { across, down } = tilesOfArea(width, height, 500_000, rules);
    assert.ok(across.size * down.size <= 500_000, `${width}×${height}: ${across.size}×${down.size}`);
    const computed = across.size * down.size * across.spans.length * down.spans.length;
    assert.ok(computed < 1.6 * width * height, `${width}×${height}: computes ${(computed / width / height).toFixed(2)} pixels a pixel`);
  }
  const whole = tilesOfArea(700, 700, 500_000, rules);
  assert.equal(whole.across.spans.length * whole.down.spans.length, 1);
});

test('outside the picture lies its mirror image, however far', () => {
  assert.deepEqual([-4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6].map((index) => mirrored(index, 3)), [0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2]);
  assert.deepEqual([-2, 0, 5].map((index) => mirrored(index, 1)), [0, 0, 0]);
});

test('the eight orientations are different permutations, and 0 is none', () => {
  const seen = new Set<string>();
  for (let which = 0; which < 8; which++) {
    const { origin, stepX, stepY, width, height } = orientation(which, 3, 2);
    const places = Array.from({ length: 6 }, (_, at) => origin + (at % 3) * stepX + Math.floor(at / 3) * stepY);
    assert.deepEqual([...places].sort(), [0, 1, 2, 3, 4, 5]);
    assert.deepEqual([width, height], which < 4 ? [3, 2] : [2, 3]);
    seen.add(places.join());
    if (which === 0) assert.deepEqual(places, [0, 1, 2, 3, 4, 5]);
  }
  assert.equal(seen.size, 8);
});

for (const [name, bytes] of [['box', boxModel()], ['block', blockModel()], ['wide', wideModel(8, 3)]] as const) {
  test(`1000×700 in tiles of 256 equals the whole picture: ${name}`, async () => {
    const model = await openModel(bytes);
    const image = noisyImage(1000, 700);
    const whole = await deblurImage(model, image, { memory: Infinity });
    const tiled = await deblurImage(model, image, { tile: 256 });
    assert.equal(whole.tiles, 1);
    assert.ok(tiled.tiles >= 12, `${tiled.tiles} tiles`);
    assert.ok(largestDifference(image, whole.image) > 20, 'the model changes the picture');
    assert.ok(largestDifference(whole.image, tiled.image) <= 1);
    await model.release();
  });
}

test('odd sizes and many small tiles equal the whole picture, 16 bits too', async () => {
  const model = await openModel(blockModel());
  for (const [width, height, tile] of [[331, 173, 32], [97, 401, 50], [130, 127, 16]]) {
    const image = noisyImage(width, height, 3, 16);
    const whole = await deblurImage(model, image);
    const tiled = await deblurImage(model, image, { tile });
    assert.ok(tiled.tiles > 1);
    assert.ok(largestDifference(whole.image, tiled.image) <= 257, `${width}×${height}`);
  }
  await model.release();
});

test('the seam test has teeth: with less context than the network sees, tiles differ', async () => {
  const model = await openModel(boxModel(0));
  const image = noisyImage(600, 400);
  const plan = tilesOfSide(600, 400, 128, { multiple: 1, overlap: 0 });
  assert.ok(plan.across.spans.length > 1);
  const whole = await deblurImage(model, image, { memory: Infinity });
  const tiled = await deblurImage(model, image, { tile: 128 });
  assert.ok(largestDifference(whole.image, tiled.image) > 1);
  await model.release();
});

test('the shipped model in tiles equals itself on the whole picture within 1/255', async () => {
  const model = await openModel((await findModel('default')).path);
  const image = blurPhoto(generateScene(randomAt(8, 1), 900, 640), randomAt(8, 2), 'shake').blur;
  const whole = await deblurImage(model, image, { memory: Infinity });
  const tiled = await deblurImage(model, image, { tile: 140 });
  assert.equal(whole.tiles, 1);
  assert.ok(tiled.tiles > 2);
  assert.ok(largestDifference(image, whole.image) > 20, 'the model changes the picture');
  assert.ok(largestDifference(whole.image, tiled.image) <= 1);
  await model.release();
});
