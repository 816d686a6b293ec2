/** Batches of random pictures, for tests of the training step. */
import type { Batch } from '../src/data.js';
import { randomAt } from '../src/random.js';

export function batchOf({ batchSize, crop }: { batchSize: number; crop: number }, seed: number): Batch {
  const random = randomAt(seed);
  const bytes = () => Uint8Array.from({ length: batchSize * crop * crop * 3 }, () => random.integer(256));
  return { blur: bytes(), sharp: bytes(), names: Array.from({ length: batchSize }, (_, i) => `image-${i}`) };
}
