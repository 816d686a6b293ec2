/** How far along it is and how long it will take: tiles that are done, and within a tile what earlier photos let expect. */
import type { Progress } from '../../src/progress.js';
import type { Running } from './messages.js';

export interface Estimate { share: number; secondsLeft: number | undefined }

/** Seconds for a megapixel, before this device has been measured: on the slow side. */
const firstGuess = { webgpu: 2, wasm: 30 };

const keyOf = ({ device, threads, name }: Running): string => `unshake.speed.${device}.${threads}.${name}`;

function remembered(running: Running): number {
  const value = Number(localStorage.getItem(keyOf(running)));
  return value > 0 ? value : firstGuess[running.device] / running.threads;
}

/** Keeps how long a photo took, for the next one. */
export function rememberSpeed(running: Running, pixels: number, seconds: number): void {
  try {
    localStorage.setItem(keyOf(running), String(seconds / (pixels / 1e6)));
  } catch {
    // No storage (a private window): the next estimate is a guess again.
  }
}

/** Starts the clock. `at` may be asked as often as wanted. */
export function startEstimate(running: Running, pixels: number): { tick: (progress: Progress) => void; at: () => Estimate } {
  const started = performance.now();
  const guess = remembered(running) * (pixels / 1e6);
  let progress: Progress = { done: 0, total: 1 }, last = started;
  return {
    tick(now) {
      if (now.done > progress.done) last = performance.now(); // the first report says 0, a while after the start: the bar doesn't fall back
      progress = now;
    },
    at() {
      const { done, total } = progress, now = performance.now();
      const each = done > 0 ? (last - started) / 1000 / done : guess / total;
      const sinceLast = (now - last) / 1000;
      // Within a tile the bar approaches the next step without reaching it: it never stands still, and never runs ahead.
      const within = done < total ? 1 - Math.exp(-1.6 * sinceLast / each) : 0;
      const left = each * (total - done) - sinceLast;
      return { share: (done + 0.97 * within) / total, secondsLeft: left > 0.5 ? left : undefined };
    },
  };
}

/** "about 20 seconds left", in steps that don't flicker. */
export function timeText(seconds: number | undefined): string {
  if (seconds === undefined) return 'almost there';
  if (seconds < 8) return 'a few seconds left';
  if (seconds < 90) return `about ${Math.ceil(seconds / 10) * 10} seconds left`;
  return `about ${Math.ceil(seconds / 60)} minutes left`;
}
