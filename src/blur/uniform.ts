/**
 * The recipe `uniform`: one kernel for the whole picture, as most published synthetic sets were made. A third of the kernels are
 * camera-shake trajectories about their centroid, a third the motions of photo.ts about the exposure's middle, a third straight lines
 * at constant speed, as image editors draw motion blur and as pans are; half of those are level or upright. Half of the pictures are
 * averaged as encoded values instead of as light; and half see black beyond their edge, so that their borders darken.
 */
import type { RgbImage } from '../image/image.js';
import type { Random } from '../random.js';
import { convolve, type Kernel } from './kernel.js';
import { defaultGamma, fromLinear, toLinear } from './linear.js';
import { randomLength, randomPath } from './motion.js';
import { kernelOfPath, randomTrajectory } from './trajectory.js';

/** Bounds of path lengths in pixels; log-uniform between them. */
const shakeLengths = [5, 60] as const;
const lineLengths = [2, 30] as const;

/** The blurred picture, of the same size. Same bytes for the same `random`. */
export function blurUniformly(sharp: RgbImage, random: Random): RgbImage {
  const gamma = random.uniform() < 0.5 ? 1 : defaultGamma;
  const border = random.uniform() < 0.5 ? 'black' : 'reflect';
  return fromLinear(convolve(toLinear(sharp, { gamma }), random.pick(kernels)(random), { border }), { gamma });
}

const logUniform = (random: Random, [least, most]: readonly [number, number]): number => least * (most / least) ** random.uniform();

function shakeKernel(random: Random): Kernel {
  return kernelOfPath(randomTrajectory(random, { maxLength: logUniform(random, shakeLengths) }));
}

function motionKernel(random: Random): Kernel {
  const length = randomLength(random);
  return kernelOfPath(randomPath(random, length, 8 * Math.ceil(length) + 1), { centre: 'given' });
}

function lineKernel(random: Random): Kernel {
  const length = logUniform(random, lineLengths);
  const angle = random.uniform() < 0.5 ? random.pick([0, Math.PI / 2]) : random.between(0, Math.PI);
  const moments = 8 * Math.ceil(length) + 1;
  const along = (scale: number): Float64Array => Float64Array.from({ length: moments }, (_, i) => scale * length * ((i + 0.5) / moments - 0.5));
  return kernelOfPath({ x: along(Math.cos(angle)), y: along(Math.sin(angle)) }, { centre: 'given' });
}

const kernels = [shakeKernel, motionKernel, lineKernel] as const;
