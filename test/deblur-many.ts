/**
 * A process that deblurs noise and prints what it takes, for the memory test:
 * node deblur-many.js mixed|equal COUNT gives the resident MiB after each of COUNT pictures, of sizes from small to large or of one
 * size; node deblur-many.js WIDTHxHEIGHT gives one run's number of tiles and its peak.
 */
import { readFileSync } from 'node:fs';
import { deblurImage } from '../src/deblur.js';
import { randomAt } from '../src/random.js';
import { openModel } from '../src/runtime/session.js';
import { noisyImage } from './small-images.js';
import { identityModel, wideModel } from './small-models.js';

const [wanted, count] = process.argv.slice(2);
const size = /^(\d+)x(\d+)$/.exec(wanted);
if (size) {
  // Two maps of 256 channels live at once: 2 KiB a pixel, which a 1280×720 picture must not need all at once.
  const model = await openModel(wideModel(256, 0));
  const { tiles } = await deblurImage(model, noisyImage(Number(size[1]), Number(size[2])));
  const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))![1]) / 1024;
  process.stdout.write(JSON.stringify({ tiles, peak }));
} else {
  const model = await openModel(wanted === 'mixed' ? wideModel(64, 2) : identityModel());
  const random = randomAt(5), image = noisyImage(1000, 700);
  const resident: number[] = [];
  for (let index = 0; index < Number(count); index++) {
    const picture = wanted === 'mixed' ? noisyImage(40 + random.integer(300), 40 + random.integer(200), random.pick([1, 3, 4]), random.pick([8, 16]), index) : image;
    await deblurImage(model, picture);
    resident.push(process.memoryUsage.rss() / 2 ** 20);
  }
  process.stdout.write(JSON.stringify(resident));
}
