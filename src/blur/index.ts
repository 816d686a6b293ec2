/** Synthetic motion blur: sharp photo in, blurred photo and its target out. */
import type { RgbImage } from '../image/image.js';
import type { Random } from '../random.js';
import { convolve } from './kernel.js';
import { fromLinear, toLinear } from './linear.js';
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
 * Blurs a sharp 8-bit RGB picture of any size; both results have its size. Light is averaged, not encoded values. The
 * target is the picture in the middle of the exposure (`shake`: at the trajectory's centroid), so blur and target are
 * aligned. The same picture and position of `random` give the same bytes. The input is not changed; `sharp` may be it.
 */
export function blurPhoto(sharp: RgbImage, random: Random, recipe: BlurRecipe): { blur: RgbImage; sharp: RgbImage } {
  switch (recipe) {
    case 'shake': return { blur: blurByShake(sharp, random), sharp };
    case 'photo': return blurAsCamera(sharp, random);
    case 'uniform': return { blur: blurUniformly(sharp, random), sharp };
  }
}

/** Shutter times of DeblurGAN's generator, as shares of a 60 pixels long trajectory. */
const exposures = [1 / 10, 1 / 2, 1] as const;

function blurByShake(sharp: RgbImage, random: Random): RgbImage {
  const trajectory = shortenPath(randomTrajectory(random), random.pick(exposures));
  return fromLinear(convolve(toLinear(sharp), kernelOfPath(trajectory)));
}
