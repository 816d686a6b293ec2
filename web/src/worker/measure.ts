/** The five metrics of the photo and of the result against a sharp reference. */
import { MetricError } from '../../../src/errors.js';
import { measure as measureMetrics } from '../../../src/metrics/index.js';
import type { Measured, Result } from '../messages.js';
import { blend, decode } from './pixels.js';

const metrics = ['psnr', 'ssim', 'msssim', 'fsim', 'vif'] as const;

/** Throws MetricError when the reference has another size, or the pictures are too small for a metric. */
export async function measure(file: Blob, result: Result, strength: number, referenceFile: Blob): Promise<Measured> {
  const [before, reference] = [await decode(file), await decode(referenceFile)];
  if (before.width !== reference.width || before.height !== reference.height) {
    throw new MetricError(`The reference must have the photo’s size, ${before.width} × ${before.height} pixels; it has ${reference.width} × ${reference.height}.`);
  }
  const after = { ...before, data: blend(before.data, result.data, strength) };
  return { metrics, before: measureMetrics(before, reference, { metrics }), after: measureMetrics(after, reference, { metrics }) };
}
