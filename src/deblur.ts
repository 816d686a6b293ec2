/**
 * Deblurs one picture: image → tiles → network → blended → image. Runs wherever a Model runs, in Node and in browsers.
 *
 * Why tiles: a network needs hundreds of bytes a pixel while it runs. Each tile is given as much true context as the network can
 * see and only the part that has it is kept, so that the result is that of the whole picture. Rows of tiles are finished one after
 * another: beside the picture itself only one row is held as numbers.
 */
import { ModelError, throwIfAborted, UsageError } from './errors.js';
import { mirrored, oneTile, orientation, tilesOfArea, tilesOfSide, type Span, type TilePlan } from './image/tiles.js';
import type { Image } from './image/image.js';
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
  /** Memory that one run of the network may take, in bytes. Default: 1 GiB for tiles, nine tenths of what is free for a whole picture. */
  memory?: number;
}

/** A deblurred picture, and how many tiles it was cut into. */
export interface Deblurred { image: Image; tiles: number }

const gibibyte = 2 ** 30;

/**
 * Deblurs a picture. Size, channels and depth stay; alpha passes through; gray is run as equal channels and turned back to gray.
 * @throws UsageError for a setting out of range; ModelError when the network gives NaN or can't hold the picture; AbortedError
 */
export async function deblurImage(model: Model, image: Image, options: DeblurOptions = {}): Promise<Deblurred> {
  const { strength = 1, tta = false, onProgress, signal } = options;
  if (!(strength >= 0 && strength <= 1)) throw new UsageError(`strength should be from 0 to 1, but is ${strength}`);
  const { across, down } = await planFor(model, image, options);
  const tiles = across.spans.length * down.spans.length;
  const total = tiles * (tta ? 8 : 1);
  let done = 0;
  const run = async (input: Float32Array, width: number, height: number): Promise<Float32Array> => {
    throwIfAborted(signal);
    const output = await model.run(input, width, height);
    onProgress?.({ done: ++done, total });
    return output;
  };

  const data = image.data instanceof Uint16Array ? new Uint16Array(image.data.length) : new Uint8Array(image.data.length);
  const result: Image = { ...image, data };
  const input = new Float32Array(3 * across.size * down.size);
  let band: Band | undefined;
  onProgress?.({ done, total });
  for (const [row, rowSpan] of down.spans.entries()) {
    band = nextBand(band, rowSpan, image.width);
    for (const columnSpan of across.spans) {
      fillTile(input, image, columnSpan.start, rowSpan.start, across.size, down.size);
      const output = await (tta ? averageOfEight(input, across.size, down.size, run) : run(input, across.size, down.size));
      const finite = addToBand(band, output, across.size, down.size, columnSpan, rowSpan);
      if (!finite) {
        throw new ModelError(`${model.name} gave NaN or infinity on ${model.device} at (${columnSpan.from}, ${rowSpan.from}) of ${image.width}×${image.height}: the weights are damaged or too large for their precision; try --device cpu or another --model`);
      }
    }
    const until = down.spans[row + 1]?.from ?? image.height;
    writeRows(result, image, band, until, strength);
  }
  throwIfAborted(signal);
  return { image: result, tiles };
}

async function planFor(model: Model, image: Image, { tile, memory }: DeblurOptions): Promise<TilePlan> {
  const { width, height } = image;
  if (tile !== undefined && !(Number.isInteger(tile) && tile >= 16)) throw new UsageError(`tile should be a whole number of pixels from 16 on, but is ${tile}`);
  const whole = oneTile(width, height, model);
  const pixels = whole.across.size * whole.down.size;
  if (!model.whole && tile !== undefined) return tilesOfSide(width, height, tile, model);
  // Small pictures fit wherever the network itself does; measuring first would take longer than they do.
  if (pixels <= 512 * 512 && memory === undefined) return whole;
  const need = await model.memory();
  if (!model.whole) return tilesOfArea(width, height, (memory ?? Math.min(gibibyte, need.free / 2)) / need.bytesPerPixel, model);
  const limit = memory ?? 0.9 * need.free;
  if (pixels * need.bytesPerPixel > limit) throw tooLarge(model, image, need.bytesPerPixel, limit);
  return whole;
}

