/** Deblurs picture files: each is read, deblurred and written with what it carries; one is read and another written while the network runs. */
import { constants, openSync } from 'node:fs';
import { mkdir, readFile, stat } from 'node:fs/promises';
import { Socket } from 'node:net';
import { dirname } from 'node:path';
import { addAbortSignal, type Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { asksForNetwork, deblurImage, type DeblurOptions } from './deblur.js';
import { ImageError, messageOf, ModelError, throwIfAborted } from './errors.js';
import { encodeImage, formatOfName, nameOf, readImage, sampleBytes, unwritable, writeImage, type Picture } from './image/codec-node.js';
import { besideEachOther } from './image/image.js';
import { estimateMotionBlur } from './image/motion-blur.js';
import { failureOf, type FailedFile, type Job } from './jobs.js';
import { oneAfterAnother, roomFor } from './queue.js';
import type { Model } from './runtime/model.js';
import { writeWhole } from './write-whole.js';

export { planJobs, type FailedFile, type Job, type Plan, type PlanOptions } from './jobs.js';

/** One deblurred file. `seconds` is wall time from decoding to the written file, without waiting for the network. */
export interface DeblurredFile {
  input: string;
  output: string;
  width: number;
  height: number;
  /** 0 when the network didn't run. */
  tiles: number;
  seconds: number;
  device: string;
  model: string;
  /** Set when the photo isn't motion-blurred and was left as it is. */
  unblurred?: true;
  /** The side-by-side picture, where one was asked for. */
  beforeAfter?: string;
}

/** What became of the pictures, in the order of the jobs. */
export interface DeblurReport { images: DeblurredFile[]; failed: FailedFile[] }

/** Settings of deblurFiles; progress is that of the picture in its label. */
export interface DeblurFilesOptions extends Omit<DeblurOptions, 'inPlace'> {
  /** Deblur photos that don't look motion-blurred, too. Default: they are left as they are, unless `tile`, `tta` or a job's `beforeAfter` asks for the network. */
  force?: boolean;
  /** Called when a file is done. */
  onImage?: (file: DeblurredFile) => void;
  /** Called when a file has failed; the others go on. */
  onFailure?: (file: FailedFile) => void;
  /** Called with what could not be kept of a picture, in words. */
  onNote?: (input: string, note: string) => void;
}

/** Pictures at work at a time: one is read, one runs, one is written. Larger ones wait for each other. */
const atOnce = 3, roomBytes = 512 * 2 ** 20;

/**
 * Deblurs files. A bad one does not stop the rest: every job ends up in one of the report's lists.
 * @throws AbortedError when `signal` fires; no half file stays
 */
export async function deblurFiles(model: Model, jobs: readonly Job[], options: DeblurFilesOptions = {}): Promise<DeblurReport> {
  const images: DeblurredFile[] = [], failed: FailedFile[] = [];
  const desk: Desk = { network: oneAfterAnother(), room: roomFor(roomBytes) };
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < jobs.length) {
      const index = next++, job = jobs[index];
      try {
        images[index] = await deblurFile(model, job, options, desk);
        options.onImage?.(images[index]);
      } catch (error) {
        if (!(error instanceof ImageError || error instanceof ModelError)) {
          next = jobs.length;
          throw error;
        }
        failed[index] = failureOf(job.input, error);
        options.onFailure?.(failed[index]);
      }
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: Math.min(atOnce, jobs.length) }, work));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  const dense = <T>(list: T[]): T[] => list.filter(() => true); // leaves the holes out
  return { images: dense(images), failed: dense(failed) };
}

/** What the pictures at work share. */
interface Desk { network: ReturnType<typeof oneAfterAnother>; room: ReturnType<typeof roomFor> }

