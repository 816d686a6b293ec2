/** The thread that makes pairs for synth.ts: one job in, two files out. */
import { join } from 'node:path';
import { parentPort } from 'node:worker_threads';
import { ImageError, messageOf } from '../errors.js';
import { readRgb, writeImage } from '../image/codec-node.js';
import { randomAt } from '../random.js';
import { blurPhoto, type BlurRecipe } from './index.js';
import { generateScene } from './scenes.js';

/** A pair to make. Its scene and its blur are drawn at (seed, index), so threads don't matter. */
export interface Job {
  name: string; index: number; seed: number; recipe: BlurRecipe; out: string;
  from: { photo: string } | { width: number; height: number };
}

export type Answer = 'written' | { message: string; image: boolean };

async function makePair({ name, index, seed, recipe, out, from }: Job): Promise<void> {
  const picture = 'photo' in from ? await readRgb(from.photo) : generateScene(randomAt(seed, index, 0), from.width, from.height);
  const pair = blurPhoto(picture, randomAt(seed, index, 1), recipe);
  await writeImage(join(out, 'sharp', `${name}.png`), pair.sharp);
  await writeImage(join(out, 'blur', `${name}.png`), pair.blur);
}

parentPort?.on('message', (job: Job) => {
  makePair(job).then(
    () => parentPort?.postMessage('written' satisfies Answer),
    (error: unknown) => parentPort?.postMessage({ message: messageOf(error), image: error instanceof ImageError } satisfies Answer),
  );
});
