/**
 * The demo: `make demo` deblurs a generated scene and measures the result; `make demo PHOTO=path` deblurs a picture of one's own.
 *
 * Writes demo/panel.png: blur | deblurred | sharp, or before | after.
 */
import { mkdir } from 'node:fs/promises';
import { basename } from 'node:path';
import { blurPhoto } from '../src/blur/index.js';
import { generateScene } from '../src/blur/scenes.js';
import { deblurImage } from '../src/deblur.js';
import { deblurFiles, planJobs } from '../src/deblur-files.js';
import { messageOf } from '../src/errors.js';
import { readRgb, writeImage } from '../src/image/codec-node.js';
import { besideEachOther, type RgbImage } from '../src/image/image.js';
import { psnr } from '../src/metrics/psnr.js';
import { findModel } from '../src/model-path.js';
import { randomAt } from '../src/random.js';
import { openModel, type Model } from '../src/runtime/session.js';

const panel = 'demo/panel.png';
const seed = 9; // a blur that suits the model, on letters (README.md says how others fare)

async function sample(model: Model): Promise<void> {
  const scene = generateScene(randomAt(seed), 720, 480);
  const { blur, sharp } = blurPhoto(scene, randomAt(seed, 1), 'photo');
  const started = performance.now();
  const { image, tiles } = await deblurImage(model, blur);
  const seconds = (performance.now() - started) / 1000;
  const deblurred = image as RgbImage; // RGB of 8 bits in, the same out
  await writeImage(panel, besideEachOther([blur, deblurred, sharp]));
  console.log(`a generated scene, ${blur.width}×${blur.height}, blurred as a moving camera would`);
  console.log(`deblurred in ${seconds.toFixed(1)} s (${model.name} on ${model.device}, ${tiles} tile${tiles === 1 ? '' : 's'})`);
  console.log(`PSNR ${psnr(blur, sharp).toFixed(2)} → ${psnr(deblurred, sharp).toFixed(2)} dB`);
  console.log(`${panel}: blur | deblurred | sharp`);
}

async function photo(model: Model, path: string): Promise<void> {
  const { jobs, failed } = await planJobs([path]);
  const report = await deblurFiles(model, jobs, { onNote: (input, note) => console.log(`${basename(input)}: ${note}`) });
  for (const { message } of [...failed, ...report.failed]) throw new Error(message);
  for (const { input, output, width, height, seconds, unblurred } of report.images) {
    console.log(`${input} → ${output}  ${width}×${height}, ${unblurred ? 'left as it is: it does not look motion-blurred' : `${seconds.toFixed(1)} s (${model.name} on ${model.device})`}`);
  }
  const [{ input, output }, ...others] = report.images;
  if (others.length > 0) return; // a folder: no panel
  await writeImage(panel, besideEachOther([await readRgb(input), await readRgb(output)]));
  console.log(`${panel}: before | after`);
}

try {
  const model = await openModel((await findModel('default')).path);
  await mkdir('demo', { recursive: true });
  const [path] = process.argv.slice(2);
  await (path === undefined ? sample(model) : photo(model, path));
  await model.release();
} catch (error) {
  console.error(`demo: ${messageOf(error)}`);
  process.exitCode = 1;
}
