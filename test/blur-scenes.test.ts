import { test } from 'node:test';
import assert from 'node:assert/strict';
import { mixColours, oklch, randomPalette } from '../src/blur/colour.js';
import { strokesOf, widthOf } from '../src/blur/glyphs.js';
import { generateScene } from '../src/blur/scenes.js';
import { disc, polygon, randomLeaf, rectangle, ring, stroke } from '../src/blur/shapes.js';
import { checks, cloudNoise, dots, randomTexture, stripes } from '../src/blur/textures.js';
import { randomAt } from '../src/random.js';

test('a scene is a pure function of its seed, of any size', () => {
  for (const [width, height] of [[96, 64], [37, 53], [8, 200], [1, 1]]) {
    const scene = generateScene(randomAt(1), width, height);
    assert.deepEqual([scene.width, scene.height, scene.channels, scene.data.length], [width, height, 3, width * height * 3]);
    assert.deepEqual(generateScene(randomAt(1), width, height).data, scene.data);
  }
});

test('scenes differ from one another, and each has contrast, edges and colour', () => {
  const scenes = Array.from({ length: 6 }, (_, seed) => generateScene(randomAt(2, seed), 128, 96));
  assert.equal(new Set(scenes.map(({ data }) => data.join())).size, 6);
  for (const { data, width } of scenes) {
    const mean = data.reduce((sum, v) => sum + v, 0) / data.length;
    const deviation = Math.sqrt(data.reduce((sum, v) => sum + (v - mean) ** 2, 0) / data.length);
    assert.ok(mean > 40 && mean < 215 && deviation > 25, `mean ${mean}, deviation ${deviation}`);
    let steep = 0, clipped = 0, coloured = 0;
    for (let i = 0; i + 3 * width < data.length; i += 3) {
      if (Math.abs(data[i] - data[i + 3]) > 40) steep++;
      if (Math.max(data[i], data[i + 1], data[i + 2]) === 255) clipped++;
      if (Math.max(data[i], data[i + 1], data[i + 2]) - Math.min(data[i], data[i + 1], data[i + 2]) > 25) coloured++;
    }
    const pixels = data.length / 3;
    assert.ok(steep > 0.02 * pixels, `edges ${steep / pixels}`);
    assert.ok(clipped < 0.25 * pixels, `clipped ${clipped / pixels}`);
    assert.ok(coloured > 0.2 * pixels, `coloured ${coloured / pixels}`);
  }
});

test('signed distances: values known by hand', () => {
  const near = (value: number, expected: number) => assert.ok(Math.abs(value - expected) < 1e-9, `${value}, not ${expected}`);
  near(disc(3, 4, 2).distance(0, 0), 3);
  near(ring(0, 0, 5, 1).distance(0, 0), 4);
  near(ring(0, 0, 5, 1).distance(5, 0), -1);
  near(rectangle(0, 0, 4, 2, 0).distance(0, 0), -2);
  near(rectangle(0, 0, 4, 2, 0).distance(7, 6), 5);
  near(rectangle(0, 0, 4, 2, Math.PI / 2).distance(0, 6), 2);
  near(rectangle(0, 0, 4, 2, 0, 1).distance(7, 0), 3);
  near(polygon([[0, 0], [4, 0], [0, 4]]).distance(4, 4), Math.sqrt(8));
  near(polygon([[0, 0], [4, 0], [0, 4]], 0.5).distance(-2, 1), 1.5);
  near(stroke([[0, 0], [10, 0], [10, 10]], 1).distance(5, 3), 2);
  near(stroke([[2, 2], [2, 2]], 1).distance(5, 6), 4);
});

test('leaves lie within their reach, so that none is cut off', () => {
  for (let seed = 0; seed < 60; seed++) {
    const leaf = randomLeaf(randomAt(3, seed), 50, 40, 12);
    for (let turn = 0; turn < 64; turn++) {
      const angle = turn / 64 * 2 * Math.PI, far = leaf.reach / Math.max(Math.abs(Math.cos(angle)), Math.abs(Math.sin(angle)));
      assert.ok(leaf.distance(leaf.x + far * Math.cos(angle), leaf.y + far * Math.sin(angle)) > -1e-9);
    }
  }
});

test('textures keep between their colours, and patterns have their period', () => {
  const a = oklch(0.7, 0.1, 20), b = oklch(0.3, 0.1, 200);
  for (let seed = 0; seed < 40; seed++) {
    const texture = randomTexture(randomAt(4, seed), a, b, 20, 20, 20);
    for (let i = 0; i < 100; i++) for (const v of texture(i * 1.7 % 40, i * 2.3 % 40)) assert.ok(v >= 0 && v <= 1);
  }
  for (const texture of [stripes(a, b, 0, 8, 0.5), checks(a, b, 0, 8), dots(a, b, 0, 8, 0.3)]) {
    assert.deepEqual(texture(1.25, 2.5).map((v) => v.toFixed(9)), texture(9.25, 10.5).map((v) => v.toFixed(9)));
    assert.ok(new Set(Array.from({ length: 8 }, (_, x) => texture(x, 1).join())).size > 1);
  }
  const noise = cloudNoise(5, 10);
  const values = Array.from({ length: 4000 }, (_, i) => noise(i % 80, Math.floor(i / 80)));
  const far = Array.from({ length: 10_000 }, (_, i) => noise(13.7 * (i % 100), 13.7 * Math.floor(i / 100)));
  assert.ok(Math.abs(far.reduce((total, v) => total + v, 0) / far.length - 0.5) < 0.01);
  assert.ok(Math.min(...values) > 0 && Math.max(...values) < 1 && Math.max(...values) - Math.min(...values) > 0.4);
});

test('OKLCH: grays are gray, and a published value', () => {
  const [r, g, b] = oklch(0.5, 0, 0);
  assert.ok(Math.abs(r - 0.125) < 1e-4 && Math.abs(g - 0.125) < 1e-4 && Math.abs(b - 0.125) < 1e-4);
  // sRGB red is oklch(0.62796 0.25768 29.234).
  oklch(0.62796, 0.25768, 29.234).forEach((v, c) => assert.ok(Math.abs(v - [1, 0, 0][c]) < 1e-3));
  assert.deepEqual(mixColours([0, 0, 0], [1, 0.5, 0.25], 0.5), [0.5, 0.25, 0.125]);
  assert.equal(randomPalette(randomAt(6)).colours.length, 16);
});

test('lettering is centred and as large as asked', () => {
  const points = strokesOf('HE', 60).flat();
  const xs = points.map(([x]) => x), ys = points.map(([, y]) => y);
  assert.equal(Math.max(...ys) - Math.min(...ys), 60);
  assert.ok(Math.abs(Math.max(...xs) - Math.min(...xs) - widthOf('HE', 60)) < 1e-9);
  assert.ok(Math.abs(Math.max(...xs) + Math.min(...xs)) < 1e-9 && Math.abs(Math.max(...ys) + Math.min(...ys)) < 1e-9);
  for (const letter of 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789') {
    const strokes = strokesOf(letter, 6);
    assert.ok(strokes.length > 0 && strokes.every((line) => line.length >= 2 && line.flat().every(Number.isFinite)), letter);
  }
  assert.deepEqual(strokesOf('-', 10), []);
});
