/** `unshake deblur`: pictures → sharper pictures. */
import { stat } from 'node:fs/promises';
import { SingleBar } from 'cli-progress';
import type { Command } from 'commander';
import type { DeblurOptions } from '../src/deblur.js';
import { deblurFiles, planJobs, type DeblurredFile, type DeblurReport, type FailedFile, type Job } from '../src/deblur-files.js';
import { deblurVideo, isVideoName, videoOutput } from '../src/deblur-video.js';
import { AbortedError, UsageError } from '../src/errors.js';
import { openNamedModel } from '../src/open-model.js';
import type { Progress } from '../src/progress.js';
import { devices, type Device, type Model } from '../src/runtime/model.js';
import { withInterrupt } from './interrupt.js';
import { printError } from './print-error.js';

interface Flags {
  output?: string; model: string; device: string; tile?: string; strength: string; tta?: boolean; json?: boolean;
  force?: boolean; beforeAfter?: boolean; skipExisting?: boolean; verbose?: boolean;
}

export function registerDeblur(root: Command): void {
  root.command('deblur')
    .description('remove motion blur from pictures')
    .argument('<in...>', 'picture files, folders of them, patterns, videos, or - for the standard input (in folders, results of earlier runs, NAME.deblurred.EXT, are passed over)')
    .option('-o, --output <path>', 'file, folder in which names and folders are kept, or - for the standard output (default: NAME.deblurred.EXT beside each picture)')
    .option('--model <model>', 'shipped model, ONNX file, checkpoint or run folder (the last two need libtorch)', 'default')
    .option('--device <device>', devices.join(', '), 'auto')
    .option('--tile <pixels>', 'side of what one tile contributes (default: from the free memory)')
    .option('--strength <share>', 'how much of the correction is applied, 0 to 1', '1')
    .option('--tta', 'average over eight flips and rotations: a little better, eight times slower')
    .option('--before-after', 'also write NAME.before-after.EXT: the picture and its result, side by side')
    .option('--force', 'deblur photos that do not look motion-blurred, too (so do --tile, --tta and --before-after)')
    .option('--skip-existing', 'pass over pictures whose results are there already')
    .option('--json', 'print one JSON document')
    .action((inputs: string[], _: Flags, command: Command) => deblur(inputs, command.optsWithGlobals<Flags>()));
}

async function deblur(inputs: string[], flags: Flags): Promise<void> {
  const tile = flags.tile === undefined ? undefined : numberBetween('--tile', flags.tile, 16, 65536);
  const strength = numberBetween('--strength', flags.strength, 0, 1);
  if (tile !== undefined && !Number.isInteger(tile)) throw new UsageError(`--tile should be a whole number, but is ${flags.tile}`);
  if (!(devices as readonly string[]).includes(flags.device)) throw new UsageError(`--device should be one of ${devices.join(', ')}, but is '${flags.device}'`);

  const videos = inputs.filter(isVideoName), pictures = inputs.filter((input) => !isVideoName(input));
  if (videos.length > 1 || (videos.length === 1 && pictures.length > 0)) throw new UsageError('expected pictures, or one video at a time');
  if (videos.length === 1 && flags.beforeAfter) throw new UsageError('--before-after is for pictures');
  const settings = { tile, strength, tta: flags.tta };
  await (videos.length === 1 ? oneVideo(videos[0], flags, settings) : allPictures(pictures, flags, settings));
}

async function oneVideo(input: string, flags: Flags, settings: DeblurOptions): Promise<void> {
  const output = await videoOutput(input, flags.output);
  if (flags.skipExisting && await stat(output).catch(() => undefined)) {
    noteSkipped(1);
    if (flags.json) printJson({ images: [], failed: [] }, flags, [{ input, output }]);
    return;
  }
  let reached: Progress | undefined;
  const video = await withModel(flags, (model, signal, bar) => deblurVideo(model, input, output, {
    ...settings, signal, onProgress: (progress) => {
      reached = progress;
      bar.show(progress);
    },
    onNote: (text) => {
      bar.clear();
      note(`${input}: ${text}`);
    },
  })).catch((error: unknown) => {
    if (!(error instanceof AbortedError)) throw error;
    if (flags.json) printJson({ images: [], failed: [] }, flags);
    const count = reached && `${reached.done}${reached.total > reached.done ? ` of ${reached.total}` : ''}`; // of some videos the total isn't known
    throw stopped(`${count ? `after ${count} frames` : 'before the first frame'}; nothing was written`, error);
  });
  const { width, height, frames, fps, seconds, device, model } = video;
  if (flags.json) printJson({ images: [video], failed: [] }, flags);
  else process.stdout.write(`${input} → ${output}  ${width}×${height}, ${frames} frames, ${fps.toFixed(2)} a second, ${seconds.toFixed(1)} s, ${model} on ${device}\n`);
}

async function allPictures(inputs: string[], flags: Flags, settings: DeblurOptions): Promise<void> {
  const { jobs, failed, skipped, notes } = await planJobs(inputs, flags.output, { skipExisting: flags.skipExisting, beforeAfter: flags.beforeAfter });
  if (flags.json && jobs.some(({ output }) => output === '-')) throw new UsageError('--json and the picture can not both go to the standard output: name the result with -o FILE');
  for (const failure of failed) printError(failure, flags.verbose === true);
  notes.forEach(note);
  if (skipped.length > 0) noteSkipped(skipped.length);
  const { report, stop }: Outcome = jobs.length === 0 ? { report: { images: [], failed: [] } } : await withModel(flags, (model, signal, bar) => deblurJobs(model, jobs, flags, { ...settings, signal }, bar));
  report.failed.unshift(...failed);
  if (flags.json) printJson(report, flags, skipped);
  else if (report.failed.length > 0 && report.failed.length + report.images.length > 1) listFailures(report);
  if (stop) throw stop;
  if (report.failed.length > 0) process.exitCode = 1;
}

