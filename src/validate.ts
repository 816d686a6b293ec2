/** Validation during training: clean PSNR of the averaged weights on held-out pairs, and a panel to look at. */
import { setImmediate as nextTick } from 'node:timers/promises';
import { channelsLast, contiguous, copy_, mulScalar, noGrad, addScalar, permute, scope, toDtype, type Tensor } from '@unshake/libtorch';
import { mapInOrder } from './data/in-order.js';
import { readPair, type Pair } from './dataset.js';
import { DataError } from './errors.js';
import { besideEachOther, centreCrop, type RgbImage } from './image/image.js';
import { psnr } from './metrics/psnr.js';
import { makeGenerator, restore, type Generator } from './models/index.js';
import { imagesToTensor, type Players } from './players.js';
import { spread } from './spread.js';

export interface Validation {
  /** Mean PSNR in dB, protocol clean, of the output and of the blurry input. */
  psnr: number;
  inputPsnr: number;
  /** Blur | sharp | generated, a row a pair, up to four. */
  panel: RgbImage;
}

/** N, 3, H, W in [0, 1] → the first image, 8-bit, rounded. */
function tensorToImage(x: Tensor): RgbImage {
  const [, , height, width] = x.shape;
  const data = scope(() => toDtype(contiguous(permute(addScalar(mulScalar(x, 255), 0.5), [0, 2, 3, 1])), 'uint8').toArray() as Uint8Array); // truncation after + ½ rounds
  return { width, height, channels: 3, data: data.subarray(0, width * height * 3) };
}

/** One image through the generator on its device, float32. Height and width must be multiples of `generator.multiple`. */
export function generate(generator: Generator, blur: RgbImage, device: Players['device']): RgbImage {
  return scope(() => noGrad(() => tensorToImage(restore(generator, channelsLast(imagesToTensor(blur.data, [1, blur.height, blur.width], device))))));
}

function stack(rows: readonly RgbImage[]): RgbImage {
  const width = Math.max(...rows.map((row) => row.width));
  const height = rows.reduce((sum, row) => sum + row.height, 0);
  const data = new Uint8Array(width * height * 3);
  let y = 0;
  for (const row of rows) {
    for (let line = 0; line < row.height; line++) data.set(row.data.subarray(line * row.width * 3, (line + 1) * row.width * 3), ((y + line) * width) * 3);
    y += row.height;
  }
  return { width, height, channels: 3, data };
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** `between` is called before each pair, and may throw. */
export interface Validator { validate(between?: () => void): Promise<Validation>; release(): void }

/** Centre crops of a held-out pair, as large as validation takes them. Throws DataError when the picture is smaller than the network's step. */
async function readCentre(pair: Pair, { generator: { multiple }, config: { validationCrop } }: Players): Promise<{ blur: RgbImage; sharp: RgbImage }> {
  const { blur, sharp } = await readPair(pair);
  const [width, height] = [sharp.width, sharp.height].map((length) => Math.floor(Math.min(length, validationCrop) / multiple) * multiple);
  if (width === 0 || height === 0) throw new DataError(`${pair.name}: ${sharp.width}×${sharp.height} is too small to validate this network, which needs ${multiple} pixels`);
  return { blur: centreCrop(blur, width, height), sharp: centreCrop(sharp, width, height) };
}

/**
 * A second generator that holds the averaged weights while validating, so that training goes on undisturbed. The pairs are read here, so that
 * one that can't be read is met before the first step. Those without blur are left out where others are there: their PSNR has no bound, and
 * would choose the best checkpoint alone.
 */
export async function makeValidator(players: Players, pairs: readonly Pair[]): Promise<Validator> {
  const { config, device, ema } = players;
  const read = await mapInOrder(spread(pairs, config.validationPairs), (pair) => readCentre(pair, players));
  const blurred = read.filter(({ blur, sharp }) => Buffer.compare(blur.data, sharp.data) !== 0);
  const chosen = blurred.length > 0 ? blurred : read;
  const inputPsnr = mean(chosen.map(({ blur, sharp }) => psnr(blur, sharp)));
  const generator = makeGenerator(config.generator);
  generator.moveTo(device);
  generator.eval();

  return {
    async validate(between = () => {}) {
      noGrad(() => generator.stateDict().forEach((value, name) => copy_(value, ema.average.get(name)!)));
      const rows: RgbImage[] = [], scores: number[] = [];
      for (const { blur, sharp } of chosen) {
        await nextTick();
        between();
        const generated = generate(generator, blur, device);
        scores.push(psnr(generated, sharp));
        if (rows.length < 4) rows.push(besideEachOther([blur, sharp, generated]));
      }
      return { psnr: mean(scores), inputPsnr, panel: stack(rows) };
    },
    release: () => generator.release(),
  };
}
