/**
 * `node dist/examples/pictures.js` makes the documentation's pictures of the shipped model anew, and prints the numbers that stand beside them:
 * docs/results/default-lengths.jpg, web/public/example-after.jpg, and docs/panel.jpg from demo/panel.png (`make demo`).
 */
import { blurPhoto } from '../src/blur/index.js';
import { convolve } from '../src/blur/kernel.js';
import { fromLinear, toLinear } from '../src/blur/linear.js';
import { randomPath } from '../src/blur/motion.js';
import { generateScene } from '../src/blur/scenes.js';
import { kernelOfPath } from '../src/blur/trajectory.js';
import { deblurImage } from '../src/deblur.js';
import { readRgb } from '../src/image/codec-node.js';
import { besideEachOther, type RgbImage } from '../src/image/image.js';
import { psnr } from '../src/metrics/psnr.js';
import { findModel } from '../src/model-path.js';
import { randomAt } from '../src/random.js';
import { openModel } from '../src/runtime/session.js';
import sharpImage from 'sharp';

const model = await openModel((await findModel('default')).path);
const deblurred = async (blur: RgbImage): Promise<RgbImage> => (await deblurImage(model, blur)).image as RgbImage; // 8-bit RGB in, the same out
const writeJpeg = async ({ width, height, data }: RgbImage, path: string, quality: number): Promise<void> => {
  await sharpImage(data, { raw: { width, height, channels: 3 } }).jpeg({ quality }).toFile(path);
};

await writeJpeg(await readRgb('demo/panel.png'), 'docs/panel.jpg', 82);
await writeJpeg(await deblurred(await readRgb('web/public/example.jpg')), 'web/public/example-after.jpg', 85);

const scene = generateScene(randomAt(3), 320, 200), rows: RgbImage[] = [];
for (const length of [6, 12, 30]) {
  const path = randomPath(randomAt(3, 1), length, 8 * length + 1);
  const blur = fromLinear(convolve(toLinear(scene), kernelOfPath(path, { centre: 'given' }))), after = await deblurred(blur);
  console.log(`a motion of ${length} pixels: ${psnr(blur, scene).toFixed(1)} → ${psnr(after, scene).toFixed(1)} dB`);
  rows.push(besideEachOther([blur, after, scene]));
}
await writeJpeg({ ...rows[0], height: 3 * rows[0].height, data: Buffer.concat(rows.map(({ data }) => data)) }, 'docs/results/default-lengths.jpg', 85);

const gains: number[] = [];
for (let seed = 1; seed <= 20; seed++) {
  const { blur, sharp } = blurPhoto(generateScene(randomAt(seed), 720, 480), randomAt(seed, 1), 'photo');
  const before = psnr(blur, sharp);
  if (before < 80) gains.push(psnr(await deblurred(blur), sharp) - before); // 80: not blurred at all
}
gains.sort((a, b) => a - b);
console.log(`${gains.length} scenes as the demo's: ${gains[0].toFixed(1)} to ${gains.at(-1)?.toFixed(1)} dB won, ${(gains.reduce((sum, gain) => sum + gain) / gains.length).toFixed(2)} on average, ${gains[gains.length >> 1].toFixed(2)} in the median`);
await model.release();