async function deblurFile(model: Model, { input, output, beforeAfter }: Job, options: DeblurFilesOptions, { network, room }: Desk): Promise<DeblurredFile> {
  const { signal, force = beforeAfter !== undefined || asksForNetwork(options) } = options, name = input === '-' ? 'standard input' : input;
  throwIfAborted(signal);
  let bytes: Uint8Array | undefined = await readInput(input, signal);
  const leave = await room(3 * await sampleBytes(bytes)); // the picture, a copy in the codec, the encoded result
  try {
    throwIfAborted(signal);
    let started = performance.now();
    const picture = await readImage(bytes, { name });
    const named = formatOfName(input);
    if (named && named !== picture.format) throw new ImageError(`${input}: can't be read as an image (it is ${nameOf(picture.format)}, whatever its name says: rename it)`);
    const { width, height } = picture.image, format = output === '-' ? picture.format : formatOfName(output);
    const file: DeblurredFile = { input, output, width, height, tiles: 0, seconds: 0, device: model.device, model: model.name };
    if (!force && !estimateMotionBlur(picture.image).blurred) {
      file.unblurred = true;
      await (format === picture.format ? writeOutput(output, bytes) : writePicture(picture, output, input, options));
    } else {
      bytes = undefined; // not needed while the network runs
      const waiting = performance.now();
      const { image, tiles, notes } = await network(() => {
        started += performance.now() - waiting;
        return deblurImage(model, picture.image, { ...deblurSettings(input, options), inPlace: beforeAfter === undefined });
      });
      file.tiles = tiles;
      notes.forEach((note) => options.onNote?.(input, note));
      await writePicture({ ...picture, image }, output, input, options);
      if (beforeAfter !== undefined) {
        await writeImage(beforeAfter, besideEachOther([picture.image, image]), { icc: picture.icc });
        file.beforeAfter = beforeAfter;
      }
    }
    file.seconds = (performance.now() - started) / 1000;
    return file;
  } finally {
    leave();
  }
}

function deblurSettings(input: string, { tile, strength, tta, memory, signal, onProgress }: DeblurFilesOptions): DeblurOptions {
  return { tile, strength, tta, memory, signal, onProgress: onProgress && ((progress) => onProgress({ ...progress, label: input })) };
}

async function readInput(input: string, signal: AbortSignal | undefined): Promise<Uint8Array> {
  try {
    const pipe = await pipeOf(input);
    return await (pipe ? buffer(signal ? addAbortSignal(signal, pipe) : pipe) : readFile(input, { signal }));
  } catch (error) {
    throwIfAborted(signal);
    if (input === '-') throw new ImageError(`standard input: can't be read (${messageOf(error)})`, { cause: error });
    await readImage(input); // says why
    throw error;
  }
}

/** The standard input or a named pipe as a stream; undefined for files. Read as a file, a pipe would hold a thread until its writer is done, whatever the signal says. */
async function pipeOf(input: string): Promise<Readable | undefined> {
  if (input === '-') return process.stdin;
  if (!(await stat(input)).isFIFO()) return undefined;
  return new Socket({ fd: openSync(input, constants.O_RDONLY | constants.O_NONBLOCK), writable: false });
}

async function writePicture(picture: Picture, output: string, input: string, { onNote, signal }: DeblurFilesOptions): Promise<void> {
  const { image, format, notes } = picture;
  const encoded = await encodeImage(image, formatOfName(output) ?? format, picture).catch((error: unknown) => {
    throw new ImageError(`${output}: can't be encoded (${messageOf(error)})`, { cause: error });
  });
  throwIfAborted(signal);
  for (const note of [...notes, ...encoded.notes]) onNote?.(input, note);
  await writeOutput(output, encoded.bytes);
}

async function writeOutput(output: string, bytes: Uint8Array): Promise<void> {
  if (output === '-') {
    await new Promise<void>((resolve, reject) => { process.stdout.write(bytes, (error) => (error ? reject(error) : resolve())); }).catch((error: unknown) => {
      throw new ImageError(`the standard output can't be written (${messageOf(error)})`, { cause: error });
    });
    return;
  }
  await mkdir(dirname(output), { recursive: true }).catch((error: unknown) => {
    throw new ImageError(`${output}: can't be written (${messageOf(error)})`, { cause: error });
  });
  await writeWhole(output, bytes).catch((error: unknown) => { throw unwritable(output, error); });
}
