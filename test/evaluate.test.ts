/** Evaluating networks on datasets; the checkpoint's test needs libtorch. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { status } from '@unshake/libtorch';
import { compare } from '../src/compare.js';
import { deblurImage } from '../src/deblur.js';
import { AbortedError, UnshakeError } from '../src/errors.js';
import { evaluate } from '../src/evaluate.js';
import { writeImage } from '../src/image/codec-node.js';
import { besideEachOther, centreCrop, type Image, type RgbImage } from '../src/image/image.js';
import { psnr } from '../src/metrics/index.js';
import { openModel } from '../src/runtime/session.js';
import { noisyImage } from './small-images.js';
import { boxModel, identityModel } from './small-models.js';

const program = fileURLToPath(new URL('../../bin/unshake.js', import.meta.url));
const picture = (seed: number): RgbImage => noisyImage(180, 170, 3, 8, seed) as RgbImage;
const pairs = [1, 2, 3].map((i) => ({ name: `scene${i}`, blur: picture(i), sharp: picture(10 + i) }));
let folder: string, data: string, identity: string, box: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'unshake-'));
  [data, identity, box] = ['data', 'identity.onnx', 'box.onnx'].map((name) => join(folder, name));
  await Promise.all(['blur', 'sharp'].map((name) => mkdir(join(data, name), { recursive: true })));
  for (const { name, blur, sharp } of pairs) {
    await writeImage(join(data, 'blur', `${name}.png`), blur);
    await writeImage(join(data, 'sharp', `${name}.png`), sharp);
  }
  await writeFile(identity, identityModel());
  await writeFile(box, boxModel());
});
after(() => rm(folder, { recursive: true }));

const failsWith = (code: string, ...words: string[]) => (error: unknown): boolean =>
  error instanceof UnshakeError && error.code === code && words.every((word) => error.message.includes(word));

for (const protocol of ['clean', 'report'] as const) {
  test(`${protocol}: the blurry input comes first, is what compare says, and an identity network scores the same`, async () => {
    const { rows, pairs: count, ...rest } = await evaluate(identity, data, { protocol });
    const { mean, std } = await compare(join(data, 'blur'), join(data, 'sharp'), { protocol });
    assert.equal(count, 3);
    assert.deepEqual({ ...rows[0] }, { name: 'blurry input', mean, std });
    assert.deepEqual([rows[1].name, rows[1].mean, rows[1].std], ['identity', mean, std]);
    assert.ok(rows[1].secondsPerImage! > 0);
    assert.deepEqual([rest.data, rest.protocol, rest.split, rest.kind, rest.blurFolder, rest.engine], [data, protocol, 'all', 'folders', null, 'onnx']);
  });
}

test("the model's row is that of its output, rounded to 8 bits; --crop cuts before deblurring, --shave after it", async () => {
  const model = await openModel(box);
  for (const [crop, shave] of [[undefined, 0], [100, 0], [undefined, 9], [100, 20]] as const) {
    const cut = (image: RgbImage): RgbImage => (crop === undefined ? image : centreCrop(image, crop, crop));
    const within = (image: Image): Image => centreCrop(image, image.width - 2 * shave, image.height - 2 * shave);
    let before = 0, after = 0;
    for (const { blur, sharp } of pairs) {
      before += psnr(within(cut(blur)), within(cut(sharp)));
      after += psnr(within((await deblurImage(model, cut(blur))).image), within(cut(sharp)));
    }
    const evaluation = await evaluate(box, data, { crop, shave, metrics: ['psnr'] });
    assert.deepEqual([evaluation.crop, evaluation.shave], [crop ?? null, shave]);
    for (const [row, sum] of [before, after].entries()) assert.ok(Math.abs(evaluation.rows[row].mean.psnr! - sum / 3) < 1e-9, `row ${row}, crop ${crop}, shave ${shave}`);
    assert.notEqual(evaluation.rows[0].mean.psnr, evaluation.rows[1].mean.psnr);
  }
  await model.release();
});

test('splits, side-by-side pairs and the GOPRO tree are read, and named', async () => {
  const [sided, tree] = [join(folder, 'sided'), join(folder, 'GOPRO')];
  for (const [i, split] of ['train', 'test'].entries()) {
    await mkdir(join(sided, split), { recursive: true });
    await writeImage(join(sided, split, `${split}.png`), besideEachOther([pairs[i].sharp, pairs[i].blur]));
    for (const kind of ['blur', 'blur_gamma', 'sharp']) await mkdir(join(tree, split, 'GOPR0384_11_00', kind), { recursive: true });
    await writeImage(join(tree, split, 'GOPR0384_11_00/sharp/000001.png'), pairs[i].sharp);
    await writeImage(join(tree, split, 'GOPR0384_11_00/blur/000001.png'), pairs[i].blur);
    await writeImage(join(tree, split, 'GOPR0384_11_00/blur_gamma/000001.png'), pairs[2].blur);
  }
  const expected = (blur: RgbImage, sharp: RgbImage): number => psnr(blur, sharp);
  const metrics = ['psnr'] as const;
  const near = (actual: number | undefined, value: number): void => assert.ok(Math.abs(actual! - value) < 1e-9);
  near((await evaluate(identity, sided, { metrics })).rows[0].mean.psnr, expected(pairs[1].blur, pairs[1].sharp));
  near((await evaluate(identity, sided, { metrics, split: 'train' })).rows[0].mean.psnr, expected(pairs[0].blur, pairs[0].sharp));
  const plain = await evaluate(identity, tree, { metrics });
  assert.equal(plain.blurFolder, 'blur');
  near(plain.rows[0].mean.psnr, expected(pairs[1].blur, pairs[1].sharp));
  const gamma = await evaluate(identity, tree, { metrics, blurFolder: 'blur_gamma' });
  assert.equal(gamma.blurFolder, 'blur_gamma');
  near(gamma.rows[0].mean.psnr, expected(pairs[2].blur, pairs[1].sharp));
  const { stdout } = spawnSync(process.execPath, [program, 'evaluate', identity, '--data', tree, '--blur', 'blur_gamma', '--metrics', 'psnr'], { encoding: 'utf8' });
  assert.match(stdout, /split test, blurred pictures from blur_gamma\/: 1 pairs/);
});

test('GoPro sequences have rows of their own: of the pairs whose names contain one', async () => {
  const tree = join(folder, 'sequences'), sequences = ['GOPR0410_11_00', 'GOPR0384_11_00', 'GOPR0384_11_00'];
  for (const [i, sequence] of sequences.entries()) {
    for (const kind of ['blur', 'sharp'] as const) {
      await mkdir(join(tree, 'test', sequence, kind), { recursive: true });
      await writeImage(join(tree, 'test', sequence, kind, `00000${i}.png`), pairs[i][kind]);
    }
  }
  const { rows, sequences: found } = await evaluate(box, tree, { metrics: ['psnr'] });
  assert.deepEqual(Object.entries(found).map(([name, { pairs: count, rows: [input, output] }]) => [name, count, input.name, output.name]),
    [['GOPR0384_11_00', 2, 'blurry input', 'box'], ['GOPR0410_11_00', 1, 'blurry input', 'box']]);
  const input = (sequence: string): number => found[sequence].rows[0].mean.psnr!;
  assert.ok(Math.abs(input('GOPR0410_11_00') - psnr(pairs[0].blur, pairs[0].sharp)) < 1e-9);
  assert.ok(Math.abs(input('GOPR0384_11_00') - (psnr(pairs[1].blur, pairs[1].sharp) + psnr(pairs[2].blur, pairs[2].sharp)) / 2) < 1e-9);
  const outputs = (sequence: string): number => found[sequence].rows[1].mean.psnr! * found[sequence].pairs;
  assert.ok(Math.abs(outputs('GOPR0384_11_00') + outputs('GOPR0410_11_00') - 3 * rows[1].mean.psnr!) < 1e-9);
  assert.deepEqual((await evaluate(box, data, { metrics: ['psnr'] })).sequences, {});
  const { stdout } = spawnSync(process.execPath, [program, 'evaluate', box, '--data', tree, '--metrics', 'psnr'], { encoding: 'utf8' });
  assert.match(stdout, /^sequence \(pairs\) +PSNR\nGOPR0384_11_00 \(2\) +blurry input +\d+\.\d+\n +box +\d+\.\d+\nGOPR0410_11_00 \(1\)/m);
});

test('what is wrong is named', async () => {
  await assert.rejects(evaluate('no-such-model', data), failsWith('MODEL', 'no-such-model'));
  await assert.rejects(evaluate(identity, join(folder, 'nowhere')), failsWith('DATA', 'nowhere'));
  await assert.rejects(evaluate(identity, data, { crop: 171 }), failsWith('DATA', 'scene1', '171×171', '180×170'));
  await assert.rejects(evaluate(identity, data, { crop: 100, metrics: ['psnr', 'msssim'] }), failsWith('METRIC', 'scene1', 'msssim', '161×161'));
  await assert.rejects(evaluate(identity, data, { shave: 85 }), failsWith('DATA', 'scene1', '180×170', '85 pixels'));
  await assert.rejects(evaluate(identity, data, { engine: 'libtorch' }), failsWith('MODEL', 'identity.onnx', '--engine'));
  const abort = new AbortController();
  await assert.rejects(evaluate(identity, data, { signal: abort.signal, onProgress: () => abort.abort() }), AbortedError);
});

test('of the metrics that nobody asked for by name, those that a picture is too small for are left out, of all alike', async () => {
  const { rows, notes } = await evaluate(identity, data, { crop: 100 });
  assert.deepEqual(rows.map(({ mean }) => Object.keys(mean)), [['psnr', 'ssim', 'fsim', 'fsimc', 'vif'], ['psnr', 'ssim', 'fsim', 'fsimc', 'vif']]);
  assert.deepEqual(notes, ['msssim is left out: it needs 161×161, and scene1 has 100×100']);
  assert.deepEqual((await evaluate(identity, data, { shave: 65 })).notes, ['msssim is left out: it needs 161×161, and scene1 has 50×40', 'vif is left out: it needs 41×41, and scene1 has 50×40']);
  const { status: code, stdout } = spawnSync(process.execPath, [program, 'evaluate', identity, '--data', data, '--crop', '100'], { encoding: 'utf8' });
  assert.equal(code, 0);
  assert.match(stdout, /^ +PSNR +SSIM +FSIM +FSIMc +VIF +s\/image$[^]*^msssim is left out/m);
});

test('the command: --json is one document of the contract, the table names data, protocol and engine', () => {
  const run = (...args: string[]) => spawnSync(process.execPath, [program, 'evaluate', identity, '--data', data, ...args], { encoding: 'utf8' });
  const { status: code, stdout, stderr } = run('--json', '--protocol', 'report', '--metrics', 'psnr,ssim');
  assert.deepEqual([code, stderr], [0, '']);
  const document = JSON.parse(stdout);
  assert.deepEqual([document.data, document.protocol, document.pairs], [data, 'report', 3]);
  assert.deepEqual(document.rows.map((row: object) => Object.keys(row)), [['name', 'mean', 'std'], ['name', 'mean', 'std', 'secondsPerImage']]);
  assert.deepEqual(Object.keys(document.rows[0].mean), ['psnr', 'ssim']);
  const table = run().stdout;
  for (const text of [data, '3 pairs', 'blurry input', 'identity', '±', 'protocol clean', 'engine onnx', '8 bits']) assert.ok(table.includes(text), text);
  assert.equal(run('--split', 'other').status, 2);
  assert.equal(run('--crop', 'x').status, 2);
  assert.equal(run('--crop', '4000').status, 1);
  assert.equal(run('--shave', '-1').status, 2);
  assert.match(run('--shave', '4', '--metrics', 'psnr').stdout, /whole pictures, without 4 pixels at each edge/);
});

test('a run: libtorch by default, and the exported network says the same', { skip: status().available ? false : 'libtorch is not installed' }, async () => {
  const run = join(folder, 'run');
  const trained = spawnSync(process.execPath, [program, 'train', 'smoke', '--out', run, '--data', data, '--steps', '2', '--set', 'crop=32'], { encoding: 'utf8' });
  assert.equal(trained.status, 0, trained.stderr);
  const metrics = ['psnr', 'ssim'] as const;
  const torch = await evaluate(run, data, { metrics, crop: 96 }), onnx = await evaluate(run, data, { metrics, crop: 96, engine: 'onnx' });
  assert.deepEqual([torch.engine, onnx.engine], ['libtorch', 'onnx']);
  assert.ok(Math.abs(torch.rows[1].mean.psnr! - onnx.rows[1].mean.psnr!) < 1e-3);
  assert.deepEqual(torch.rows[0], onnx.rows[0]);
});
