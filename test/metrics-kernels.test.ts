/** What the metrics are made of: both sets of inner loops, and the Fourier transform. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { fft2, fft2Start, fftScratch } from '../src/metrics/fft.js';
import { fusedMeans, gaussian, slidingMeans } from '../src/metrics/filter.js';
import { measure, metricNames, useKernels } from '../src/metrics/index.js';
import type { KernelKind } from '../src/inner-loops.js';
import { workspace } from '../src/metrics/kernels.js';
import { sourceSha256 } from '../src/metrics/kernels-wasm.js';
import { gaussianWindow } from '../src/metrics/vif-window.js';
import { randomAt } from '../src/random.js';
import { noisyImage } from './small-images.js';

after(() => useKernels());
const kinds: KernelKind[] = ['simd', 'plain'];

test('WebAssembly SIMD is used here', () => assert.equal(useKernels(), 'simd'));

test('the embedded WebAssembly was compiled from assembly/metrics.ts as it is', () => {
  const source = readFileSync(new URL('../../assembly/metrics.ts', import.meta.url));
  assert.equal(createHash('sha256').update(source).digest('hex'), sourceSha256, 'run node assembly/build.mjs');
});

/** The definition, one axis after the other, in float64. */
function slowTransform(re: Float64Array, im: Float64Array, rows: number, columns: number): [Float64Array, Float64Array] {
  const axis = (re: Float64Array, im: Float64Array, lines: number, length: number, lineStep: number, step: number): [Float64Array, Float64Array] => {
    const outRe = new Float64Array(re.length), outIm = new Float64Array(im.length);
    for (let line = 0; line < lines; line++) for (let k = 0; k < length; k++) for (let n = 0; n < length; n++) {
      const angle = -2 * Math.PI * ((k * n) % length) / length, c = Math.cos(angle), s = Math.sin(angle);
      const from = line * lineStep + n * step, to = line * lineStep + k * step;
      outRe[to] += re[from] * c - im[from] * s;
      outIm[to] += re[from] * s + im[from] * c;
    }
    return [outRe, outIm];
  };
  return axis(...axis(re, im, columns, rows, 1, columns), rows, columns, columns, 1);
}

