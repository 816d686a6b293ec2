/** One training example: a crop of a pair at a position, flipped, that follow from (seed, step, index) alone. */
import { DataError } from '../errors.js';
import { resizeRgb, throughJpeg } from '../image/codec-node.js';
import { cropImage, type RgbImage } from '../image/image.js';
import { randomAt } from '../random.js';
import { blurPhoto, type BlurRecipe } from '../blur/index.js';
import { readPair, readPicture, type Decode, type Pair } from './pair.js';

export interface Orientations {
  /** Mirror left and right, half of the time. */
  flipHorizontal: boolean;
  /** Mirror top and bottom, half of the time. */
  flipVertical: boolean;
  /** Swap rows and columns, half of the time; with both flips, all eight orientations. */
  transpose: boolean;
}

/** Which pair, and where in the order of training. With `recipe` the sharp picture is blurred anew each time. */
export interface CropTask {
  pair: Pair;
  /** Side of the square crop, pixels. */
  crop: number;
  recipe?: BlurRecipe;
  /** Shrink by a factor of this range first; a picture that would become smaller than the crop is shrunk less. */
  rescale?: readonly [number, number];
  /** Shift the sharp crop to the mean colour of the blurry one. */
  keepTone?: boolean;
  /** Chance that the blurry crop is compressed as JPEG. */
  jpeg?: number;
  seed: number;
  step: number;
  index: number;
}

export interface Crop { blur: Uint8Array; sharp: Uint8Array }

/**
 * Synthetic blur is made on a window this much wider on each side, so that light can come in from outside of the crop. The pictures of `uniform` end
 * where the crop does: half of them have dark borders, which a network meets in the crop or never.
 */
export const blurMargin = 32;

/** Streams of random numbers at one (seed, step, index): the loader draws the pair from 0. */
const placeStream = 1, blurStream = 2, cameraStream = 3;

/** Bounds of the JPEG quality drawn for a compressed crop: a messenger's to a camera's. */
const jpegQuality = [50, 95] as const;

/** Both crops as interleaved 8-bit RGB, crop·crop·3 bytes each. Throws DataError naming the file when it is too small or unreadable. */
export async function drawCrop(task: CropTask, orientations: Orientations, decode: Decode): Promise<Crop> {
  const { pair, crop, recipe, rescale, keepTone = false, jpeg = 0, seed, step, index } = task;
  const random = randomAt(seed, step, index, placeStream);
  const whole = recipe === undefined ? await readPair(pair, decode) : { sharp: await readPicture(pair.sharp, decode) };
  const { width, height } = whole.sharp;
  if (width < crop || height < crop) {
    throw new DataError(`${pair.sharp.file}: ${width}×${height} is smaller than the crop, ${crop}×${crop}; take a smaller \`crop\`, or leave this picture out`);
  }
  const camera = randomAt(seed, step, index, cameraStream);
  const scale = rescale === undefined ? 1 : Math.max(crop / Math.min(width, height), rescale[0] * (rescale[1] / rescale[0]) ** camera.uniform());
  const side = Math.min(Math.round(crop / scale), width, height); // of the crop before it is shrunk
  const x = random.integer(width - side + 1), y = random.integer(height - side + 1);
  let blur: RgbImage, sharp: RgbImage;
  if ('blur' in whole) {
    [blur, sharp] = await Promise.all([whole.blur, whole.sharp].map((image) => resizeRgb(cropImage(image, x, y, side, side), crop, crop)));
  } else {
    const margin = recipe === 'uniform' ? 0 : Math.round((blurMargin * side) / crop);
    const left = Math.max(0, x - margin), top = Math.max(0, y - margin);
    const right = Math.min(width, x + side + margin), bottom = Math.min(height, y + side + margin);
    const shrunk = (length: number): number => Math.round((length * crop) / side);
    const window = await resizeRgb(cropImage(whole.sharp, left, top, right - left, bottom - top), shrunk(right - left), shrunk(bottom - top));
    const area = { x: Math.min(shrunk(x - left), window.width - crop), y: Math.min(shrunk(y - top), window.height - crop), width: crop, height: crop };
    ({ blur, sharp } = blurPhoto(window, randomAt(seed, step, index, blurStream), recipe as BlurRecipe, { area }));
  }
  if (keepTone) sharp = { ...sharp, data: inToneOf(sharp.data, blur.data) };
  if (camera.uniform() < jpeg) blur = await throughJpeg(blur, camera.between(...jpegQuality));
  const orientation: Orientation = {
    horizontal: random.uniform() < 0.5 && orientations.flipHorizontal,
    vertical: random.uniform() < 0.5 && orientations.flipVertical,
    transpose: random.uniform() < 0.5 && orientations.transpose,
  };
  return { blur: orient(blur.data, crop, orientation), sharp: orient(sharp.data, crop, orientation) };
}

/** `data` with each channel's mean moved to that of `other`, to the nearest 8-bit step. Plain loops over local sums: callbacks took half of a crop's time. */
function inToneOf(data: Uint8Array, other: Uint8Array): Uint8Array {
  let red = 0, green = 0, blue = 0;
  for (let i = 0; i < data.length; i += 3) {
    red += other[i] - data[i];
    green += other[i + 1] - data[i + 1];
    blue += other[i + 2] - data[i + 2];
  }
  const shift = (sum: number): number => Math.round((3 * sum) / data.length);
  const shiftRed = shift(red), shiftGreen = shift(green), shiftBlue = shift(blue);
  const out = new Uint8ClampedArray(data.length);
  for (let i = 0; i < data.length; i += 3) {
    out[i] = data[i] + shiftRed;
    out[i + 1] = data[i + 1] + shiftGreen;
    out[i + 2] = data[i + 2] + shiftBlue;
  }
  return new Uint8Array(out.buffer);
}

interface Orientation { horizontal: boolean; vertical: boolean; transpose: boolean }

/** Turns a square picture: out(y, x) is in(y, x) with x mirrored, then y mirrored, then both swapped. */
function orient(data: Uint8Array, side: number, { horizontal, vertical, transpose }: Orientation): Uint8Array {
  if (!horizontal && !vertical && !transpose) return data;
  const out = new Uint8Array(data.length);
  const [stepX, stepY] = transpose ? [side * 3, 3] : [3, side * 3];
  let to = 0;
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const from = (horizontal ? side - 1 - x : x) * stepX + (vertical ? side - 1 - y : y) * stepY;
      out[to++] = data[from];
      out[to++] = data[from + 1];
      out[to++] = data[from + 2];
    }
  }
  return out;
}
