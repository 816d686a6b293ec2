/** How the generator's losses are put together. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { mean, scope, tensor } from '@unshake/libtorch';
import { parseConfig } from '../src/config.js';
import { generatorObjective } from '../src/losses/objectives.js';
import type { Perceptual } from '../src/losses/perceptual.js';
import { autocastOptions } from '../src/precision.js';
import { randomAt } from '../src/random.js';

const seed = Math.floor(Math.random() * 2 ** 31);
const configured = (jitter: number) => parseConfig({ crop: 48, losses: { perceptual: { type: 'lpips', jitter } } }, 'test');

test('jitter: the perceptual loss sees one window of both pictures, smaller by as much, another each step and the same when a step runs again', () => {
  const side = 20, jitter = 6, windows: string[] = [];
  const numbers = tensor(Float32Array.from({ length: 3 * side * side }, (_, i) => i), [1, 3, side, side]);
  const distance: Perceptual['distance'] = (seen, wanted) => {
    const values = seen.toArray() as Float32Array, [x, y] = [values[0] % side, Math.floor(values[0] / side)], inside = side - jitter;
    assert.deepEqual(seen.shape, [1, 3, inside, inside]);
    assert.deepEqual(values, Float32Array.from({ length: 3 * inside ** 2 }, (_, i) =>
      Math.floor(i / inside ** 2) * side ** 2 + (y + (Math.floor(i / inside) % inside)) * side + x + (i % inside)));
    assert.deepEqual(wanted.toArray(), values);
    windows.push(`${x} ${y}`);
    return mean(seen);
  };
  const perceptual: Perceptual = { name: 'p', weight: 1, jitter, distance, release: () => undefined };
  const judging = { config: configured(jitter), perceptual, discriminator: null, autocast: autocastOptions('fp32', 'cpu') };
  const at = (step: number): void => scope(() => {
    generatorObjective({ ...judging, randoms: (use) => [randomAt(seed, step, use)] }, { blur: numbers, sharp: numbers, generated: numbers });
  });
  for (let step = 0; step < 30; step++) at(step);
  assert.ok(new Set(windows).size > 12, `${new Set(windows).size} windows of 49 in 30 steps (seed ${seed})`);
  at(7);
  assert.equal(windows[30], windows[7]);
  numbers.release();
});

test('jitter leaves half of the crop or more', () => {
  configured(24);
  assert.throws(() => configured(25), /losses\.perceptual\.jitter: expected half of the crop \(48\) or less, got 25/);
});
