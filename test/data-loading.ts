/** A loader for the data tests, opened and closed. */
import { openLoader, type Batch, type Loader, type LoaderOptions } from '../src/data.js';

export type Settings = Partial<LoaderOptions> & Pick<LoaderOptions, 'sources'>;

/** Batches of 4 crops of 16, one thread, unless `settings` say otherwise. */
export async function withLoader<T>(settings: Settings, use: (loader: Loader) => Promise<T>): Promise<T> {
  const loader = await openLoader({ seed: 5, batchSize: 4, crop: 16, workers: 1, ...settings });
  try {
    return await use(loader);
  } finally {
    await loader.close();
  }
}

/** Those of the given steps. */
export function batches(settings: Settings, steps: readonly number[]): Promise<Batch[]> {
  return withLoader(settings, async (loader) => {
    const result: Batch[] = [];
    for (const step of steps) result.push(await loader.batch(step));
    return result;
  });
}

/** Names of pairs. */
export const numbered = (count: number, prefix = 'p'): string[] => Array.from({ length: count }, (_, i) => `${prefix}${i}`);
