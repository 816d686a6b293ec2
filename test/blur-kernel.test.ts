import { test } from 'node:test';
import assert from 'node:assert/strict';
import { convolve, padLinear, type Kernel } from '../src/blur/kernel.js';
import { borderIndex, fromLinear, toLinear, type Border, type LinearImage } from '../src/blur/linear.js';
import { kernelOfPath, pathLength, randomTrajectory, shortenPath } from '../src/blur/trajectory.js';
import type { RgbImage } from '../src/image/image.js';
import { randomAt, type Random } from '../src/random.js';

const sum = (values: Iterable<number>): number => { let total = 0; for (const v of values) total += v; return total; };

function randomLinear(random: Random, width: number, height: number): LinearImage {
  return { width, height, data: Float32Array.from({ length: width * height * 3 }, () => random.uniform()) };
}

function centroid({ size, data }: Kernel): [number, number] {
  const middle = (size - 1) / 2;
  let x = 0, y = 0;
  data.forEach((light, i) => { x += light * (i % size - middle); y += light * (Math.floor(i / size) - middle); });
  return [x, y];
}

test('a trajectory follows the recurrence of Boracchi and Foi, in complex numbers', () => {
  for (let seed = 0; seed < 5; seed++) {
    const samples = 500, maxLength = 60, anxiety = 0.01;
    const { x, y } = randomTrajectory(randomAt(seed), { samples, maxLength, anxiety });
    const random = randomAt(seed);
    type Complex = readonly [number, number];
    const times = ([a, b]: Complex, [c, d]: Complex): Complex => [a * c - b * d, a * d + b * c];
    const turn = (angle: number): Complex => [Math.cos(angle), Math.sin(angle)];
    const centripetal = 0.7 * random.uniform(), probability = 0.2 * random.uniform(), gaussian = 10 * random.uniform();
    const l = maxLength / (samples - 1);
    let v = times([l, 0], turn(2 * Math.PI * random.uniform())), p: Complex = [0, 0];
    for (let t = 0; t < samples; t++) {
      assert.ok(Math.hypot(x[t] - p[0], y[t] - p[1]) < 1e-9, `seed ${seed}, moment ${t}`);
      const jerk: Complex = [random.normal(), random.normal()];
      const big = random.uniform() < probability * anxiety;
      const s = big ? times([2 * v[0], 2 * v[1]], turn(Math.PI + random.uniform() - 0.5)) : [0, 0] as const;
      const next = [0, 1].map((k) => v[k] + s[k] + anxiety * (gaussian * jerk[k] - centripetal * p[k]) * l);
      const norm = l / Math.hypot(next[0], next[1]);
      v = [next[0] * norm, next[1] * norm];
      p = [p[0] + v[0], p[1] + v[1]];
    }
  }
});

test('a trajectory is as long as asked, straight without anxiety, and another for another seed', () => {
  const calm = randomTrajectory(randomAt(1), { anxiety: 0, maxLength: 30 });
  assert.ok(Math.abs(pathLength(calm) - 30) < 1e-9);
  assert.ok(Math.abs(Math.hypot(calm.x.at(-1) ?? 0, calm.y.at(-1) ?? 0) - 30) < 1e-9);
  const shake = randomTrajectory(randomAt(2));
  assert.ok(Math.abs(pathLength(shake) - 60) < 1e-9);
  assert.ok(Math.abs(pathLength(shortenPath(shake, 0.5)) - 30) < 0.05);
  assert.deepEqual(randomTrajectory(randomAt(2)), shake);
  assert.notDeepEqual(randomTrajectory(randomAt(3)), shake);
});

test('kernels are non-negative, sum to 1, and have their centroid in the middle', () => {
  for (let seed = 0; seed < 40; seed++) {
    const path = shortenPath(randomTrajectory(randomAt(10, seed)), [0.01, 0.1, 0.5, 1][seed % 4]);
    const kernel = kernelOfPath(path);
    assert.equal(kernel.size % 2, 1);
    assert.ok(Math.abs(sum(kernel.data) - 1) < 1e-12);
    assert.ok(kernel.data.every((light) => light >= 0));
    const [x, y] = centroid(kernel);
    assert.ok(Math.abs(x) < 1e-9 && Math.abs(y) < 1e-9, `centroid ${x}, ${y}`);
  }
});

test('a path on given places keeps them: (1, 0) is the pixel to the right of the middle', () => {
  const kernel = kernelOfPath({ x: Float64Array.of(0, 1, 0.25), y: Float64Array.of(0, 0, -1) }, { centre: 'given' });
  assert.equal(kernel.size, 3);
  assert.deepEqual([...kernel.data].map((v) => +(3 * v).toFixed(9)), [0, 0.75, 0.25, 0, 1, 1, 0, 0, 0]);
});

