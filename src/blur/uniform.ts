/**
 * The recipe `uniform`: one kernel for the whole picture, as most published synthetic sets were made. Half of the kernels are
 * camera-shake trajectories about their centroid, half the motions of photo.ts about the exposure's middle; half of the pictures
 * are averaged as encoded values instead of as light; and half see black beyond their edge, so that their borders darken.
 */
import type { RgbImage } from '../image/image.js';
import type { Random } from '../random.js';
import { convolve } from './kernel.js';
import { defaultGamma, fromLinear, toLinear } from './linear.js';
import { randomLength, randomPath } from './motion.js';
import { kernelOfPath, randomTrajectory } from './trajectory.js';

/** Bounds of the shake trajectories' path length in pixels; log-uniform between them. */
const shakeLength = [5, 60] as const;

/** The blurred picture, of the same size. Same bytes for the same `random`. */
export function blurUniformly(sharp: RgbImage, random: Random): RgbImage {
  const gamma = random.uniform() < 0.5 ? 1 : defaultGamma;
  const border = random.uniform() < 0.5 ? 'black' : 'reflect';
  return fromLinear(convolve(toLinear(sharp, { gamma }), random.uniform() < 0.5 ? shakeKernel(random) : motionKernel(random), { border }), { gamma });
}

function shakeKernel(random: Random): ReturnType<typeof kernelOfPath> {
  const [least, most] = shakeLength;
  return kernelOfPath(randomTrajectory(random, { maxLength: least * (most / least) ** random.uniform() }));
}

function motionKernel(random: Random): ReturnType<typeof kernelOfPath> {
  const length = randomLength(random);
  return kernelOfPath(randomPath(random, length, 8 * Math.ceil(length) + 1), { centre: 'given' });
}
