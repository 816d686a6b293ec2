/** One blurred picture and its sharp partner: where they lie on disk, and how they are read. Plain data, so that it crosses to worker threads. */
import sharp from 'sharp';
import { DataError, messageOf } from '../errors.js';
import { cropImage, type RgbImage } from '../image/image.js';
import { readRgb } from '../image/codec-node.js';
import { blurPhoto, type BlurRecipe } from '../blur/index.js';
import { randomAt } from '../random.js';
import type { Size } from './scale.js';

/** A picture file, or one half of a side-by-side one. */
export interface Picture { file: string; half?: 'left' | 'right' }

/** A blur that is made from the sharp picture when it is read; the same seed makes the same blur. */
export interface SyntheticBlur { recipe: BlurRecipe; seed: number }

/** `name` is unique within a split. `scene` groups the frames of one recording, so that a held-out scene is held out whole. */
export interface Pair { name: string; scene: string; sharp: Picture; blur: Picture | SyntheticBlur }

/** Decodes a whole file; the loader passes its cache here. */
export type Decode = (file: string) => Promise<RgbImage>;

/** Whether the pair's blur lies on disk, rather than being made. */
export function isRealPair(pair: Pair): pair is Pair & { blur: Picture } {
  return 'file' in pair.blur;
}

/** The pixels of a picture. Throws DataError naming the file when it can't be read, or is halved and of odd width. */
export async function readPicture(picture: Picture, decode: Decode = readRgb): Promise<RgbImage> {
  let image: RgbImage;
  try {
    image = await decode(picture.file);
  } catch (error) {
    throw new DataError(messageOf(error), { cause: error });
  }
  if (picture.half === undefined) return image;
  if (image.width % 2 !== 0) {
    throw new DataError(`${picture.file}: expected a side-by-side pair of even width, got ${image.width}×${image.height}`);
  }
  const width = image.width / 2;
  return cropImage(image, picture.half === 'left' ? 0 : width, 0, width, image.height);
}

/** The size of what readPicture gives, from the file's header alone; undefined when that can't be read: reading the picture says why. */
export async function sizeOfPicture({ file, half }: Picture): Promise<Size | undefined> {
  try {
    const { width, height } = (await sharp(file).metadata()).autoOrient;
    return { width: half === undefined ? width : width / 2, height };
  } catch {
    return undefined;
  }
}

/**
 * Both pictures, 8-bit RGB, of equal size. Throws DataError naming the file when one can't be read or the sizes differ.
 * A synthetic blur is applied to the whole picture, from its own seed.
 */
export async function readPair(pair: Pair, decode: Decode = readRgb): Promise<{ blur: RgbImage; sharp: RgbImage }> {
  if (!isRealPair(pair)) {
    const { recipe, seed } = pair.blur as SyntheticBlur;
    return blurPhoto(await readPicture(pair.sharp, decode), randomAt(seed), recipe);
  }
  const [blur, sharp] = await Promise.all([readPicture(pair.blur, decode), readPicture(pair.sharp, decode)]);
  if (blur.width !== sharp.width || blur.height !== sharp.height) {
    throw new DataError(`${pair.blur.file}: ${blur.width}×${blur.height}, but its sharp partner ${pair.sharp.file} is ${sharp.width}×${sharp.height}; expected equal sizes`);
  }
  return { blur, sharp };
}

/** The GoPro sequence in a name, such as GOPR0384_11_00. */
export function goproSequence(name: string): string | undefined {
  return /GOPR\d{4}_\d{2}_\d{2}/.exec(name)?.[0];
}

/** Which of the names are of each GoPro sequence, in the order of the sequences; names without one are in none. */
export function bySequence(names: readonly string[]): [sequence: string, indices: number[]][] {
  const groups = new Map<string, number[]>();
  names.forEach((name, i) => {
    const sequence = goproSequence(name);
    if (sequence) groups.set(sequence, [...groups.get(sequence) ?? [], i]);
  });
  return [...groups].sort(([a], [b]) => (a < b ? -1 : 1));
}

/**
 * The recording that a picture comes from, read from its name (folders included, without extension): a GoPro sequence; the prefix of a
 * REDS frame (`train_000_00000012`, `000/00000012`); the folder of numbered frames; else the name itself.
 */
export function sceneOf(name: string): string {
  return goproSequence(name) ?? /^(.*\d{3})[_/]\d{8}$/.exec(name)?.[1] ?? /^(.+)\/\d+$/.exec(name)?.[1] ?? name;
}
