/** What the sensor adds to light that was averaged: noise, and lamps brighter than it can say. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { convolve } from '../src/blur/kernel.js';
import { fromLinear, type LinearImage } from '../src/blur/linear.js';
import { addSensorNoise, boostHighlights } from '../src/blur/sensor.js';
import { kernelOfPath } from '../src/blur/trajectory.js';
import { randomAt } from '../src/random.js';

test('sensor noise has the variance asked for, no mean, and normal tails', () => {
  for (const [light, shot, read] of [[0.2, 4e-4, 0], [0.01, 1e-4, 4e-4], [0, 4e-4, 3e-4]]) {
    const n = 200_001;
    const image = { width: n, height: 1, data: new Float32Array(3 * n).fill(light) };
    addSensorNoise(image, randomAt(16), { shot, read });
    const sigma = Math.sqrt(shot * light + read * read);
    let mean = 0, variance = 0, fourth = 0;
    for (const v of image.data) {
      const z = (v - light) / sigma;
      mean += z / image.data.length;
      variance += z * z / image.data.length;
      fourth += z ** 4 / image.data.length;
    }
    assert.ok(Math.abs(mean) < 0.01 && Math.abs(variance - 1) < 0.01 && Math.abs(fourth - 3) < 0.1, `${mean} ${variance} ${fourth}`);
  }
});

test('highlights smear brighter than their clipped value would, darks stay', () => {
  const lamp: LinearImage = { width: 41, height: 3, data: new Float32Array(41 * 3 * 3).fill(0.1) };
  lamp.data.fill(1, 3 * (41 + 20), 3 * (41 + 21));
  const line = kernelOfPath({ x: Float64Array.from({ length: 11 }, (_, i) => i), y: new Float64Array(11) });
  const plain = fromLinear(convolve(lamp, line));
  boostHighlights(lamp, 6);
  assert.ok(Math.abs(lamp.data[3 * (41 + 20)] - 6) < 1e-6);
  assert.ok(Math.abs(lamp.data[0] - 0.1) < 1e-6);
  const boosted = fromLinear(convolve(lamp, line));
  assert.ok(boosted.data[3 * (41 + 18)] > plain.data[3 * (41 + 18)] + 50);
});
