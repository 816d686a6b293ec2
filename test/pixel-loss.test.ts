/** Losses on pixels and frequencies, against their definitions in float64. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { scope, tensor } from '@unshake/libtorch';
import { parseConfig } from '../src/config.js';
import { fourierLoss, pixelLoss } from '../src/losses/pixel.js';
import { makePlayers, releasePlayers, trainStep } from '../src/players.js';
import { randomAt } from '../src/random.js';
import { batchOf } from './small-batch.js';

const seed = Math.floor(Math.random() * 2 ** 31);

/** Mean |re| and |im| over the half of the frequencies that rfft2 keeps, term by term. */
function directly(difference: Float64Array, [planes, height, width]: readonly [number, number, number]): number {
  const kept = Math.floor(width / 2) + 1;
  let sum = 0;
  for (let plane = 0; plane < planes; plane++) {
    for (let v = 0; v < height; v++) {
      for (let u = 0; u < kept; u++) {
        let re = 0, im = 0;
        for (let y = 0; y < height; y++) {
          for (let x = 0; x < width; x++) {
            const value = difference[(plane * height + y) * width + x], angle = -2 * Math.PI * (u * x / width + v * y / height);
            re += value * Math.cos(angle);
            im += value * Math.sin(angle);
          }
        }
        sum += (Math.abs(re) + Math.abs(im)) / Math.sqrt(height * width);
      }
    }
  }
  return sum / (planes * height * kept * 2);
}

test('the Fourier loss is its definition, of sides even and odd', () => {
  for (const [height, width] of [[6, 8], [5, 7], [4, 9]] as const) {
    const random = randomAt(seed, height, width), count = 2 * 3 * height * width;
    const draw = (): Float64Array => Float64Array.from({ length: count }, () => random.normal());
    const a = draw(), b = draw();
    scope(() => {
      const ours = fourierLoss(tensor(a, [2, 3, height, width]), tensor(b, [2, 3, height, width])).item();
      const expected = directly(a.map((v, i) => v - b[i]), [6, height, width]);
      assert.ok(Math.abs(ours - expected) < 1e-12, `${ours} against ${expected}, ${width}×${height}, seed ${seed}`);
    });
  }
});

test("NAFNet's PSNR loss is the mean of the pictures' −PSNR", () => {
  const random = randomAt(seed), count = 3 * 5 * 7;
  const draw = (spread: number): Float64Array => Float64Array.from({ length: count }, () => 0.5 + spread * random.normal());
  const sharp = [draw(0.1), draw(0.1)], generated = [draw(0.1), draw(0.01)];
  const psnrs = sharp.map((picture, i) => -10 * Math.log10(picture.reduce((sum, value, k) => sum + (value - generated[i][k]) ** 2, 0) / count + 1e-8));
  const joined = (pictures: Float64Array[]) => tensor(Float64Array.from(pictures.flatMap((picture) => [...picture])), [2, 3, 5, 7]);
  scope(() => {
    const loss = pixelLoss('psnr', joined(generated), joined(sharp)).item();
    assert.ok(Math.abs(loss + (psnrs[0] + psnrs[1]) / 2) < 1e-9, `${loss} where −(${psnrs.join(' + ')}) / 2 is expected, seed ${seed}`);
  });
});

test('a weight puts it into the total and the log; without one it is not computed', () => {
  const losses = (fourier: object) => {
    const config = parseConfig({ batchSize: 2, crop: 16, precision: 'fp32', generator: { type: 'residual-unet', width: 4, blocks: [1, 1, 1] }, losses: { pixel: { weight: 1 }, ...fourier } }, 'test');
    const players = makePlayers(config, 'cpu');
    try {
      return trainStep(players, batchOf(config, seed), 0, 0);
    } finally {
      releasePlayers(players);
    }
  };
  const { l1, fourier, generator } = losses({ fourier: { weight: 3 } });
  assert.ok(fourier > 0);
  assert.ok(Math.abs(generator - (l1 + 3 * fourier)) < 1e-5, `${generator}: ${l1} + 3 · ${fourier}`);
  assert.ok(!('fourier' in losses({})));
});
