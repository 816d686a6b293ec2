/** One bar on stderr, on a terminal only. */
import { SingleBar } from 'cli-progress';
import type { Progress } from '../src/progress.js';

/** Runs `work` with a progress bar that appears with the first report and goes when the work ends, however it does. */
export async function withProgress<T>(work: (onProgress: (progress: Progress) => void) => Promise<T>): Promise<T> {
  if (!process.stderr.isTTY) return work(() => {});
  const bar = new SingleBar({ format: '{bar} {value}/{total} {eta_formatted} {label}', stream: process.stderr, clearOnComplete: true });
  let started = false;
  try {
    return await work(({ done, total, label = '' }) => {
      if (started) {
        bar.setTotal(total);
        bar.update(done, { label });
      } else bar.start(total, done, { label });
      started = true;
    });
  } finally {
    if (started) bar.stop();
  }
}
