import { throwIfAborted } from '../errors.js';
import type { LongWork } from '../progress.js';

/**
 * Runs `work` on every item, `lanes` at a time (decoders run in threads of their own), and gives the results in the items' order.
 * The first failure stops what has not begun, and is thrown when what had begun has ended.
 */
export async function mapInOrder<T, R>(items: readonly T[], work: (item: T, index: number) => Promise<R>, { onProgress, signal }: LongWork = {}, lanes = 4): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0, done = 0;
  let failure: { error: unknown } | undefined;
  const lane = async (): Promise<void> => {
    while (next < items.length && !failure) {
      const index = next++;
      try {
        throwIfAborted(signal);
        results[index] = await work(items[index], index);
        onProgress?.({ done: ++done, total: items.length });
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(lanes, items.length) }, lane));
  if (failure) throw failure.error;
  return results;
}
