/** Which metrics a set of pictures is large enough for: who has not asked for MS-SSIM by name should not lose PSNR to it. */
import { mapInOrder } from './data/in-order.js';
import { sizeOfPicture, type Picture } from './data/pair.js';
import type { Size } from './data/scale.js';
import { metricNames, shortestSides, type MetricName } from './metrics/index.js';

export interface FittingMetrics {
  metrics: MetricName[];
  /** One sentence for each that is left out. */
  notes: string[];
}

/**
 * The metrics that were `asked` for; else those of `all` that every pair's sharp picture is large enough for, by its header, when it is measured in
 * a centred window of `crop` pixels (default: whole), without `shave` at each edge. All pairs have the same metrics, so that their means are over the same pairs.
 */
export async function fittingMetrics(
  pairs: readonly { name: string; sharp: Picture }[],
  { asked, all = metricNames, crop, shave = 0 }: { asked?: readonly MetricName[]; all?: readonly MetricName[]; crop?: number; shave?: number },
): Promise<FittingMetrics> {
  if (asked) return { metrics: [...asked], notes: [] };
  const sizes = await mapInOrder(pairs, async ({ name, sharp }) => {
    const size = crop === undefined ? await sizeOfPicture(sharp) : { width: crop, height: crop };
    const { width, height } = size ?? { width: Infinity, height: Infinity }; // measuring says what is wrong with it
    return { name, width: width - 2 * shave, height: height - 2 * shave };
  });
  const sideOf = ({ width, height }: Size): number => Math.min(width, height);
  const smallest = sizes.reduce((a, b) => (sideOf(b) < sideOf(a) ? b : a));
  const fits = (metric: MetricName): boolean => sideOf(smallest) >= shortestSides[metric];
  return {
    metrics: all.filter(fits),
    notes: all.filter((metric) => !fits(metric)).map((metric) => `${metric} is left out: it needs ${shortestSides[metric]}×${shortestSides[metric]}, and ${smallest.name} has ${smallest.width}×${smallest.height}`),
  };
}
