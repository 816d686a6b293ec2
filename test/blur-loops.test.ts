/** The inner loops of synthetic blur, both sets, against sums in float64. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { blurPhoto } from '../src/blur/index.js';
import { useBlurLoops, workspace } from '../src/blur/loops.js';
import { sourceSha256 } from '../src/blur/loops-wasm.js';
import type { RgbImage } from '../src/image/image.js';
import type { KernelKind } from '../src/inner-loops.js';
import { randomAt } from '../src/random.js';
import { noisyImage } from './small-images.js';

after(() => useBlurLoops());
const kinds: KernelKind[] = ['simd', 'plain'];
const seed = Math.floor(Math.random() * 2 ** 31);

test('WebAssembly SIMD is used here', () => assert.equal(useBlurLoops(), 'simd'));

test('the embedded WebAssembly was compiled from assembly/blur.ts as it is', () => {
  const source = readFileSync(new URL('../../assembly/blur.ts', import.meta.url));
  assert.equal(createHash('sha256').update(source).digest('hex'), sourceSha256, 'run node assembly/build.mjs');
});

for (const kind of kinds) {
  test(`${kind}: sumOfTaps is the weighted sum of shifted values`, () => {
    useBlurLoops(kind);
    const random = randomAt(seed, 1), count = 1 + random.integer(100), taps = 1 + random.integer(60);
    const source = Float32Array.from({ length: 400 }, () => random.uniform()), weights = Float32Array.from({ length: taps }, () => random.normal());
    const offsets = Int32Array.from({ length: taps }, () => random.integer(400 - count));
    const { memory, at, kernels } = workspace({ source: 400, offsets: taps, weights: taps, out: count });
    memory.set(source, at.source);
    memory.set(weights, at.weights);
    new Int32Array(memory.buffer).set(offsets, at.offsets);
    kernels.sumOfTaps(at.source, at.offsets, at.weights, taps, at.out, count);
    for (let i = 0; i < count; i++) {
      const expected = offsets.reduce((sum, offset, tap) => sum + weights[tap] * source[i + offset], 0);
      assert.ok(Math.abs(memory[at.out + i] - expected) < 1e-5, `seed ${seed}: ${memory[at.out + i]} for ${expected}`);
    }
  });

  test(`${kind}: addWarpedRow adds bilinear samples along a slanted line`, () => {
    useBlurLoops(kind);
    const random = randomAt(seed, 2), width = 70, height = 40, pixels = 50;
    const scene = Float32Array.from({ length: 3 * width * height }, () => random.uniform());
    const x = 5 + random.uniform(), y = 8 + random.uniform(), stepX = random.between(0.97, 1.03), stepY = random.between(-0.1, 0.4);
    const { memory, at, kernels } = workspace({ scene: scene.length, out: 4 * pixels });
    memory.set(scene, at.scene);
    memory.fill(1, at.out, at.out + 4 * pixels);
    kernels.addWarpedRow(at.scene, 3 * width, x, y, stepX, stepY, at.out, pixels);
    for (let i = 0; i < pixels; i++) for (let c = 0; c < 3; c++) {
      const px = x + i * stepX, py = y + i * stepY, column = Math.floor(px), line = Math.floor(py);
      const value = (dx: number, dy: number): number => scene[3 * ((line + dy) * width + column + dx) + c];
      const across = (dy: number): number => value(0, dy) + (px - column) * (value(1, dy) - value(0, dy));
      const expected = 1 + across(0) + (py - line) * (across(1) - across(0));
      assert.ok(Math.abs(memory[at.out + 4 * i + c] - expected) < 1e-5, `seed ${seed}, pixel ${i}: ${memory[at.out + 4 * i + c]} for ${expected}`);
    }
  });
}

test('photos blurred by either differ by an 8-bit level at most, and seldom', () => {
  for (const recipe of ['photo', 'uniform'] as const) {
    for (let picture = 0; picture < 8; picture++) {
      const sharp = noisyImage(97, 83, 3, 8, picture + 1) as RgbImage;
      const [simd, plain] = kinds.map((kind) => {
        useBlurLoops(kind);
        return blurPhoto(sharp, randomAt(seed, picture), recipe).blur.data;
      });
      const apart = simd.map((value, i) => Math.abs(value - plain[i]));
      assert.ok(Math.max(...apart) <= 1 && apart.filter((d) => d > 0).length < 0.01 * apart.length, `${recipe}, seed ${seed}, picture ${picture}`);
    }
  }
});
