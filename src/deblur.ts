/**
 * Deblurs one picture: image → tiles → network → blended → image. Runs wherever a Model runs, in Node and in browsers.
 *
 * Why tiles: a network needs hundreds of bytes a pixel while it runs. Each tile is given as much true context as the network can
 * see and only the part that has it is kept, so that the result is that of the whole picture. All tiles of a picture have one
 * shape. Samples stay integers: beside them only one tile, and the seams that wait for the next one, are held as numbers.
 */
import { ModelError, throwIfAborted, UsageError } from './errors.js';
import { gib } from './gib.js';
import { largestSample, samplesLike, type Image } from './image/image.js';
import { joinTile, newSeams, type Rows } from './image/join.js';
import { mirrored, oneTile, orientation, tilesOfArea, tilesOfSide, type TilePlan } from './image/tiles.js';
import type { LongWork } from './progress.js';
import type { Model } from './runtime/model.js';

/** Settings of deblurImage. Progress counts runs of the network: one a tile, eight with `tta`. */
export interface DeblurOptions extends LongWork {
  /** Side of the square that a tile contributes, in pixels, at least 16; its context comes on top. Default: from the memory that is free. */
  tile?: number;
  /** How much of the correction is applied, 0…1: strength·result + (1 − strength)·picture. Default 1. */
  strength?: number;
  /** Average over the eight flips and rotations: a little better, eight times slower. Default false. */
  tta?: boolean;
  /** Memory that one run of the network may take, in bytes. Default: up to 1 GiB for tiles, less beside a huge picture; nine tenths of what is free for a whole picture. */
  memory?: number;
  /** Write the result over the picture's own samples: a huge picture then stays in memory once, not twice. Default false. */
  inPlace?: boolean;
}

/** Whether settings are about how the network runs: who gives them wants it to run, however sharp the picture looks. */
export const asksForNetwork = ({ tile, tta = false }: DeblurOptions): boolean => tile !== undefined || tta;

/** A deblurred picture, how many tiles it was cut into, and what is worth a word about how it went. */
export interface Deblurred { image: Image; tiles: number; notes: string[] }

/** Larger tiles gain nothing, and the samples of one as numbers would weigh beside a small network. */
const mostPixels = 4e6;
const mebibyte = 2 ** 20, gibibyte = 2 ** 30;

/**
 * Deblurs a picture. Size, channels and depth stay; alpha passes through; gray is run as equal channels and turned back to gray.
 * NaN or a black tile makes the rest run with 32-bit arithmetic on the CPU, where the model didn't do that anyway.
 * @throws UsageError for a setting out of range; ModelError when the network gives NaN or black, or can't hold the picture; AbortedError
 */
export async function deblurImage(model: Model, image: Image, options: DeblurOptions = {}): Promise<Deblurred> {
  const { strength = 1, tta = false, inPlace = false, onProgress, signal } = options;
  if (!(strength >= 0 && strength <= 1)) throw new UsageError(`strength should be from 0 to 1, but is ${strength}`);
  const plan = await planFor(model, image, options);
  const { across, down } = plan;
  const tiles = across.spans.length * down.spans.length, runs = tta ? 8 : 1, total = tiles * runs;
  const notes: string[] = [];
  let running = model, done = 0;
  const run = async (input: Float32Array, width: number, height: number): Promise<Float32Array> => {
    throwIfAborted(signal);
    const output = await running.run(input, width, height);
    onProgress?.({ done: ++done, total });
    return output;
  };
  const compute = (): Promise<Float32Array> => (tta ? averageOfEight(input, across.size, down.size, run) : run(input, across.size, down.size));

  const result: Image = inPlace ? image : { ...image, data: samplesLike(image.data, image.data.length) };
  const rows = originalRows(image, inPlace), seams = newSeams(plan, image.width);
  const input = new Float32Array(3 * across.size * down.size);
  onProgress?.({ done, total });
  for (const [j, row] of down.spans.entries()) {
    const original = rows(row.start, Math.min(row.start + down.size, image.height));
    for (const [i, column] of across.spans.entries()) {
      fillTile(input, image, original, column.start, row.start, across.size, down.size);
      let output = await compute();
      let fault = faultIn(output, input);
      const other = fault && await running.inFloat32?.();
      if (other) {
        notes.push(`${model.name} gave ${fault} on ${running.device}: repeated in 32 bits on ${other.device}`);
        running = other;
        done -= runs;
        output = await compute();
        fault = faultIn(output, input);
      }
      if (fault) {
        throw new ModelError(`${model.name} gave ${fault} on ${running.device} at (${column.from}, ${row.from}) of ${image.width}×${image.height}: the weights are damaged or too large for their precision; try ${running.device === 'cpu' ? '' : '--device cpu or '}another --model`);
      }
      joinTile(seams, output, plan, i, j, original, result, strength);
    }
  }
  throwIfAborted(signal);
  return { image: result, tiles, notes };
}

/** What is wrong with a tile's output: a broken computation gives NaN, or black where the picture is not. */
function faultIn(output: Float32Array, input: Float32Array): string | undefined {
  let sum = 0, brightest = 0, light = 0;
  for (let i = 0; i < output.length; i++) {
    const value = output[i];
    sum += value * 0; // 0 for every number, NaN for NaN and infinity
    if (value > brightest) brightest = value;
    light += input[i];
  }
  if (sum !== 0) return 'NaN or infinity';
  return brightest < 1 / 255 && light / input.length > 8 / 255 ? 'a black picture' : undefined;
}

