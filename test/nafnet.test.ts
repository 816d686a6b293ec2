/** NAFNet's weights as its authors save them: opened, exported, used and trained on as any model. Skipped, visibly, where libtorch is missing. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadSafetensors, memory, scope, status } from '@unshake/libtorch';
import { loadGenerator } from '../src/checkpoint.js';
import { parseConfig } from '../src/config.js';
import { deblurImage } from '../src/deblur.js';
import { openEngine } from '../src/engines.js';
import { CheckpointError } from '../src/errors.js';
import { openNamedModel } from '../src/open-model.js';
import { train } from '../src/train.js';
import { writePairs } from './data-pictures.js';
import { noisyImage } from './small-images.js';

const { available, reason } = status();
const skip = available ? false : `libtorch: ${reason}`;
const fixture = (name: string): string => fileURLToPath(new URL(`../../test/fixtures/${name}`, import.meta.url));
let folder: string, weights: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'unshake-nafnet-'));
  weights = join(folder, 'NAFNet small (1).pth');
  await copyFile(fixture('networks/nafnet_width8.pth'), weights);
});
after(() => rm(folder, { recursive: true }));

test('the shapes of the weights say which NAFNet it is, and all are read', { skip }, () => {
  const live = memory().tensors;
  const { generator, config, step } = loadGenerator(weights);
  assert.deepEqual(config.generator, { type: 'nafnet', width: 8, encoder: [1, 2], middle: 1, decoder: [2, 1], window: 384 });
  assert.deepEqual([config.name, step], ['NAFNet-small-1-', null]);
  const state = generator.stateDict();
  scope(() => {
    for (const [name, value] of loadSafetensors(fixture('networks/nafnet_width8.safetensors')).tensors) {
      if (name.startsWith('weight.')) assert.deepEqual(state.get(name.slice('weight.'.length))!.toArray(), value.toArray(), name);
    }
  });
  generator.release();
  assert.equal(memory().tensors, live, 'tensors left behind');
});

test('it deblurs through ONNX Runtime what libtorch does, whole, of sides that are no multiples', { skip }, async () => {
  const picture = noisyImage(61, 43, 3, 8, 5);
  const models = [await openNamedModel(weights), (await openEngine(weights)).model];
  const [onnx, libtorch] = await Promise.all(models.map(async (model) => (await deblurImage(model, picture)).image.data));
  assert.deepEqual(models.map(({ name, whole, invents }) => [name, whole, invents]), [['NAFNet-small-1-', true, false], ['NAFNet-small-1-', true, false]]);
  assert.ok(onnx.every((value, i) => Math.abs(value - libtorch[i]) <= 1), 'at most one step of 8 bits from rounding');
  assert.ok(onnx.some((value, i) => value !== picture.data[i]));
  for (const model of models) await model.release();
});

test('a run starts from it, and one of another size is refused', { skip }, async () => {
  const data = join(folder, 'data');
  await writePairs(data, ['a', 'b', 'c'], { width: 32, height: 32 });
  const settings = (width: number) => parseConfig({
    data: [{ path: data }], steps: 1, crop: 32, precision: 'fp32', ema: 0, augment: 'none', generator: { type: 'nafnet', width, encoder: [1, 2], middle: 1, decoder: [2, 1] },
    losses: { pixel: { type: 'psnr', weight: 1 } }, optimizer: { lr: 1e-12 },
  }, 'test');
  const run = join(folder, 'run');
  await train(settings(8), run, { initFrom: weights });
  const [before, after] = [weights, join(run, 'checkpoints/best.safetensors')].map((path) => loadGenerator(path).generator);
  const states = [before, after].map((generator) => generator.stateDict());
  for (const [name, value] of states[0]) assert.ok((value.toArray() as Float32Array).every((x, i) => Math.abs(x - (states[1].get(name)!.toArray() as Float32Array)[i]) < 1e-9), name);
  for (const generator of [before, after]) generator.release();
  await assert.rejects(train(settings(4), join(folder, 'other'), { initFrom: weights }), (error: Error) => error instanceof CheckpointError && /can't start this run/.test(error.message));
});

test('another network, a damaged file and a cut one are refused by name, and nothing is left behind', { skip }, async () => {
  const bytes = await readFile(weights), live = memory().tensors;
  const cut = join(folder, 'cut.pth'), broken = join(folder, 'broken.pth');
  await writeFile(cut, bytes.subarray(0, bytes.length - 9000));
  await writeFile(broken, 'no weights at all');
  for (const [path, message] of [[fixture('weights/zip.pth'), /zip\.pth: of \.pth files only NAFNet's weights are known/], [cut, /cut\.pth: the weights can't be read/], [broken, /broken\.pth/], [join(folder, 'none.pth'), /none\.pth/]] as const) {
    assert.throws(() => loadGenerator(path), (error: Error) => error instanceof CheckpointError && message.test(error.message), path);
  }
  assert.equal(memory().tensors, live, 'tensors left behind');
});