test('an impulse becomes the kernel', () => {
  const kernel = kernelOfPath(randomTrajectory(randomAt(4)));
  const { size } = kernel, side = 2 * size + 1, radius = (size - 1) / 2;
  const image = { width: side, height: side, data: new Float32Array(side * side * 3) };
  image.data[3 * (size * side + size) + 1] = 1;
  const out = convolve(image, kernel);
  for (let i = 0; i < kernel.data.length; i++) {
    const at = 3 * ((size - radius + Math.floor(i / size)) * side + size - radius + i % size);
    assert.ok(Math.abs(out.data[at + 1] - kernel.data[i]) < 1e-7);
    assert.equal(out.data[at], 0);
  }
  assert.ok(Math.abs(sum(out.data) - 1) < 1e-6, 'light is kept');
});

test('convolution equals the plain double sum in float64, both borders, pictures smaller than the kernel too', () => {
  const random = randomAt(5);
  for (const [width, height, size] of [[31, 23, 7], [5, 40, 13], [1, 1, 5], [2, 3, 9], [40, 17, 1]]) {
    const image = randomLinear(random, width, height);
    const kernel: Kernel = { size, data: Float64Array.from({ length: size * size }, () => Math.max(0, random.uniform() - 0.4)) };
    const radius = (size - 1) / 2;
    for (const border of ['reflect', 'replicate'] as const) {
      const out = convolve(image, kernel, { border });
      for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) for (let c = 0; c < 3; c++) {
        let expected = 0;
        for (let v = -radius; v <= radius; v++) for (let u = -radius; u <= radius; u++) {
          expected += kernel.data[(v + radius) * size + u + radius] * image.data[3 * (plainIndex(y - v, height, border) * width + plainIndex(x - u, width, border)) + c];
        }
        assert.ok(Math.abs(out.data[3 * (y * width + x) + c] - expected) < 1e-5, `${width}×${height}, kernel ${size}, ${border}`);
      }
    }
  }
});

/** By walking, where the code computes. */
function plainIndex(i: number, n: number, border: Border): number {
  if (border === 'replicate' || n === 1) return Math.min(n - 1, Math.max(0, i));
  let at = 0, step = 1;
  for (let k = 0; k < Math.abs(i); k++) {
    if (at + step < 0 || at + step >= n) step = -step;
    at += step;
  }
  return i >= 0 ? at : plainIndex(-i, n, border);
}

test('both ways of padding agree', () => {
  const random = randomAt(6);
  const image: RgbImage = { width: 9, height: 6, channels: 3, data: Uint8Array.from({ length: 9 * 6 * 3 }, () => random.integer(256)) };
  for (const border of ['reflect', 'replicate'] as const) {
    assert.deepEqual(padLinear(toLinear(image), 11, border), toLinear(image, { padding: 11, border }));
    assert.equal(borderIndex(-1, 6, border), border === 'reflect' ? 1 : 0);
  }
});

test('every 8-bit value survives linear light, and encoding rounds to the nearest level', () => {
  const image: RgbImage = { width: 256, height: 1, channels: 3, data: Uint8Array.from({ length: 768 }, (_, i) => Math.floor(i / 3)) };
  for (const gamma of [1, 1.4, 1.8, 2.2]) {
    assert.deepEqual(fromLinear(toLinear(image, { gamma }), { gamma }).data, image.data, `gamma ${gamma}`);
    const random = randomAt(7);
    const light = randomLinear(random, 500, 1);
    fromLinear(light, { gamma }).data.forEach((level, i) => assert.ok(Math.abs(level - 255 * light.data[i] ** (1 / gamma)) < 0.52));
  }
  const beyond = { width: 1, height: 1, data: Float32Array.of(-0.1, 3, 1) };
  assert.deepEqual([...fromLinear(beyond).data], [0, 255, 255]);
});

test('blur averages light: half black and half white make 186, not 128', () => {
  const stripes: RgbImage = { width: 16, height: 4, channels: 3, data: Uint8Array.from({ length: 192 }, (_, i) => 255 * (Math.floor(i / 3) % 2)) };
  const out = fromLinear(convolve(toLinear(stripes), { size: 3, data: Float64Array.of(0, 0, 0, 0.25, 0.5, 0.25, 0, 0, 0) }));
  assert.ok(out.data.every((level) => level === 186));
});

test('PSNR falls as the trajectory grows', () => {
  const means = [0.02, 0.1, 0.3, 1].map((fraction) => {
    let total = 0;
    for (let seed = 0; seed < 8; seed++) {
      const image = smooth(randomLinear(randomAt(9, seed), 48, 48));
      const out = convolve(image, kernelOfPath(shortenPath(randomTrajectory(randomAt(9, seed, 1)), fraction)));
      total += -10 * Math.log10(sum(out.data.map((v, i) => (v - image.data[i]) ** 2)) / out.data.length);
    }
    return total / 8;
  });
  for (let i = 1; i < means.length; i++) assert.ok(means[i] < means[i - 1] - 0.5, means.join(' '));
});

/** White noise has no neighbourhoods that a short blur could leave alone. */
function smooth(image: LinearImage): LinearImage {
  return convolve(image, { size: 7, data: new Float64Array(49).fill(1 / 49) });
}