/** Opens the model, ends the work at Ctrl-C, frees the model. */
async function withModel<T>(flags: Flags, work: (model: Model, signal: AbortSignal, bar: Bar) => Promise<T>): Promise<T> {
  const model = await openNamedModel(flags.model, { device: flags.device as Device });
  if (model.whole) note(`${model.name} takes statistics over the whole picture: pictures are run whole, not in tiles`);
  if (model.invents) note(`${model.name} was trained to look sharp: it may invent detail. Don't rely on letters, numbers or faces in its pictures`);
  if (model.choice && process.stderr.isTTY) note(`on ${model.choice}`);

  const bar = progressBar();
  try {
    return await withInterrupt((signal) => work(model, signal, bar));
  } finally {
    bar.clear();
    await model.release();
  }
}

/** What became of the pictures; after Ctrl-C that of those that were done, and the error to end with once they are printed. */
interface Outcome { report: DeblurReport; stop?: AbortedError }

async function deblurJobs(model: Model, jobs: Job[], flags: Flags, settings: DeblurOptions, bar: Bar): Promise<Outcome> {
  const silent = flags.json || jobs.some(({ output }) => output === '-');
  const images: DeblurredFile[] = [], failed: FailedFile[] = []; // so far, in the order in which they end
  const finished = (): number => images.length + failed.length;
  const work = deblurFiles(model, jobs, {
    ...settings, force: flags.force,
    onProgress: ({ done, total, label = '' }) => bar.show({ done, total, label: jobs.length > 1 ? `${finished() + 1} of ${jobs.length}: ${label}` : label }),
    onImage: (file) => {
      images.push(file);
      bar.clear();
      if (!silent) process.stdout.write(`${lineOf(file)}\n`);
    },
    onFailure: (failure) => {
      failed.push(failure);
      bar.clear();
      printError(failure, flags.verbose === true);
    },
    onNote: (input, text) => {
      bar.clear();
      note(`${input}: ${text}`);
    },
  });
  try {
    return { report: await work };
  } catch (error) {
    if (!(error instanceof AbortedError)) throw error;
    const places = new Map(jobs.map(({ input }, index) => [input, index]));
    const byJob = (a: { input: string }, b: { input: string }): number => places.get(a.input)! - places.get(b.input)!;
    return { report: { images: images.sort(byJob), failed: failed.sort(byJob) }, stop: stopped(whenStopped(jobs, finished(), flags), error) };
  }
}

function whenStopped(jobs: Job[], finished: number, { skipExisting }: Flags): string {
  const [{ input }] = jobs;
  if (jobs.length === 1) return `before ${input === '-' ? 'the picture from the standard input' : input} was done; nothing was written`;
  return `after ${finished} of ${jobs.length} pictures; ${skipExisting ? 'the same command again' : '--skip-existing'} continues`;
}

/** For a person at a terminal, who is not the caller that the library's message speaks of. */
const stopped = (when: string, cause: AbortedError): AbortedError => new AbortedError(`stopped ${when}`, { cause });

function lineOf({ input, output, width, height, tiles, seconds, device, model, unblurred, beforeAfter }: DeblurredFile): string {
  if (unblurred) return `${input} → ${output}  ${width}×${height}, left as it is: it does not look motion-blurred (--force deblurs it)`;
  return `${input} → ${output}  ${width}×${height}, ${tiles} tile${tiles === 1 ? '' : 's'}, ${seconds.toFixed(1)} s, ${model} on ${device}${beforeAfter ? `; ${beforeAfter}` : ''}`;
}

/** Once more at the end: in a long run, the errors have scrolled away. */
function listFailures({ images, failed }: DeblurReport): void {
  process.stderr.write(`unshake: ${failed.length} of ${failed.length + images.length} failed: ${failed.map(({ input }) => input).join(', ')}\n`);
}

function note(text: string): void {
  process.stderr.write(`unshake: note: ${text}\n`);
}

function noteSkipped(count: number): void {
  note(`${count} passed over: ${count === 1 ? 'its result is' : 'their results are'} there already`);
}

function printJson(report: { images: object[]; failed: FailedFile[] }, { skipExisting }: Flags, skipped: Job[] = []): void {
  process.stdout.write(`${JSON.stringify({ ...report, ...(skipExisting ? { skipped } : {}) })}\n`);
}

function numberBetween(flag: string, text: string, low: number, high: number): number {
  const value = text.trim() === '' ? NaN : Number(text);
  if (!(value >= low && value <= high)) throw new UsageError(`${flag} should be from ${low} to ${high}, but is '${text}'`);
  return value;
}

interface Bar { show: (progress: Progress) => void; clear: () => void }

/** One line on stderr, only on a terminal. */
function progressBar(): Bar {
  let bar: SingleBar | undefined;
  return {
    show: ({ done, total, label = '' }) => {
      if (!process.stderr.isTTY) return;
      if (!bar) {
        bar = new SingleBar({ format: '{label} {bar} {value}/{total}, {eta_formatted} left', barsize: 24, stream: process.stderr, clearOnComplete: true, gracefulExit: false });
        bar.start(total, done, { label });
      }
      bar.setTotal(total);
      bar.update(done, { label });
    },
    clear: () => {
      bar?.stop();
      bar = undefined;
    },
  };
}
