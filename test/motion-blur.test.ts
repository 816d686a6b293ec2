/** The estimate that leaves sharp photos alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blurPhoto } from '../src/blur/index.js';
import { generateScene } from '../src/blur/scenes.js';
import { estimateMotionBlur } from '../src/image/motion-blur.js';
import type { Image, RgbImage } from '../src/image/image.js';
import { randomAt } from '../src/random.js';
import { hardEdges, noisyImage } from './small-images.js';

/** The mean over `length` pixels along a row: linear motion, nothing else. */
function smeared(image: RgbImage, length: number): RgbImage {
  const data = new Uint8Array(image.data.length), { width, height } = image;
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) for (let c = 0; c < 3; c++) {
    let sum = 0;
    for (let k = 0; k < length; k++) sum += image.data[(y * width + Math.min(width - 1, x + k)) * 3 + c];
    data[(y * width + x) * 3 + c] = Math.round(sum / length);
  }
  return { ...image, data };
}

test('the longer the motion, the less detail; four pixels of it are seen', () => {
  const scene = hardEdges(480, 360);
  const details = [1, 2, 4, 8, 16].map((length) => estimateMotionBlur(smeared(scene, length)).detail!);
  assert.equal(estimateMotionBlur(scene).blurred, false, `${details}`);
  details.slice(1).forEach((detail, index) => assert.ok(detail < details[index], `${details}`));
  for (const length of [4, 8, 16]) assert.equal(estimateMotionBlur(smeared(scene, length)).blurred, true, `${details}`);
});

test('no blurred scene is taken for a sharp one', () => {
  for (let seed = 1; seed <= 12; seed++) {
    const { blur } = blurPhoto(generateScene(randomAt(seed), 480, 320), randomAt(seed, 1), 'photo');
    const { detail, blurred } = estimateMotionBlur(blur);
    assert.equal(blurred, true, `scene ${seed}: ${detail}`);
  }
});

test('depth, gray and alpha do not matter', () => {
  const scene = smeared(generateScene(randomAt(2), 480, 360), 3), { detail } = estimateMotionBlur(scene);
  const deep: Image = { ...scene, data: Uint16Array.from(scene.data, (sample) => 257 * sample) };
  const alpha: Image = { ...scene, channels: 4, data: Uint8Array.from({ length: 4 * 480 * 360 }, (_, i) => (i % 4 === 3 ? i % 251 : scene.data[3 * (i >> 2) + (i & 3)])) };
  assert.ok(Math.abs(estimateMotionBlur(deep).detail! - detail!) < 1e-6);
  assert.equal(estimateMotionBlur(alpha).detail, detail);
  const gray: Image = { ...scene, channels: 1, data: Uint8Array.from({ length: 480 * 360 }, (_, i) => scene.data[3 * i + 1]) };
  assert.ok(Math.abs(estimateMotionBlur(gray).detail! - detail!) < 0.05);
});

test('too small, flat or black: no estimate, so it counts as blurred', () => {
  for (const image of [noisyImage(1, 1), noisyImage(90, 90), { ...noisyImage(300, 300), data: new Uint8Array(270_000) }]) {
    assert.deepEqual(estimateMotionBlur(image), { detail: undefined, blurred: true });
  }
});
