/** The five metrics: reference values, properties, small and awkward sizes, refusals. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { MetricError } from '../src/errors.js';
import { readRgb } from '../src/image/codec-node.js';
import { cropImage, type Image, type RgbImage } from '../src/image/image.js';
import {
  fsim, fsimBoth, measure, metricNames, msSsim, protocols, psnr, shortestSides, ssim, summarise, toPlanes, vif, type MetricImage, type MetricName, type Planes,
} from '../src/metrics/index.js';
import { randomAt } from '../src/random.js';
import { noisyImage } from './small-images.js';

const all: Record<MetricName, (a: MetricImage, b: MetricImage) => number> = {
  psnr, ssim, msssim: msSsim, fsim, fsimc: (a, b) => fsim(a, b, { chromatic: true }), vif,
};

/** Another picture of the same content: darker, with noise. */
function worse<T extends Image>(image: T, seed = 9): T {
  const random = randomAt(seed), data = image.data.map((v) => Math.max(0, Math.min(255, Math.round(0.9 * v + 40 * (random.uniform() - 0.5)))));
  return { ...image, data };
}

const fixtures = fileURLToPath(new URL('../../test/fixtures/metrics/', import.meta.url));
type Values = Record<MetricName | 'vif_reversed', number>;
const { pairs } = JSON.parse(readFileSync(`${fixtures}values.json`, 'utf8')) as {
  pairs: ({ reference: string; distorted: string } & Record<'clean' | 'report' | 'cleanFloat64' | 'reportFloat64', Values>)[];
};

for (const { reference, distorted, ...values } of pairs) {
  for (const protocol of protocols) {
    test(`${distorted}, ${protocol}: piq's values, and closer still those of the same formulas in float64; VIF has either rounding`, async () => {
      const [a, b] = await Promise.all([distorted, reference].map((name) => readRgb(fixtures + name)));
      const scores = measure(a, b, { protocol });
      for (const metric of metricNames) {
        const key = metric === 'vif' && protocol === 'report' ? 'vif_reversed' : metric;
        const exact = values[`${protocol}Float64`][key], piq = values[protocol][key], ours = scores[metric] as number;
        assert.ok(Math.abs(ours - piq) <= (metric === 'psnr' ? 2e-3 : 2e-4), `${metric}: ${ours}, piq ${piq}`);
        if (metric !== 'vif') assert.ok(Math.abs(ours - exact) <= (metric === 'psnr' ? 1e-4 : 5e-6), `${metric}: ${ours}, float64 ${exact}`);
      }
      const normalize = protocol === 'report' ? 'min-max' : 'none';
      for (const [key, x, y] of [['vif', a, b], ['vif_reversed', b, a]] as const) {
        const rounded = vif(x, y, { normalize }), exact = vif(x, y, { normalize, arithmetic: 'float64' });
        assert.ok(Math.abs(rounded - values[protocol][key]) <= 2e-6, `${key}: ${rounded}, piq ${values[protocol][key]}`);
        assert.ok(Math.abs(exact - values[`${protocol}Float64`][key]) <= 5e-6, `${key}: ${exact}, float64 ${values[`${protocol}Float64`][key]}`);
      }
    });
  }
}

const sizes = [[164, 166], [173, 191], [200, 163], [257, 181]] as const;

for (const [width, height] of sizes) {
  test(`${width}×${height}: identity is the maximum, and all but VIF are symmetric`, () => {
    const a = noisyImage(width, height) as RgbImage, b = worse(a);
    for (const metric of metricNames) {
      const best = metric === 'psnr' ? 80 : 1, value = all[metric](b, a);
      assert.ok(Math.abs(all[metric](a, a) - best) < 1e-6, `${metric} of a picture with itself: ${all[metric](a, a)}`);
      assert.ok(value < best && value > 0, `${metric}: ${value}`);
      if (metric === 'vif') assert.ok(Math.abs(all[metric](a, b) - value) > 1e-3);
      else assert.ok(Math.abs(all[metric](a, b) - value) < 1e-6, `${metric} is not symmetric`);
    }
  });
}

test('a known error has a known PSNR', () => {
  const gray = (value: number): Image => ({ width: 8, height: 8, channels: 1, data: new Uint8Array(64).fill(value) });
  assert.ok(Math.abs(psnr(gray(100), gray(110)) + 20 * Math.log10(10 / 255)) < 1e-4);
});

