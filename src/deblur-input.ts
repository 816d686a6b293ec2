/** `deblur(input)`: one call for a file, an encoded picture or samples. It opens its model at the first call and keeps it. */
import { asksForNetwork, deblurImage, type DeblurOptions } from './deblur.js';
import { deblurFiles, planJobs } from './deblur-files.js';
import { ImageError, ModelError, throwIfAborted, UsageError } from './errors.js';
import { encodeImage, readImage } from './image/codec-node.js';
import type { Image } from './image/image.js';
import { estimateMotionBlur } from './image/motion-blur.js';
import { openNamedModel } from './open-model.js';
import { oneAfterAnother } from './queue.js';
import type { Device, Model } from './runtime/model.js';

/** Settings of deblur. Progress counts tiles. */
export interface DeblurInputOptions extends Omit<DeblurOptions, 'memory'> {
  /** A shipped model's name, an ONNX file, a checkpoint or a run's folder. Default `default`. */
  model?: string;
  /** Default `auto`. */
  device?: Device;
  /** For a path: where the result goes. Default: NAME.deblurred.EXT beside it. */
  output?: string;
  /** Deblur what doesn't look motion-blurred, too. Default: it comes back as it is, unless `tile` or `tta` asks for the network. */
  force?: boolean;
  /** Called with what could not be kept, or was not done, in words. */
  onNote?: (note: string) => void;
}

interface Opened { model: Model; queue: ReturnType<typeof oneAfterAnother> }
const opened = new Map<string, Promise<Opened>>();

/**
 * Removes motion blur. What comes in goes out:
 * - a path: the result is written (`output`, else NAME.deblurred.EXT beside it) and its path returned;
 * - the bytes of a JPEG, PNG, WebP, TIFF, AVIF or GIF file: those of a file of the same format, with EXIF and colour profile; of a HEIC those of a JPEG;
 * - samples `{data, width, height, channels}`: samples of the same size and depth, in memory of their own.
 *
 * A model is opened once a thread and stays open; `releaseModels()` frees them. Calls at the same time wait for each other. Works in worker threads.
 * @throws UsageError, ImageError, ModelError, MissingError (a device that isn't there), AbortedError
 */
export async function deblur(input: string, options?: DeblurInputOptions): Promise<string>;
export async function deblur(input: Uint8Array, options?: DeblurInputOptions): Promise<Uint8Array>;
export async function deblur(input: Image, options?: DeblurInputOptions): Promise<Image>;
export async function deblur(input: string | Uint8Array | Image, options: DeblurInputOptions = {}): Promise<string | Uint8Array | Image> {
  const { model: name = 'default', device = 'auto', output, onNote, ...settings } = options;
  if (output !== undefined && typeof input !== 'string') throw new UsageError('output is for a path; bytes and samples are returned');
  if (typeof input !== 'string' && !(input instanceof Uint8Array)) checkSamples(input);
  throwIfAborted(options.signal);
  const { model, queue } = await modelFor(name, device);
  return queue<string | Uint8Array | Image>(() => {
    throwIfAborted(options.signal);
    if (typeof input === 'string') return deblurPath(model, input, output, settings, onNote);
    return input instanceof Uint8Array ? deblurBytes(model, input, settings, onNote) : deblurSamples(model, input, settings, onNote);
  });
}

type Settings = DeblurOptions & { force?: boolean };
type OnNote = ((note: string) => void) | undefined;

async function deblurPath(model: Model, path: string, output: string | undefined, settings: Settings, onNote: OnNote): Promise<string> {
  const { jobs, failed: [missing] } = await planJobs([path], output);
  if (missing) throw new ImageError(missing.message);
  if (jobs.length !== 1 || path === '-') throw new UsageError(`deblur takes one picture, but ${path} is ${path === '-' ? 'none' : 'several'}: deblurFiles takes many`);
  const { images: [image], failed: [failure] } = await deblurFiles(model, jobs, { ...settings, onNote: (_, note) => onNote?.(note) });
  if (failure) throw failure.code === 'MODEL' ? new ModelError(failure.message) : new ImageError(failure.message);
  if (image.unblurred) onNote?.(leftAsItIs);
  return image.output;
}

async function deblurBytes(model: Model, bytes: Uint8Array, settings: Settings, onNote: OnNote): Promise<Uint8Array> {
  const picture = await readImage(bytes);
  if (staysAsItIs(picture.image, settings, onNote)) return new Uint8Array(bytes);
  const image = await deblurred(model, picture.image, { ...settings, inPlace: true }, onNote);
  const encoded = await encodeImage(image, picture.format, picture);
  for (const note of [...picture.notes, ...encoded.notes]) onNote?.(note);
  return encoded.bytes;
}

async function deblurSamples(model: Model, samples: Image, settings: Settings, onNote: OnNote): Promise<Image> {
  if (!staysAsItIs(samples, settings, onNote)) return deblurred(model, samples, settings, onNote);
  return settings.inPlace ? samples : { ...samples, data: samples.data.slice() };
}

/** Whether there is nothing to do, and notes so. */
function staysAsItIs(samples: Image, { force, ...settings }: Settings, onNote: OnNote): boolean {
  const stays = !(force ?? asksForNetwork(settings)) && !estimateMotionBlur(samples).blurred;
  if (stays) onNote?.(leftAsItIs);
  return stays;
}

async function deblurred(model: Model, samples: Image, settings: DeblurOptions, onNote: OnNote): Promise<Image> {
  const { image, notes } = await deblurImage(model, samples, settings);
  notes.forEach((note) => onNote?.(note));
  return image;
}

const leftAsItIs = 'it does not look motion-blurred and was left as it is (force deblurs it)';

function checkSamples(input: Image | null): void {
  const { data, width, height, channels } = input ?? {} as Image;
  const known = data instanceof Uint8Array || data instanceof Uint16Array;
  if (known && [width, height].every((length) => Number.isInteger(length) && length > 0) && [1, 2, 3, 4].includes(channels) && data.length === width * height * channels) return;
  const received = `${width}×${height}×${channels} with ${known ? `${data.length} samples` : Object.prototype.toString.call(data).slice(8, -1)}`;
  throw new UsageError(`deblur expects a path, the bytes of a file, or {data: Uint8Array | Uint16Array of width·height·channels, width, height, channels: 1…4}, but got ${received}`);
}

/** One model a name and device. A failure isn't kept: the next call tries again. */
function modelFor(name: string, device: Device): Promise<Opened> {
  const key = `${device} ${name}`, known = opened.get(key);
  if (known) return known;
  const opening = openNamedModel(name, { device }).then((model) => ({ model, queue: oneAfterAnother() }));
  opened.set(key, opening);
  opening.catch(() => opened.delete(key));
  return opening;
}

/** Frees the models that deblur() has opened in this thread. Those at work finish first. */
export async function releaseModels(): Promise<void> {
  const all = [...opened.values()];
  opened.clear();
  await Promise.all(all.map(async (each) => {
    const { model, queue } = await each;
    await queue(() => model.release());
  }));
}
