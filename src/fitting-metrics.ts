/** Which metrics a set of pictures is large enough for: who has not asked for MS-SSIM by name should not lose PSNR to it. */
import { mapInOrder } from './data/in-order.js';
import { sizeOfPicture, type Picture } from './data/pair.js';
import { shortestSides, type MetricName } from './metrics/index.js';

export interface FittingMetrics {
  metrics: MetricName[];
  /** One sentence for each that is left out. */
  notes: string[];
}

/**
 * The metrics that all pictures are large enough for, by their headers, when they are measured in a centred window of `crop` pixels (default:
 * whole), without `shave` at each edge. All pictures have the same metrics, so that their means are over the same pictures.
 */
export async function fittingMetrics(pictures: readonly { name: string; picture: Picture }[], wanted: readonly MetricName[], { crop, shave = 0 }: { crop?: number; shave?: number } = {}): Promise<FittingMetrics> {
  const sizes = await mapInOrder(pictures, async ({ name, picture }) => {
    const size = await sizeOfPicture(picture);
    const width = (crop ?? size?.width ?? Infinity) - 2 * shave, height = (crop ?? size?.height ?? Infinity) - 2 * shave;
    return { name, width, height, side: Math.min(width, height) };
  });
  const smallest = sizes.reduce((a, b) => (b.side < a.side ? b : a));
  const fits = (metric: MetricName): boolean => smallest.side >= shortestSides[metric];
  return {
    metrics: wanted.filter(fits),
    notes: wanted.filter((metric) => !fits(metric)).map((metric) => `${metric} is left out: it needs ${shortestSides[metric]}×${shortestSides[metric]}, and ${smallest.name} has ${smallest.width}×${smallest.height}`),
  };
}