/** Gives the rows [from, to) as they were; in place, from a copy that moves down the picture. */
function originalRows({ data, width, channels }: Image, inPlace: boolean): (from: number, to: number) => Rows {
  if (!inPlace) return () => ({ top: 0, data });
  const stride = width * channels;
  let copy: Rows = { top: 0, data: samplesLike(data, 0) }, filled = 0; // rows [top, filled)
  return (from, to) => {
    // Rows of tiles overlap: what they share is in the last copy, and in the picture may be overwritten.
    const next = copy.data.length >= (to - from) * stride ? copy.data : samplesLike(data, (to - from) * stride);
    const kept = Math.max(0, filled - from);
    next.set(copy.data.subarray((from - copy.top) * stride, (from - copy.top + kept) * stride));
    next.set(data.subarray((from + kept) * stride, to * stride), kept * stride);
    copy = { top: from, data: next };
    filled = to;
    return copy;
  };
}

async function planFor(model: Model, image: Image, { tile, memory, inPlace }: DeblurOptions): Promise<TilePlan> {
  const { width, height } = image;
  if (tile !== undefined && !(Number.isInteger(tile) && tile >= 16)) throw new UsageError(`tile should be a whole number of pixels from 16 on, but is ${tile}`);
  const whole = oneTile(width, height, model);
  const pixels = whole.across.size * whole.down.size;
  if (!model.whole && tile !== undefined) return tilesOfSide(width, height, tile, model);
  // Small pictures fit wherever the network itself does; measuring first would take longer than they do.
  if (pixels <= 512 * 512 && memory === undefined) return whole;
  const need = await model.memory();
  if (!model.whole) {
    // Together with the picture, and what an encoder takes beside it, all stays below 2 GiB up to a hundred megapixels.
    const beside = Math.max(256 * mebibyte, 1.25 * gibibyte - image.data.byteLength * (inPlace ? 2 : 3));
    const area = memory ? memory / need.bytesPerPixel : Math.min(mostPixels, Math.min(gibibyte, need.free / 2, beside) / need.bytesPerPixel);
    return tilesOfArea(width, height, area, model);
  }
  const limit = memory ?? 0.9 * need.free;
  if (pixels * need.bytesPerPixel > limit) throw tooLarge(model, image, need.bytesPerPixel, limit);
  return whole;
}

function tooLarge(model: Model, { width, height }: Image, bytesPerPixel: number, limit: number): ModelError {
  const scale = Math.sqrt(limit / bytesPerPixel / (width * height));
  const fits = (length: number): number => Math.floor((length * scale) / model.multiple) * model.multiple;
  const size = fits(width) > 0 && fits(height) > 0 ? `scale the picture to ${fits(width)}×${fits(height)} or less` : 'free some memory';
  return new ModelError(`${model.name} must see the whole picture at once, and ${width}×${height} needs about ${gib(width * height * bytesPerPixel)} GiB where ${gib(limit)} GiB are free: ${size}, or use a --model that can be cut into tiles`);
}

/** The tile at (left, top) as planes in [0, 1]. What lies beyond the picture is its mirror image. */
function fillTile(input: Float32Array, image: Image, rows: Rows, left: number, top: number, width: number, height: number): void {
  const { channels } = image, { data } = rows;
  const scale = 1 / largestSample(data), plane = width * height;
  const [green, blue] = channels >= 3 ? [1, 2] : [0, 0];
  const columns = Int32Array.from({ length: width }, (_, x) => mirrored(left + x, image.width) * channels);
  for (let y = 0, to = 0; y < height; y++) {
    const row = (mirrored(top + y, image.height) - rows.top) * image.width * channels;
    for (let x = 0; x < width; x++, to++) {
      const from = row + columns[x];
      input[to] = data[from] * scale;
      input[to + plane] = data[from + green] * scale;
      input[to + 2 * plane] = data[from + blue] * scale;
    }
  }
}

type Run = (input: Float32Array, width: number, height: number) => Promise<Float32Array>;

/** The mean of the network's answers to the eight orientations, each turned back. */
async function averageOfEight(input: Float32Array, width: number, height: number, run: Run): Promise<Float32Array> {
  const mean = new Float32Array(input.length), turned = new Float32Array(input.length), plane = width * height;
  for (let which = 0; which < 8; which++) {
    const { origin, stepX, stepY, ...size } = orientation(which, width, height);
    forEachPixel(width, height, (at, x, y) => {
      const there = origin + x * stepX + y * stepY;
      for (let c = 0; c < 3; c++) turned[c * plane + there] = input[c * plane + at];
    });
    const output = await run(turned, size.width, size.height);
    forEachPixel(width, height, (at, x, y) => {
      const there = origin + x * stepX + y * stepY;
      for (let c = 0; c < 3; c++) mean[c * plane + at] += output[c * plane + there] / 8;
    });
  }
  return mean;
}

function forEachPixel(width: number, height: number, visit: (index: number, x: number, y: number) => void): void {
  for (let y = 0, index = 0; y < height; y++) for (let x = 0; x < width; x++, index++) visit(index, x, y);
}
