/**
 * Progressive crops: small crops in large batches first, larger ones in smaller batches later, so that a network meets surroundings as wide as whole
 * pictures have, without paying for them from the start (Restormer, arXiv 2111.09881, section 4.1).
 */
import type { Config } from './config.js';

/** What a step takes: side of the crops, pixels, and images that a process takes at once. */
export interface Stage { readonly crop: number; readonly batchSize: number }

/** All stages of a run, in order. */
export const stagesOf = ({ crop, batchSize, progressive }: Config): Stage[] => [{ crop, batchSize }, ...progressive];

/** The stage at `progress` in [0, 1]: the last one that has begun. */
export function stageAt({ crop, batchSize, progressive }: Config, progress: number): Stage {
  return progressive.findLast(({ from }) => progress >= from) ?? { crop, batchSize };
}
