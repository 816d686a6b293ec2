/** Frames of a high-frame-rate video → pairs, as the GoPro dataset was made: the mean of consecutive frames is the blur, the middle frame is the sharp one. */
import { basename, join, resolve } from 'node:path';
import { DataError, UsageError, throwIfAborted } from './errors.js';
import type { RgbImage } from './image/image.js';
import type { LongWork } from './progress.js';
import { hashText, randomAt } from './random.js';
import { listFolder, stemOf } from './data/folders.js';
import { isWritten, openOutput, writePng } from './data/output.js';
import { readPicture } from './data/pair.js';

export interface AverageOptions extends LongWork {
  /** Frames averaged: a number, or the least and the most of which each window's is drawn. Default [7, 13], as GoPro. */
  window?: number | readonly [number, number];
  /** The camera's curve: values are taken to light by this power before they are averaged; 1 averages the values as they are. Default 2.2. */
  gamma?: number;
  /** Seed of the windows' lengths. Default 0. */
  seed?: number;
}

export interface Averaged { frames: string; out: string; pairs: number; written: number; kept: number; window: readonly [number, number]; gamma: number; seed: number; sequences: Record<string, number>; leftOver: number }

/** Two powers in double precision may land this little below a whole number that they should reach. */
const rounding = 1e-9;

/**
 * The blur of equally large 8-bit frames: floor(255·(mean((v/255)^gamma))^(1/gamma)). This is the recipe of GOPRO_Large's `blur_gamma`
 * (Nah et al., CVPR 2017), matched to the bit on one of its pairs; with gamma 1 it is floor(mean), as its `blur`. The floor is that of
 * the exact value: equal frames give themselves.
 */
export function averageImages(frames: readonly RgbImage[], gamma = 2.2): RgbImage {
  const { width, height } = frames[0];
  const sum = new Float64Array(width * height * 3);
  const light = Float64Array.from({ length: 256 }, (_, value) => (gamma === 1 ? value : (value / 255) ** gamma));
  for (const frame of frames) {
    if (frame.width !== width || frame.height !== height) throw new RangeError(`frames of ${width}×${height} and ${frame.width}×${frame.height} can't be averaged`);
    for (let i = 0; i < sum.length; i++) sum[i] += light[frame.data[i]];
  }
  const data = new Uint8Array(sum.length), n = frames.length;
  for (let i = 0; i < sum.length; i++) data[i] = gamma === 1 ? Math.floor(sum[i] / n) : Math.floor(255 * (sum[i] / n) ** (1 / gamma) + rounding);
  return { width, height, channels: 3, data };
}

/**
 * Averages consecutive windows, none overlapping, of the frames in name order. A folder of frames gives OUT/blur and OUT/sharp; a
 * folder of such folders gives the GOPRO_Large shape, OUT/SEQUENCE/{blur,sharp}. Pairs are named by their middle frame, number
 * floor(n/2) of the window counted from 0. A run that was killed goes on where it stopped, unless a frame has changed. Throws DataError when there are fewer frames than one window, or they differ in size.
 */
export async function averageFrames(framesFolder: string, out: string, options: AverageOptions = {}): Promise<Averaged> {
  const { window = [7, 13] as const, gamma = 2.2, seed = 0, onProgress, signal } = options;
  const [least, most] = typeof window === 'number' ? [window, window] : window;
  if (!Number.isSafeInteger(least) || !Number.isSafeInteger(most) || least < 1 || most < least) throw new UsageError(`window: expected a whole number of frames, or least..most, got ${least}..${most}`);
  if (!(gamma > 0 && Number.isFinite(gamma))) throw new UsageError(`gamma: expected a number above 0, got ${gamma}`);
  const root = await listFolder(framesFolder).catch(() => { throw new DataError(`${framesFolder}: expected a folder of frames, found none`); });
  const sequences: { name: string; files: string[] }[] = [];
  if (root.images.length > 0) sequences.push({ name: '', files: root.images.map((name) => join(framesFolder, name)) });
  else {
    for (const name of root.folders) {
      const { images } = await listFolder(join(framesFolder, name));
      if (images.length > 0) sequences.push({ name, files: images.map((image) => join(framesFolder, name, image)) });
    }
  }
  if (sequences.length === 0) throw new DataError(`${framesFolder}: empty: expected frames, or folders of frames`);

  const jobs: { sequence: string; files: string[]; name: string; outputs: string[] }[] = [];
  for (const { name: sequence, files } of sequences) {
    const first = jobs.length;
    for (let from = 0; files.length - from >= least;) {
      // The last window takes what is left.
      const length = Math.min(least + randomAt(seed, hashText(sequence), jobs.length - first).integer(most - least + 1), files.length - from);
      const middle = files[from + Math.floor(length / 2)], name = stemOf(basename(middle));
      if (jobs.slice(first).some((job) => job.name === name)) throw new DataError(`${middle}: has the same stem as another frame; expected one picture for each`);
      jobs.push({ sequence, files: files.slice(from, from + length), name, outputs: ['blur', 'sharp'].map((part) => join(sequence, part, `${name}.png`)) });
      from += length;
    }
    if (jobs.length === first) throw new DataError(`${join(framesFolder, sequence)}: expected at least ${least} frames, found ${files.length}; take a smaller window`);
  }
  await openOutput(out, { command: 'data average', settings: { frames: resolve(framesFolder), window: `${least}..${most}`, gamma, seed } },
    jobs.flatMap(({ outputs }) => outputs), jobs.flatMap(({ files }) => files));

  const counts: Record<string, number> = {};
  let written = 0;
  for (const [done, { sequence, files, name, outputs }] of jobs.entries()) {
    throwIfAborted(signal);
    counts[sequence] = (counts[sequence] ?? 0) + 1;
    const middle = Math.floor(files.length / 2), [blurFile, sharpFile] = outputs.map((file) => join(out, file));
    const sharp = await readPicture({ file: files[middle] }), { width, height } = sharp;
    if (!(await isWritten(blurFile, width, height) && await isWritten(sharpFile, width, height))) {
      const frames = await Promise.all(files.map((file) => readPicture({ file })));
      const odd = frames.findIndex((frame) => frame.width !== width || frame.height !== height);
      if (odd >= 0) throw new DataError(`${files[odd]}: ${frames[odd].width}×${frames[odd].height}, but the frames around it are ${width}×${height}; expected equal sizes`);
      await writePng(blurFile, averageImages(frames, gamma));
      await writePng(sharpFile, sharp);
      written++;
    }
    onProgress?.({ done: done + 1, total: jobs.length, label: name });
  }
  const used = jobs.reduce((sum, { files }) => sum + files.length, 0), all = sequences.reduce((sum, { files }) => sum + files.length, 0);
  return {
    frames: framesFolder, out, pairs: jobs.length, written, kept: jobs.length - written, window: [least, most], gamma, seed,
    sequences: sequences[0].name === '' ? {} : counts, leftOver: all - used,
  };
}