test('8 bits, 16 bits, float planes and float planes of another range say the same; alpha plays no part', () => {
  const a = noisyImage(170, 180, 4), b = worse(a);
  const planes = ({ width, height, data }: Image, scale: number): Planes => ({
    width, height, planes: [0, 1, 2].map((c) => Float64Array.from({ length: width * height }, (_, i) => data[4 * i + c] * scale)),
  });
  const wide = (image: Image): Image => ({ ...image, data: Uint16Array.from(image.data, (v) => v * 257) });
  const expected = measure(a, b);
  for (const [x, y] of [[wide(a), wide(b)], [planes(a, 1 / 255), planes(b, 1 / 255)], [planes(a, 1), planes(b, 1)].map((image) => toPlanes(image, { dataRange: 255 }))]) {
    const scores = measure(x, y);
    for (const metric of metricNames) assert.ok(Math.abs(scores[metric]! - expected[metric]!) < 1e-5, metric);
  }
  const transparent = { ...b, data: b.data.map((v, i) => (i % 4 === 3 ? 0 : v)) };
  assert.deepEqual(measure(a, transparent), expected);
});

test('gray works, alone and beside the same as RGB; its FSIMc is its FSIM', () => {
  const a = noisyImage(165, 170, 1), b = worse(a);
  const rgb = (image: Image): Image => ({ ...image, channels: 3, data: Uint8Array.from({ length: image.data.length * 3 }, (_, i) => image.data[Math.floor(i / 3)]) });
  const scores = measure(a, b);
  assert.equal(scores.fsim, scores.fsimc);
  for (const [x, y] of [[rgb(a), rgb(b)], [a, rgb(b)]]) {
    const same = measure(x, y);
    for (const metric of metricNames) assert.ok(Math.abs(scores[metric]! - same[metric]!) < 1e-5, metric);
  }
});

test('the report protocol: contrast and brightness of the whole picture play no part, VIF is reversed', () => {
  const a = noisyImage(170, 165), b = worse(a);
  const faded = toPlanes(b), changed = { ...faded, planes: faded.planes.map((plane) => plane.map((v) => 0.1 + 0.7 * v)) };
  const scores = measure(changed, a, { protocol: 'report' }), expected = measure(b, a, { protocol: 'report' });
  for (const metric of metricNames) assert.ok(Math.abs(scores[metric]! - expected[metric]!) < 1e-5, metric);
  assert.ok(Math.abs(measure(changed, a).psnr! - measure(b, a).psnr!) > 0.5);
  assert.equal(expected.vif, vif(a, b, { normalize: 'min-max' }));
  assert.throws(() => measure({ ...a, data: a.data.map(() => 7) }, a, { protocol: 'report' }), MetricError);
});

test('luminance, rounding and the other options change what they name', () => {
  const a = noisyImage(170, 165), b = worse(a), planes = toPlanes(a);
  assert.notEqual(psnr(a, b, { channels: 'luminance' }), psnr(a, b));
  assert.notEqual(ssim(a, b, { channels: 'luminance' }), ssim(a, b));
  const shifted = { ...planes, planes: planes.planes.map((plane) => plane.map((v) => v + 0.3 / 255)) };
  assert.ok(psnr(shifted, a) < 60);
  assert.equal(psnr(shifted, a, { round: '8-bit' }), 80);
  assert.notEqual(ssim(a, b, { window: 7 }), ssim(a, b));
  assert.notEqual(vif(a, b, { noiseVariance: 0.4 }), vif(a, b));
  assert.notEqual(vif(a, b, { arithmetic: 'float64' }), vif(a, b));
  assert.equal(msSsim(a, b, { weights: [1] }), ssim(a, b, { downsample: 'none' }));
  assert.throws(() => ssim(a, b, { window: 4 }), /odd number/);
});

test("negative chroma products: the real part of MATLAB's power is at most a little below piq's magnitude", () => {
  const random = randomAt(4), width = 64, height = 64;
  const noise = (): Planes => ({ width, height, planes: [0, 1, 2].map(() => Float32Array.from({ length: width * height }, () => random.uniform())) });
  const [a, b] = [noise(), noise()];
  const magnitude = fsim(a, b, { chromatic: true }), real = fsim(a, b, { chromatic: true, negativeChroma: 'real' });
  assert.ok(real < magnitude && magnitude - real < 0.01);
  assert.deepEqual(fsimBoth(a, b), { fsim: fsim(a, b), fsimc: magnitude });
});