function tooLarge(model: Model, { width, height }: Image, bytesPerPixel: number, limit: number): ModelError {
  const scale = Math.sqrt(limit / bytesPerPixel / (width * height));
  const fits = (length: number): number => Math.floor((length * scale) / model.multiple) * model.multiple;
  const size = fits(width) > 0 && fits(height) > 0 ? `scale the picture to ${fits(width)}×${fits(height)} or less` : 'free some memory';
  const gib = (bytes: number): string => (bytes / gibibyte).toFixed(1);
  return new ModelError(`${model.name} must see the whole picture at once, and ${width}×${height} needs about ${gib(width * height * bytesPerPixel)} GiB where ${gib(limit)} GiB are free: ${size}, or use a --model that can be cut into tiles`);
}

/** The tile at (left, top) as planes in [0, 1]. What lies beyond the picture is its mirror image. */
function fillTile(input: Float32Array, image: Image, left: number, top: number, width: number, height: number): void {
  const { channels, data } = image;
  const scale = 1 / largestSample(image), plane = width * height;
  const [green, blue] = channels >= 3 ? [1, 2] : [0, 0];
  const columns = Int32Array.from({ length: width }, (_, x) => mirrored(left + x, image.width) * channels);
  for (let y = 0, to = 0; y < height; y++) {
    const row = mirrored(top + y, image.height) * image.width * channels;
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

/** Three planes of whole rows, from row `top` on: what a row of tiles adds up to. */
interface Band { top: number; rows: number; width: number; values: Float32Array }

/** The band of the next row of tiles, with the rows that the last one shares with it. */
function nextBand(last: Band | undefined, { from, to }: Span, width: number): Band {
  const band: Band = { top: from, rows: to - from, width, values: new Float32Array(3 * (to - from) * width) };
  if (last) {
    for (let c = 0; c < 3; c++) {
      const shared = last.values.subarray((c * last.rows + from - last.top) * width, (c + 1) * last.rows * width);
      band.values.set(shared, c * band.rows * width);
    }
  }
  return band;
}

/** Adds the part of a tile that counts, weighted. Returns whether all of it is finite. */
function addToBand(band: Band, output: Float32Array, width: number, height: number, column: Span, row: Span): boolean {
  let sum = 0;
  for (let c = 0; c < 3; c++) {
    for (let y = row.from; y < row.to; y++) {
      const rowWeight = row.weights[y - row.from];
      let from = (c * height + y - row.start) * width + column.from - column.start;
      let to = (c * band.rows + y - band.top) * band.width + column.from;
      for (let k = 0; k < column.weights.length; k++, from++, to++) {
        const value = output[from];
        band.values[to] += rowWeight * column.weights[k] * value;
        sum += value * 0; // 0 for every number, NaN for NaN and infinity
      }
    }
  }
  return sum === 0;
}

/** Turns the band's rows up to `until` into samples: original + strength · (result − original), rounded and clamped. */
function writeRows(result: Image, original: Image, band: Band, until: number, strength: number): void {
  const { width, channels, data: source } = original;
  const largest = largestSample(original), plane = band.rows * width, { values } = band;
  const colours = channels >= 3 ? 3 : 1;
  for (let y = band.top; y < until; y++) {
    let from = (y - band.top) * width, to = y * width * channels;
    for (let x = 0; x < width; x++, from++, to += channels) {
      for (let c = 0; c < colours; c++) {
        const value = colours === 3 ? values[from + c * plane] : luma(values[from], values[from + plane], values[from + 2 * plane]);
        const sample = Math.round(source[to + c] + strength * (value * largest - source[to + c]));
        result.data[to + c] = sample < 0 ? 0 : sample > largest ? largest : sample;
      }
      if (channels === 2 || channels === 4) result.data[to + colours] = source[to + colours];
    }
  }
}

/** Rec. 709 luma. */
const luma = (red: number, green: number, blue: number): number => 0.2126 * red + 0.7152 * green + 0.0722 * blue;

const largestSample = ({ data }: Image): number => (data instanceof Uint16Array ? 65535 : 255);
