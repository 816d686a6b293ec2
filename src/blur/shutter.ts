/** A long exposure that is the mean of short ones with gaps between them, as when the frames of a fast camera are averaged. */
import type { Random } from '../random.js';
import type { Path } from './trajectory.js';

/** An odd number of frames, each open for this part of its time, in the middle of it. */
export interface Shutter { readonly frames: number; readonly open: number }

/** As many frames as GoPro's pairs were averaged from, 7 to 13. */
export function randomShutter(random: Random): Shutter { return { frames: 7 + 2 * random.integer(4), open: random.uniform() }; }

/** At least as many moments as asked for: with a shutter, an odd number in each of its frames, so that the middle one is open. */
export function momentsFor(moments: number, shutter?: Shutter): number {
  return shutter ? shutter.frames * Math.max(3, 2 * Math.ceil(moments / shutter.frames / 2) + 1) : moments;
}

/** A filter of `moments` equally spaced moments that keeps those with the shutter open: the middle one of each frame at least. */
export function isOpen({ frames, open }: Shutter, moments: number): (value: unknown, moment: number) => boolean {
  const each = moments / frames;
  return (_, moment) => Math.abs((moment % each) - (each - 1) / 2) <= open * each / 2;
}

/** What of a path is seen; all of it without a shutter. */
export function openPath(path: Path, shutter?: Shutter): Path {
  if (!shutter) return path;
  const open = isOpen(shutter, path.x.length);
  return { x: path.x.filter(open), y: path.y.filter(open) };
}
