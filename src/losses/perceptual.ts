/** Distances between features of a classification network that was trained on ImageNet. */
import type { Config } from '../config.js';
import { ConfigError } from '../errors.js';
import type { AutocastOptions, Tensor } from '@unshake/libtorch';

export const perceptualTypes = ['vgg16', 'vgg16-blocks', 'vgg19', 'squeezenet', 'lpips', 'lpips-as-printed'] as const;
export type PerceptualType = (typeof perceptualTypes)[number];

export const lpipsNetworks = ['alex', 'vgg', 'squeeze'] as const;
export type LpipsNetwork = (typeof lpipsNetworks)[number];

export interface Perceptual {
  name: string;
  weight: number;
  release(): void;
  distance(generated: Tensor, sharp: Tensor, autocast: AutocastOptions): Tensor;
}

/** Throws ConfigError. */
export function makePerceptual({ losses: { perceptual } }: Pick<Config, 'losses'>): Perceptual | null {
  if (perceptual) throw new ConfigError('losses.perceptual: not there yet; --set losses.perceptual=null trains without');
  return null;
}