test('SSIM and FSIM pool large pictures by round(min side / 256), halves to even; MS-SSIM does not', () => {
  const pooled = (image: Planes, factor: number): Planes => {
    const width = Math.floor(image.width / factor), height = Math.floor(image.height / factor);
    return { width, height, planes: image.planes.map((plane) => Float32Array.from({ length: width * height }, (_, i) => {
      let sum = 0;
      for (let dy = 0; dy < factor; dy++) for (let dx = 0; dx < factor; dx++) sum += plane[(Math.floor(i / width) * factor + dy) * image.width + (i % width) * factor + dx];
      return sum / factor ** 2;
    })) };
  };
  for (const [width, height, factor] of [[390, 384, 2], [641, 640, 2], [661, 656, 3], [1100, 1030, 4]]) {
    const [a, b] = [noisyImage(width, height), worse(noisyImage(width, height))].map((image) => toPlanes(image));
    const [x, y] = [pooled(a, factor), pooled(b, factor)];
    assert.ok(Math.abs(ssim(a, b) - ssim(x, y, { downsample: 'none' })) < 1e-6, `${width}×${height}`);
    assert.ok(Math.abs(fsim(a, b) - fsim(x, y, { downsample: 'none' })) < 1e-5, `${width}×${height}`);
  }
});

test('each metric has a smallest size, works there, and below it names itself and the size', () => {
  for (const metric of metricNames) {
    const side = shortestSides[metric], a = noisyImage(side, side + 3), b = worse(a);
    assert.ok(Number.isFinite(all[metric](a, b)), metric);
    if (side === 1) continue;
    const small = (image: Image): Image => cropImage(image, 0, 0, side - 1, side);
    assert.throws(() => all[metric](small(a), small(b)), (error) => error instanceof MetricError && error.message.includes(`${metric} `) && error.message.includes(`${side}×${side}`) && error.message.includes(`${side - 1}×${side}`));
  }
});

test('pictures of two sizes, or of too few samples, are refused', () => {
  const a = noisyImage(200, 180), b = noisyImage(180, 200);
  for (const metric of metricNames) assert.throws(() => all[metric](a, b), /200×180 and 180×200/);
  assert.throws(() => psnr({ ...a, data: a.data.subarray(3) }, a), MetricError);
  assert.throws(() => psnr(toPlanes(a), { width: 200, height: 180, planes: [new Float32Array(5)] }), MetricError);
  assert.throws(() => psnr(a, a, { dataRange: 0 }), /dataRange/);
});

test('flat pictures give numbers, not NaN', () => {
  const flat = (value: number): Image => ({ width: 170, height: 170, channels: 3, data: new Uint8Array(170 * 170 * 3).fill(value) });
  for (const metric of metricNames) {
    for (const other of [flat(90), flat(0), noisyImage(170, 170)]) assert.ok(Number.isFinite(all[metric](flat(90), other)), metric);
    assert.ok(Math.abs(all[metric](flat(90), flat(90)) - (metric === 'psnr' ? 80 : 1)) < 1e-6, metric);
  }
});

test('VIF of a flat reference: there was nothing to lose, so 1, whatever 32-bit rounding makes of its variance', () => {
  const width = 100, height = 90, noise = noisyImage(width, height);
  for (const value of [0, 90, 201, 255]) {
    const flat: Image = { width, height, channels: 3, data: new Uint8Array(width * height * 3).fill(value) };
    const accurate = vif(noise, flat, { arithmetic: 'float64' });
    assert.ok(Math.abs(accurate - 1) < 1e-9, `flat ${value}: ${accurate}`);
    assert.ok(vif(flat, noise, { arithmetic: 'float64' }) < 1e-6);
  }
});

test('2000×3000 finishes', () => {
  const a = noisyImage(2000, 3000), scores = measure(a, worse(a));
  for (const metric of metricNames) assert.ok(scores[metric]! > 0 && Number.isFinite(scores[metric]), metric);
});

test('summaries: mean, and the standard deviation of the population', () => {
  const { mean, std } = summarise([{ psnr: 20, vif: 0.5 }, { psnr: 26, vif: 0.5 }]);
  assert.deepEqual({ mean, std }, { mean: { psnr: 23, vif: 0.5 }, std: { psnr: 3, vif: 0 } });
});
