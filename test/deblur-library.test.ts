/** `deblur()` as another project uses it, from the package's root. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { AbortedError, deblur, ImageError, ModelError, readImage, releaseModels, UsageError, writeImage, type Image } from '../src/index.js';
import { hardEdges, largestDifference, noisyImage } from './small-images.js';
import { boxModel } from './small-models.js';

let folder: string, model: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'unshake-'));
  model = join(folder, 'box.onnx');
  await writeFile(model, boxModel());
});
after(async () => {
  await releaseModels();
  await rm(folder, { recursive: true });
});

test('a path, bytes and samples give the same picture, each in its own kind', async () => {
  const image = noisyImage(90, 70), path = join(folder, 'photo.png'), named = join(folder, 'named.webp');
  await writeImage(path, image);
  const samples: Image = await deblur(image, { model });
  assert.ok(largestDifference(samples, image) > 5);
  assert.equal(largestDifference(image, noisyImage(90, 70)), 0, 'the input is as it was');

  const bytes: Uint8Array = await deblur(await readFile(path), { model });
  const picture = await readImage(bytes);
  assert.equal(picture.format, 'png');
  assert.equal(largestDifference(picture.image, samples), 0);

  const written: string = await deblur(path, { model });
  assert.equal(written, join(folder, 'photo.deblurred.png'));
  assert.equal(largestDifference((await readImage(written)).image, samples), 0);
  assert.equal(await deblur(path, { model, output: named }), named);
  assert.equal((await readImage(named)).format, 'webp');
});

test('a sharp photo comes back as it is: its very bytes, in memory of their own, unless the network is asked for', async () => {
  const path = join(folder, 'sharp.jpg'), notes: string[] = [];
  await writeImage(path, hardEdges(480, 360));
  const photo = await readFile(path), before = Buffer.from(photo);
  const left = await deblur(photo, { model, onNote: (note) => notes.push(note) });
  assert.deepEqual(Buffer.from(left), before);
  assert.match(notes.join(), /^it does not look motion-blurred and was left as it is/);
  left.fill(0);
  assert.deepEqual(photo, before);
  for (const asked of [{ force: true }, { tile: 128 }]) assert.notDeepEqual(Buffer.from(await deblur(photo, { model, ...asked })), before);
});

test('the model is opened once: later calls work without its file, calls at once wait for each other', async () => {
  const own = join(folder, 'own.onnx'), image = noisyImage(50, 40);
  await writeFile(own, boxModel());
  const first = await deblur(image, { model: own });
  await rm(own);
  const all = await Promise.all([40, 50, 60].map((width) => deblur(noisyImage(width, 40), { model: own })));
  assert.deepEqual(all.map(({ width }) => width), [40, 50, 60]);
  assert.equal(largestDifference(all[1], first), 0);
  await releaseModels();
  await assert.rejects(deblur(image, { model: own }), ModelError);
});

test('what is wrong is said, and nothing is written', async () => {
  await assert.rejects(deblur(join(folder, 'absent.jpg'), { model }), (error) => error instanceof ImageError && error.message.includes('absent.jpg'));
  await assert.rejects(deblur(Buffer.from('no picture'), { model }), ImageError);
  await assert.rejects(deblur(folder, { model }), UsageError);
  const image = noisyImage(8, 8);
  for (const wrong of [{ ...image, width: 9 }, { ...image, channels: 5 }, { ...image, data: [...image.data] }, {}, null, 3]) {
    await assert.rejects(deblur(wrong as unknown as Image, { model }), (error) => error instanceof UsageError && /expects a path/.test(error.message), JSON.stringify(wrong)?.slice(0, 60));
  }
  await assert.rejects(deblur(image, { model, output: 'x.png' }), UsageError);
  await assert.rejects(deblur(image, { model, strength: 2 }), UsageError);
});

test('progress and abort', async () => {
  const image = noisyImage(200, 150), seen: number[] = [], abort = new AbortController();
  await deblur(image, { model, tile: 64, force: true, onProgress: ({ done, total }) => seen.push(done / total) });
  assert.equal(seen[0], 0);
  assert.equal(seen.at(-1), 1);
  const aborted = deblur(image, { model, tile: 64, force: true, signal: abort.signal, onProgress: ({ done }) => { if (done === 2) abort.abort(); } });
  await assert.rejects(aborted, AbortedError);
  await assert.rejects(deblur(image, { model, signal: AbortSignal.abort() }), AbortedError);
});

test('it works in worker threads, two at once', async () => {
  const image = noisyImage(64, 48), expected = await deblur(image, { model });
  const code = `
    import { parentPort, workerData } from 'node:worker_threads';
    import { deblur, releaseModels } from ${JSON.stringify(new URL('../src/index.js', import.meta.url).href)};
    parentPort.postMessage(await deblur(workerData.image, { model: workerData.model }));
    await releaseModels();
  `;
  const answer = (): Promise<Image> => new Promise((resolve, reject) => {
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), { workerData: { image, model } });
    let result: Image;
    worker.on('message', (message: Image) => { result = message; }).on('error', reject).on('exit', (status) => (status === 0 ? resolve(result) : reject(new Error(`exit ${status}`))));
  });
  for (const result of await Promise.all([answer(), answer()])) assert.equal(largestDifference(result, expected), 0);
});
