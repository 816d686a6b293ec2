/**
 * A process that deblurs noise and prints its resident memory, for the memory test: node deblur-many.js COUNT | WIDTHxHEIGHT.
 * COUNT pictures of mixed sizes, the largest first, give one MiB value each; a size gives one run and the peak.
 */
import { readFileSync } from 'node:fs';
import { deblurImage } from '../src/deblur.js';
import { randomAt } from '../src/random.js';
import { openModel } from '../src/runtime/session.js';
import { noisyImage } from './small-images.js';
import { wideModel } from './small-models.js';

const [wanted] = process.argv.slice(2);
const size = /^(\d+)x(\d+)$/.exec(wanted);
if (size) {
  // Two maps of 256 channels live at once: 2 KiB a pixel, which a 1280×720 picture must not need all at once.
  const model = await openModel(wideModel(256, 0));
  const { tiles } = await deblurImage(model, noisyImage(Number(size[1]), Number(size[2])));
  const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))![1]) / 1024;
  process.stdout.write(JSON.stringify({ tiles, peak }));
} else {
  const model = await openModel(wideModel(48, 3));
  const random = randomAt(5);
  const resident: number[] = [];
  for (let index = 0; index < Number(wanted); index++) {
    const [width, height] = index === 0 ? [440, 340] : [40 + random.integer(400), 40 + random.integer(300)];
    await deblurImage(model, noisyImage(width, height, random.pick([1, 3, 4]), random.pick([8, 16]), index));
    resident.push(process.memoryUsage.rss() / 2 ** 20);
  }
  process.stdout.write(JSON.stringify(resident));
}
