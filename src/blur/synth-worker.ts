/** The thread that makes pairs for synth.ts: one job in, two files out. */
import { join } from 'node:path';
import { parentPort } from 'node:worker_threads';
import { isWritten } from '../data/output.js';
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

export type Answer = 'written' | 'kept' | { message: string; image: boolean };

async function makePair({ name, index, seed, recipe, out, from }: Job): Promise<'written' | 'kept'> {
  const [blurFile, sharpFile] = ['blur', 'sharp'].map((half) => join(out, half, `${name}.png`));
  const source = 'photo' in from ? await readRgb(from.photo) : from, { width, height } = source;
  if (await isWritten(blurFile, width, height) && await isWritten(sharpFile, width, height)) return 'kept';
  const picture = 'data' in source ? source : generateScene(randomAt(seed, index, 0), width, height);
  const pair = blurPhoto(picture, randomAt(seed, index, 1), recipe);
  await writeImage(sharpFile, pair.sharp);
  await writeImage(blurFile, pair.blur);
  return 'written';
}

parentPort?.on('message', (job: Job) => {
  makePair(job).then(
    (outcome) => parentPort?.postMessage(outcome satisfies Answer),
    (error: unknown) => parentPort?.postMessage({ message: messageOf(error), image: error instanceof ImageError } satisfies Answer),
  );
});
