/** Opening networks: metadata, devices, refusals, several sizes in a row, several callers at once. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { deblurImage } from '../src/deblur.js';
import { MissingError, ModelError, UsageError } from '../src/errors.js';
import { findModel, shippedModels } from '../src/model-path.js';
import { openNamedModel } from '../src/open-model.js';
import { traitsOf } from '../src/runtime/model.js';
import { installedDevices, loadRuntime, openModel } from '../src/runtime/session.js';
import { largestDifference, noisyImage } from './small-images.js';
import { blockModel, identityModel, wideModel } from './small-models.js';

test('a model tells its traits from the metadata', async () => {
  const model = await openModel(blockModel());
  const { name, multiple, overlap, whole, invents, license, device } = model;
  assert.deepEqual({ name, multiple, overlap, whole, invents, license }, { name: 'block', multiple: 4, overlap: 16, whole: false, invents: false, license: 'MIT' });
  assert.ok(device === 'cpu' || device === 'cuda');
  await model.release();
});

test('without metadata a model runs whole and on a multiple of 32; nonsense in it is refused', () => {
  assert.deepEqual(traitsOf({}, 'some/net.onnx'), { name: 'net', license: 'unknown', multiple: 32, overlap: 0, whole: true, invents: false });
  assert.equal(traitsOf({ 'unshake.invents': '1' }, 'net').invents, true);
  assert.equal(traitsOf({ 'unshake.overlap': '8' }, 'net').whole, false);
  for (const [key, value] of [['multiple', '0'], ['multiple', 'four'], ['overlap', '-1'], ['overlap', '']]) {
    assert.throws(() => traitsOf({ [`unshake.${key}`]: value }, 'net.onnx'), (error) => error instanceof ModelError && /net\.onnx: metadata unshake\./.test(error.message));
  }
});

test('output follows input at many sizes, one after another and all at once', async () => {
  const model = await openModel(identityModel());
  const sizes = [[1, 1], [5, 3], [8, 8], [3, 5], [1, 1], [64, 2], [8, 8]];
  const runs = sizes.map(async ([width, height], index) => {
    const output = await model.run(new Float32Array(3 * width * height).fill(index), width, height);
    assert.equal(output.length, 3 * width * height);
    assert.ok(output.every((value) => value === index));
  });
  await Promise.all(runs);
  await model.release();
});

test('a network that can\'t be opened again for another size says so, and is tried again at the next run', async (t) => {
  const model = await openModel(identityModel()), size = (side: number): [Float32Array, number, number] => [new Float32Array(3 * side * side), side, side];
  await model.run(...size(4));
  const { InferenceSession } = await loadRuntime();
  const create = t.mock.method(InferenceSession, 'create', () => Promise.reject(new Error('no memory left')));
  await assert.rejects(model.run(...size(8)), (error) => error instanceof ModelError && error.message === "identity can't be opened again for 8×8 (no memory left)");
  create.mock.restore();
  assert.equal((await model.run(...size(8))).length, 3 * 8 * 8);
  assert.equal((await model.run(...size(4))).length, 3 * 4 * 4);
  await model.release();
});

test('the memory of a run is measured within a factor of two', async () => {
  const model = await openModel(wideModel(32, 2));
  const { bytesPerPixel, free } = await model.memory();
  // Three maps of 32 float32 channels live at once: the sum so far, its rectified copy and the convolution's result.
  assert.ok(bytesPerPixel > 0.5 * 3 * 32 * 4 && bytesPerPixel < 2 * 3 * 32 * 4, `${bytesPerPixel} bytes a pixel`);
  assert.ok(free > 0);
  await model.release();
});

test('a device that is not there is a clear error, and auto names what it chose', async () => {
  const auto = await openModel(identityModel(), { device: 'auto' });
  assert.ok(auto.device === 'cpu' || auto.device === 'cuda');
  await auto.release();
  const installed = installedDevices(await loadRuntime());
  assert.ok(installed.includes('cpu'));
  for (const device of ['cuda', 'coreml', 'dml'] as const) {
    if (installed.includes(device)) continue;
    await assert.rejects(openModel(identityModel(), { device }), (error) => error instanceof MissingError && error.message.includes(device) && error.message.includes('--device cpu'));
  }
  await assert.rejects(openModel(identityModel(), { device: 'tpu' as 'cpu' }), UsageError);
});

test('WebAssembly, with two threads, gives what the CPU gives', async () => {
  const picture = noisyImage(150, 90);
  const [cpu, wasm] = [await openModel(blockModel(), { device: 'cpu' }), await openModel(blockModel(), { device: 'wasm', threads: 2 })];
  assert.equal(wasm.device, 'wasm');
  const [onCpu, onWasm] = await Promise.all([cpu, wasm].map(async (model) => (await deblurImage(model, picture, { tile: 64 })).image));
  assert.ok(largestDifference(onCpu, picture) > 1);
  assert.ok(largestDifference(onCpu, onWasm) <= 1);
  const { bytesPerPixel, free } = await wasm.memory();
  assert.ok(bytesPerPixel > 0 && free > 0 && free < 2 ** 32);
  await assert.rejects(openModel(blockModel().slice(0, 5000), { device: 'wasm' }), ModelError);
  const unknownOperator = Buffer.from(Buffer.from(blockModel()).toString('latin1').replaceAll('SpaceToDepth', 'SpaceToDreym'), 'latin1');
  await assert.rejects(openModel(unknownOperator, { device: 'wasm' }), (error) => error instanceof ModelError && error.message.includes('SpaceToDreym'));
  await Promise.all([cpu.release(), wasm.release()]);
});

test('what is not a usable model is refused', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'unshake-'));
  const path = join(folder, 'text.onnx');
  await writeFile(path, 'this is not a model');
  await assert.rejects(openModel(path), (error) => error instanceof ModelError && error.message.includes(path));
  await assert.rejects(openModel(join(folder, 'absent.onnx')), ModelError);
  await assert.rejects(openModel(blockModel().slice(0, 5000)), ModelError);
  await assert.rejects(openModel(new Uint8Array(0)), ModelError);
  const unknownOperator = Buffer.from(Buffer.from(blockModel()).toString('latin1').replaceAll('SpaceToDepth', 'SpaceToDreym'), 'latin1');
  await assert.rejects(openModel(unknownOperator), (error) => error instanceof ModelError && error.message.includes('SpaceToDreym'));
  await rm(folder, { recursive: true });
});

test('MODEL is a shipped name, an ONNX file, a checkpoint or a run', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'unshake-'));
  for (const name of await shippedModels()) {
    const { kind, path } = await findModel(name), card = path.replace(/onnx$/, 'md');
    assert.equal(kind, 'onnx');
    assert.ok((await readFile(card, 'utf8')).includes(createHash('sha256').update(await readFile(path)).digest('hex')), `${card} has another SHA-256`);
  }
  const onnx = join(folder, 'a.onnx'), checkpoint = join(folder, 'b.safetensors'), text = join(folder, 'c.txt');
  for (const path of [onnx, checkpoint, text]) await writeFile(path, 'x');
  assert.deepEqual(await findModel(onnx), { kind: 'onnx', path: onnx });
  assert.deepEqual(await findModel(checkpoint), { kind: 'checkpoint', path: checkpoint });
  for (const name of [text, folder, join(folder, 'absent.onnx'), 'no-such-model']) await assert.rejects(findModel(name), ModelError);
  await rm(folder, { recursive: true });
});

test('a model that can not be looked at and a temporary folder that is not there are told as that', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'unshake-')), { TMPDIR } = process.env;
  t.after(async () => {
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
    await rm(folder, { recursive: true });
  });
  await symlink('loop.onnx', join(folder, 'loop.onnx'));
  await assert.rejects(findModel(join(folder, 'loop.onnx')), (error) => error instanceof ModelError && /loop\.onnx: can't be read \(ELOOP/.test(error.message));
  await writeFile(join(folder, 'step.safetensors'), '');
  process.env.TMPDIR = join(folder, 'absent');
  await assert.rejects(openNamedModel(join(folder, 'step.safetensors')), (error) => error instanceof ModelError && /ENOENT.*set TMPDIR/.test(error.message));
});
