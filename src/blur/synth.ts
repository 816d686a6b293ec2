/** Datasets of blurred pairs, made from sharp photos or from generated scenes, on every core. */
import { readdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, extname, join, resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import { finishOutput, openOutput, type Recipe } from '../data/output.js';
import { DataError, ImageError, UsageError, messageOf, throwIfAborted } from '../errors.js';
import { isImageName } from '../image/codec-node.js';
import type { LongWork } from '../progress.js';
import { blurRecipes, type BlurRecipe } from './index.js';
import type { Answer, Job } from './synth-worker.js';

export interface SynthOptions extends LongWork {
  /** Whole number ≥ 0. Pair i depends on it, on i and on its picture alone. */
  seed?: number;
  recipe?: BlurRecipe;
  /** Threads; results don't depend on it. */
  workers?: number;
}

export interface SynthPairsOptions extends SynthOptions {
  /** Left out: one pair a photo. Fewer: photos spread evenly over the sorted names. More: each photo again with another blur. */
  count?: number;
}

export interface SynthScenesOptions extends SynthOptions {
  count?: number;
  width?: number;
  height?: number;
}

/** What was made: `pairs` in all, of which `kept` were there from an interrupted run. */
export interface SynthResult { out: string; pairs: number; kept: number }

/**
 * Blurs the photos that lie directly in `sharpDir` into `out/blur/NAME.png` and `out/sharp/NAME.png` (8-bit RGB, the
 * photo's size). An interrupted run goes on where it was; a finished one is made anew, with whatever options. Throws
 * DataError when a folder is missing, empty, or holds files of another origin, ImageError when a photo can't be read.
 */
export async function synthPairs(sharpDir: string, out: string, options: SynthPairsOptions = {}): Promise<SynthResult> {
  const { seed = 0, recipe = 'shake' } = options;
  checkCount('count', options.count);
  const photos = await photosIn(sharpDir);
  const count = options.count ?? photos.length;
  const settings = { from: 'photos', sharpDir: resolve(sharpDir), photos, count, seed, recipe };
  const jobs = Array.from({ length: count }, (_, i): Job => {
    const photo = photos[count < photos.length ? Math.floor(i * photos.length / count) : i % photos.length];
    const round = Math.floor(i / photos.length);
    const stem = basename(photo, extname(photo));
    return { name: round === 0 ? stem : `${stem}_${round + 1}`, index: i, seed, recipe, out, from: { photo: join(sharpDir, photo) } };
  });
  return synth(out, settings, jobs, options);
}

/** More than any camera has; a mistyped size would take hours. */
const longestSide = 16384;

/** Generates scenes (scenes.ts), blurs them and writes the pairs as synthPairs does, named 00000, 00001, … */
export async function synthScenes(out: string, options: SynthScenesOptions = {}): Promise<SynthResult> {
  const { seed = 0, recipe = 'shake', count = 100, width = 512, height = 384 } = options;
  checkCount('count', count);
  for (const [name, side] of [['width', width], ['height', height]] as const) {
    checkCount(name, side);
    if (side > longestSide) throw new UsageError(`${name}: expected at most ${longestSide} pixels, got ${side}`);
  }
  const settings = { from: 'scenes', count, seed, recipe, width, height };
  const jobs = Array.from({ length: count }, (_, i): Job => (
    { name: String(i).padStart(5, '0'), index: i, seed, recipe, out, from: { width, height } }));
  return synth(out, settings, jobs, options);
}

function checkCount(name: string, value: number | undefined): void {
  if (value !== undefined && !(Number.isSafeInteger(value) && value >= 1)) throw new UsageError(`${name} must be a whole number ≥ 1, got ${value}`);
}

async function photosIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    throw new DataError(`${folder}: expected a folder of sharp photos (${messageOf(error)})`, { cause: error });
  });
  const names = entries.filter((entry) => !entry.isDirectory() && !entry.name.startsWith('.') && isImageName(entry.name)).map(({ name }) => name).sort();
  if (names.length === 0) {
    const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
    throw new DataError(`${folder}: no photo in it (PNG, JPEG, WebP, TIFF, AVIF or GIF)${folders.length > 0 ? `; sub-folders are not searched, give one of them: ${folders.slice(0, 5).join(', ')}` : ''}`);
  }
  return names;
}

async function synth(out: string, settings: Recipe['settings'], jobs: readonly Job[], options: SynthOptions): Promise<SynthResult> {
  const { seed = 0, recipe = 'shake', workers = availableParallelism() } = options;
  if (!(Number.isSafeInteger(seed) && seed >= 0)) throw new UsageError(`seed must be a whole number ≥ 0, got ${seed}`);
  if (!blurRecipes.includes(recipe)) throw new UsageError(`recipe must be one of ${blurRecipes.join(', ')}, got ${String(recipe)}`);
  checkCount('workers', workers);
  throwIfAborted(options.signal);
  const taken = new Map<string, Job>();
  for (const job of jobs) {
    const other = taken.get(job.name);
    if (other !== undefined) throw new DataError(`${originOf(job)}: would be written as ${job.name}.png, and so would ${originOf(other)}; rename one of them`);
    taken.set(job.name, job);
  }
  const made = { command: 'data synth', settings }, files = jobs.flatMap(({ name }) => ['blur', 'sharp'].map((half) => join(half, `${name}.png`)));
  await openOutput(out, made, files, jobs.flatMap(({ from }) => ('photo' in from ? [from.photo] : [])));
  const kept = await runJobs(jobs, Math.min(workers, jobs.length), options);
  await finishOutput(out, made, files);
  return { out, pairs: jobs.length, kept };
}

const originOf = ({ from, index }: Job): string => 'photo' in from ? from.photo : `scene ${index}`;

/** Runs the jobs on worker threads; returns how many were done already. The first failure, or the caller's signal, stops new jobs; running ones finish their files. */
async function runJobs(jobs: readonly Job[], threads: number, { onProgress, signal }: LongWork): Promise<number> {
  let next = 0, done = 0, kept = 0, failed = false;
  const queue = async (): Promise<void> => {
    const worker = new Worker(new URL('./synth-worker.js', import.meta.url), { name: 'unshake synth', execArgv: [] });
    try {
      while (next < jobs.length && !failed) {
        throwIfAborted(signal);
        const job = jobs[next++];
        if (await answerOf(worker, job) === 'kept') kept++;
        onProgress?.({ done: ++done, total: jobs.length, label: job.name });
      }
    } catch (error) {
      failed = true;
      throw error;
    } finally {
      await worker.terminate();
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: threads }, queue));
  const failure = ends.find((end) => end.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
  return kept;
}

function answerOf(worker: Worker, job: Job): Promise<'written' | 'kept'> {
  return new Promise((resolveJob, reject) => {
    const answered = (answer: Answer): void => {
      worker.off('error', reject);
      if (typeof answer === 'string') resolveJob(answer);
      else reject(answer.image ? new ImageError(answer.message) : new Error(answer.message));
    };
    worker.once('message', answered);
    worker.once('error', reject);
    worker.postMessage(job);
  });
}
