/** Fresh random test data: another seed each run, printed when a check fails; UNSHAKE_TEST_SEED=N repeats a run. */
import { tensor, type Tensor } from '../src/index.js';

export const seed = Number(process.env.UNSHAKE_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));

/** What to print with a failed assertion. */
export const withSeed = (message: string): string => `${message} (repeat with UNSHAKE_TEST_SEED=${seed})`;

export type Draw = () => number;

/** Uniform in [0, 1): mulberry32, started from the run's seed and a label. */
export function draw(label: string): Draw {
  let state = [...label].reduce((hash, letter) => Math.imul(hash ^ letter.charCodeAt(0), 0x01000193), seed ^ 0x811c9dc5);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const count = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

/** Standard normal float32, for everything but gradients. */
export function normal(random: Draw, shape: readonly number[], { mean = 0, std = 1 }: { mean?: number; std?: number } = {}): Tensor {
  return tensor(Float32Array.from({ length: count(shape) }, () => mean + std * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())), shape);
}

/**
 * `length` values between `low` and `high` in random order, a rung of a ladder each, so that no two are close: the kinks of
 * relu, abs, max and clamp (at whole rungs) lie far from all of them, and finite differences may be taken.
 */
export function ladder(random: Draw, length: number, low: number, high: number): Float64Array {
  const values = Float64Array.from({ length }, (_, rung) => low + ((rung + 0.35 + 0.3 * random()) / length) * (high - low));
  for (let i = length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [values[i], values[j]] = [values[j], values[i]];
  }
  return values;
}
