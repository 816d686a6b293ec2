/** Validation during training: clean PSNR of the averaged weights on held-out pairs, and a panel to look at. */
import { channelsLast, contiguous, copy_, mulScalar, noGrad, addScalar, permute, scope, toDtype, type Tensor } from '@unshake/libtorch';
import { readPair, type Pair } from './dataset.js';
import { DataError } from './errors.js';
import { besideEachOther, centreCrop, type RgbImage } from './image/image.js';
import { psnr } from './metrics/psnr.js';
import { makeGenerator, restore, type Generator } from './models/index.js';
import { imagesToTensor, type Players } from './players.js';

export interface Validation {
  /** Mean PSNR in dB, protocol clean, of the output and of the blurry input. */
  psnr: number;
  inputPsnr: number;
  /** Blur | sharp | generated, a row a pair, up to four. */
  panel: RgbImage;
}

/** At most `count` pairs, evenly spread over the list. */
export const spread = <T>(items: readonly T[], count: number): T[] =>
  items.length <= count ? [...items] : Array.from({ length: count }, (_, i) => items[Math.floor((i * items.length) / count)]);

/** N, 3, H, W in [0, 1] → the first image, 8-bit, rounded. */
export function tensorToImage(x: Tensor): RgbImage {
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

/** `between` is called before each pair, and may throw. */
export interface Validator { validate(between?: () => void): Promise<Validation>; release(): void }

/** A second generator that holds the averaged weights while validating, so that training goes on undisturbed. */
export function makeValidator(players: Players, pairs: readonly Pair[]): Validator {
  const { config, device, ema } = players;
  const generator = makeGenerator(config.generator);
  generator.moveTo(device);
  generator.eval();
  const chosen = spread(pairs, config.validationPairs);
  const fit = (length: number) => Math.floor(Math.min(length, config.validationCrop) / generator.multiple) * generator.multiple;

  return {
    async validate(between = () => {}) {
      noGrad(() => generator.stateDict().forEach((value, name) => copy_(value, ema.average.get(name)!)));
      const rows: RgbImage[] = [];
      let sum = 0, inputSum = 0;
      for (const pair of chosen) {
        between();
        const whole = await readPair(pair);
        const width = fit(whole.sharp.width), height = fit(whole.sharp.height);
        if (width === 0 || height === 0) throw new DataError(`${pair.name}: ${whole.sharp.width}×${whole.sharp.height} is too small to validate this network, which needs ${generator.multiple} pixels`);
        const blur = centreCrop(whole.blur, width, height), sharp = centreCrop(whole.sharp, width, height);
        const generated = generate(generator, blur, device);
        sum += psnr(generated, sharp);
        inputSum += psnr(blur, sharp);
        if (rows.length < 4) rows.push(besideEachOther([blur, sharp, generated]));
      }
      return { psnr: sum / chosen.length, inputPsnr: inputSum / chosen.length, panel: stack(rows) };
    },
    release: () => generator.release(),
  };
}
