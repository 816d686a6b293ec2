/** Synthetic motion blur: sharp photo in, blurred photo and its target out. */
import { cropImage, type RgbImage } from '../image/image.js';
import type { Random } from '../random.js';
import { convolveInside, radiusOf } from './kernel.js';
import { fromLinear, toLinear, wholeOf, type Area } from './linear.js';
import { blurAsCamera } from './photo.js';
import { kernelOfPath, randomTrajectory, shortenPath } from './trajectory.js';
import { blurUniformly } from './uniform.js';

export const blurRecipes = ['shake', 'photo', 'uniform'] as const;

/**
 * `shake`: one random camera-shake trajectory for the whole picture (Boracchi and Foi), 6, 30 or 60 pixels long.
 * `uniform`: one kernel for the whole picture, of many kinds, also with dark borders; see uniform.ts.
 * `photo`: what cameras do, for models that are to work on real photos; see photo.ts for what is drawn.
 */
export type BlurRecipe = typeof blurRecipes[number];

/**
 * Blurs a sharp 8-bit RGB picture of any size, or an `area` of it, into which light comes from the rest; both results have its size. Light is averaged, not encoded values. The
 * target is the picture in the middle of the exposure (`shake`: at the trajectory's centroid), so blur and target are
 * aligned. The same picture and position of `random` give the same bytes. The input is not changed. Throws RangeError for an area that isn't inside the picture.
 */
export function blurPhoto(sharp: RgbImage, random: Random, recipe: BlurRecipe, { area = wholeOf(sharp) } = {}): { blur: RgbImage; sharp: RgbImage } {
  const within = (image: RgbImage): RgbImage => cropImage(image, area.x, area.y, area.width, area.height);
  switch (recipe) {
    case 'shake': return { blur: blurByShake(sharp, random, area), sharp: within(sharp) };
    case 'photo': return blurAsCamera(sharp, random, area);
    case 'uniform': return { blur: within(blurUniformly(sharp, random)), sharp: within(sharp) };
  }
}

/** Shutter times of DeblurGAN's generator, as shares of a 60 pixels long trajectory. */
const exposures = [1 / 10, 1 / 2, 1] as const;

function blurByShake(sharp: RgbImage, random: Random, area: Area): RgbImage {
  const kernel = kernelOfPath(shortenPath(randomTrajectory(random), random.pick(exposures)));
  return fromLinear(convolveInside(toLinear(sharp, { area, padding: radiusOf(kernel) }), kernel));
}
