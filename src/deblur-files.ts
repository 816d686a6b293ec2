/** Deblurs picture files and folders of them: where each result goes, and what happens when one of them is bad. */
import { mkdir, readdir, stat } from 'node:fs/promises';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { deblurImage, type DeblurOptions } from './deblur.js';
import { ImageError, ModelError, UsageError } from './errors.js';
import { imageExtensions, isImageName, readImage, writeImage } from './image/codec-node.js';
import type { Model } from './runtime/model.js';

/** One deblurred file. `seconds` is wall time from decoding to the written file. */
export interface DeblurredFile {
  input: string;
  output: string;
  width: number;
  height: number;
  tiles: number;
  seconds: number;
  device: string;
  model: string;
}

/** One file that could not be deblurred. */
export interface FailedFile { input: string; code: string; message: string }

/** What became of the pictures. */
export interface DeblurReport { images: DeblurredFile[]; failed: FailedFile[] }

/** A picture to deblur and the file it becomes. */
export interface Job { input: string; output: string }

/** Settings of deblurFiles; progress is that of the picture in its label. */
export interface DeblurFilesOptions extends DeblurOptions {
  /** Called when a file is done. */
  onImage?: (file: DeblurredFile) => void;
  /** Called when a file has failed; the others go on. */
  onFailure?: (file: FailedFile) => void;
  /** Called with what could not be kept of a picture, in words. */
  onNote?: (input: string, note: string) => void;
}

const resultSuffix = '.deblurred';

/**
 * Deblurs files one after another. A bad one does not stop the rest: every job ends up in one of the report's lists.
 * @throws AbortedError when `signal` fires; no half file stays
 */
export async function deblurFiles(model: Model, jobs: readonly Job[], options: DeblurFilesOptions = {}): Promise<DeblurReport> {
  const { onImage, onFailure, onNote, onProgress, ...settings } = options;
  const report: DeblurReport = { images: [], failed: [] };
  for (const job of jobs) {
    try {
      const file = await deblurFile(model, job, {
        ...settings,
        onProgress: onProgress && ((progress) => onProgress({ ...progress, label: job.input })),
        onNote: (note) => onNote?.(job.input, note),
      });
      report.images.push(file);
      onImage?.(file);
    } catch (error) {
      if (!(error instanceof ImageError || error instanceof ModelError)) throw error;
      const failure = failureOf(job.input, error);
      report.failed.push(failure);
      onFailure?.(failure);
    }
  }
  return report;
}

function failureOf(input: string, error: ImageError | ModelError): FailedFile {
  return { input, code: error.code, message: error.message.includes(input) ? error.message : `${input}: ${error.message}` };
}

async function deblurFile(model: Model, { input, output }: Job, options: DeblurOptions & { onNote: (note: string) => void }): Promise<DeblurredFile> {
  const { onNote, ...settings } = options;
  const started = performance.now();
  const { image, exif, notes } = await readImage(input);
  const result = await deblurImage(model, image, settings);
  await mkdir(dirname(output), { recursive: true });
  notes.push(...await writeImage(output, result.image, { exif }));
  notes.forEach(onNote);
  return {
    input, output, width: image.width, height: image.height, tiles: result.tiles,
    seconds: (performance.now() - started) / 1000, device: model.device, model: model.name,
  };
}

/**
 * Which file becomes which, before the first picture is touched.
 * @param inputs files, and folders of pictures
 * @param output a file (for one picture) or a folder, in which names are kept; default: NAME.deblurred.EXT beside each input
 * @returns the jobs, and the inputs that are missing or hold no picture
 * @throws UsageError when the outputs make no sense together
 */
export async function planJobs(inputs: readonly string[], output?: string): Promise<{ jobs: Job[]; failed: FailedFile[] }> {
  const failed: FailedFile[] = [];
  const fail = (input: string, reason: string): void => { failed.push(failureOf(input, new ImageError(`${input}: ${reason}`))); };
  const pictures: string[] = [];
  let folders = 0;
  for (const input of inputs) {
    const found = await stat(input).catch(() => undefined);
    if (found?.isDirectory()) {
      folders++;
      const names = (await readdir(input)).filter((name) => isImageName(name) && !name.startsWith('.') && !isResult(name)).sort();
      if (names.length === 0) fail(input, `the folder holds no picture (${imageExtensions.join(' ')})`);
      pictures.push(...names.map((name) => join(input, name)));
    } else if (found) pictures.push(input);
    else fail(input, `can't be read as an image (no such file)`);
  }

  const target = await targetOf(output, folders > 0 || inputs.length > 1);
  const jobs: Job[] = [];
  const taken = new Map<string, string>();
  const sources = new Set(pictures.map((path) => resolve(path)));
  for (const input of pictures) {
    const result = outputOf(input, target), path = resolve(result);
    if (!isImageName(result)) {
      fail(input, `can't be written back with the extension '${extname(input)}': name the result with -o FILE (${imageExtensions.join(' ')})`);
      continue;
    }
    if (sources.has(path)) throw new UsageError(`the result of ${input} would overwrite the input ${result}: name another file or folder with -o`);
    if (taken.has(path)) throw new UsageError(`${taken.get(path)} and ${input} would both become ${result}: deblur them into different folders`);
    taken.set(path, input);
    jobs.push({ input, output: result });
  }
  return { jobs, failed };
}

type Target = { kind: 'beside' } | { kind: 'file' | 'folder'; path: string };

async function targetOf(output: string | undefined, several: boolean): Promise<Target> {
  if (output === undefined) return { kind: 'beside' };
  const found = await stat(output).catch(() => undefined);
  if (found?.isDirectory() || (!found && (/[/\\]$/.test(output) || extname(output) === ''))) return { kind: 'folder', path: output };
  if (several) {
    if (!found && !isImageName(output)) return { kind: 'folder', path: output };
    throw new UsageError(`-o should be a folder for several pictures, but ${output} is a file's name`);
  }
  if (!isImageName(output)) throw new UsageError(`-o should end in ${imageExtensions.join(', ')} or be a folder, but is ${output}`);
  return { kind: 'file', path: output };
}

function outputOf(input: string, target: Target): string {
  if (target.kind === 'file') return target.path;
  if (target.kind === 'folder') return join(target.path, basename(input));
  const extension = extname(input);
  return join(dirname(input), `${basename(input, extension)}${resultSuffix}${extension}`);
}

/** Whether a file in a folder is what an earlier run wrote beside its input. */
function isResult(name: string): boolean {
  return basename(name, extname(name)).endsWith(resultSuffix);
}