for (const kind of kinds) {
  for (const [rows, columns] of [[16, 32], [24, 18], [4, 4], [5, 7], [41, 12], [60, 71], [97, 101], [8, 211]]) {
    test(`${kind}: the transform of ${rows}×${columns} is the definition's, transposed, and comes back`, () => {
      useKernels(kind);
      const random = randomAt(rows, columns), count = rows * columns, size = Math.ceil(count / 4) * 4;
      const re = Float64Array.from({ length: count }, () => random.uniform()), im = Float64Array.from({ length: count }, () => random.normal());
      const [expectedRe, expectedIm] = slowTransform(re, im, rows, columns);
      const { memory, at, kernels } = workspace({ a: 2 * size, b: 2 * size, scratch: fftScratch(rows, columns) });
      const place = { memory, kernels, scratch: at.scratch }, arrays = [at.a, at.b] as const;
      memory.set(re, arrays[fft2Start(rows, columns)]);
      memory.set(im, arrays[fft2Start(rows, columns)] + size);
      fft2(place, rows, columns, size, arrays);
      const largest = Math.max(...expectedRe.map(Math.abs), ...expectedIm.map(Math.abs));
      const near = (actual: number, expected: number, scale: number): void => assert.ok(Math.abs(actual - expected) < 3e-6 * scale, `${actual} for ${expected}`);
      for (let i = 0; i < count; i++) {
        const there = at.a + (i % columns) * rows + Math.floor(i / columns);
        near(memory[there], expectedRe[i], largest);
        near(memory[there + size], expectedIm[i], largest);
      }
      const forward = memory.slice(at.a, at.a + 2 * size), start = arrays[fft2Start(columns, rows)];
      memory.set(forward.subarray(size), start);
      memory.set(forward.subarray(0, size), start + size);
      fft2(place, columns, rows, size, arrays);
      for (let i = 0; i < count; i++) {
        near(memory[at.a + size + i] / count, re[i], 4);
        near(memory[at.a + i] / count, im[i], 4);
      }
    });
  }

  for (const [width, height, length, rowStep] of [[3, 3, 3, 1], [11, 12, 11, 1], [40, 23, 11, 1], [61, 37, 17, 2], [35, 30, 9, 2], [50, 20, 5, 1]]) {
    test(`${kind}: Gaussian of ${length} over ${width}×${height} is the two-dimensional sum`, () => {
      useKernels(kind);
      const random = randomAt(width, height, length), kernel = gaussian(length, length / 5);
      const maps = [0, 1].map(() => Float64Array.from({ length: width * height }, () => random.uniform() - 0.5));
      const tops: number[] = [];
      slidingMeans({ width, height, kernel, maps: 2, rowStep }, ({ memory, at }, y) => {
        maps.forEach((map, i) => memory.set(map.subarray(y * width, (y + 1) * width), at[i]));
      }, ({ memory, at }, y) => {
        tops.push(y);
        maps.forEach((map, i) => {
          for (let x = 0; x <= width - length; x++) {
            let sum = 0;
            for (let v = 0; v < length; v++) for (let u = 0; u < length; u++) sum += kernel[v] * kernel[u] * map[(y + v) * width + x + u];
            assert.ok(Math.abs(memory[at[i] + x] - sum) < 1e-6);
          }
        });
      });
      assert.deepEqual(tops, Array.from({ length: Math.ceil((height - length + 1) / rowStep) }, (_, i) => i * rowStep));
    });
  }

  for (const [width, height, window, rowStep] of [[3, 3, 3, 1], [40, 23, 17, 1], [61, 37, 9, 2], [29, 31, 5, 1]]) {
    test(`${kind}: a window of ${window} over ${width}×${height}, one fused multiply-add after another, to the last bit`, () => {
      useKernels(kind);
      const random = randomAt(width, height, window), weights = Float32Array.from({ length: window ** 2 }, () => random.uniform() ** 3);
      // Nearly flat; of every size; mostly black: sums that grow slowly, fast, and not at all.
      const maps = [(): number => 200 + random.uniform(), () => 10 ** random.between(-4, 5), () => Math.max(0, 255 * (random.uniform() - 0.9))]
        .map((value) => Float32Array.from({ length: width * height }, value));
      const tops: number[] = [];
      fusedMeans({ width, height, window, weights, maps: 3, rowStep }, ({ memory, at }, y) => {
        maps.forEach((map, i) => memory.set(map.subarray(y * width, (y + 1) * width), at[i]));
      }, ({ memory, at }, y) => {
        tops.push(y);
        maps.forEach((map, i) => {
          for (let x = 0; x <= width - window; x++) {
            let sum = 0;
            for (let v = 0; v < window; v++) for (let u = 0; u < window; u++) sum = Math.fround(sum + weights[v * window + u] * map[(y + v) * width + x + u]);
            assert.equal(memory[at[i] + x], sum);
          }
        });
      });
      assert.deepEqual(tops, Array.from({ length: Math.ceil((height - window + 1) / rowStep) }, (_, i) => i * rowStep));
    });
  }
}

test("VIF's windows are PyTorch's: weights that add up to not quite 1", () => {
  const excess = (length: number): number => gaussianWindow(length).reduce((sum, weight) => sum + weight, 0) - 1;
  // torch.exp(-(x² + y²) / (2 (N/5)²)) over its sum in float32, PyTorch 1.13; the weights' sum in float64.
  for (const [length, expected] of [[17, 1.0999792721122503e-7], [9, -5.5530108511447906e-8], [5, -3.166496753692627e-8], [3, -1.1175870895385742e-7]]) {
    assert.ok(Math.abs(excess(length) - expected) < 1e-15, `${length}: ${excess(length)}`);
  }
});

for (const [width, height] of [[163, 167], [300, 210]]) {
  test(`both sets of inner loops give one picture's scores (${width}×${height})`, () => {
    const [a, b] = [noisyImage(width, height), noisyImage(width, height, 3, 8, 2)];
    const [simd, plain] = kinds.map((kind) => { useKernels(kind); return measure(a, b); });
    for (const metric of metricNames) assert.ok(Math.abs(simd[metric]! - plain[metric]!) < 2e-6, `${metric}: ${simd[metric]} and ${plain[metric]}`);
    assert.equal(simd.vif, plain.vif);
  });
}

test('a large picture before a small one leaves nothing behind', () => {
  for (const kind of kinds) {
    useKernels(kind);
    const [a, b] = [noisyImage(170, 164), noisyImage(170, 164, 3, 8, 2)];
    const first = measure(a, b);
    measure(noisyImage(230, 310), noisyImage(230, 310, 3, 8, 3));
    assert.deepEqual(measure(a, b), first);
  }
});
