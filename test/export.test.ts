/** Real networks with random weights: traced, exported, compared with libtorch, run on tiles. Skipped, visibly, where libtorch is missing. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { add, manualSeed, memory, mulScalar, narrow, noGrad, normal_, status, uniform_, zeroPad2d, type Tensor } from '@unshake/libtorch';
import { main } from '../cli/main.js';
import { saveBest } from '../src/checkpoint.js';
import { parseConfig } from '../src/config.js';
import { AbortedError, ModelError } from '../src/errors.js';
import { exportGenerator, exportModel, testSizes } from '../src/export.js';
import { makeGenerator, type Generator, type GeneratorConfig } from '../src/models/index.js';
import { readMetadata } from '../src/onnx/metadata.js';
import { makePlayers, releasePlayers } from '../src/players.js';
import { openModel } from '../src/runtime/session.js';

const { available, reason } = status();
const skip = available ? false : `libtorch: ${reason}`;
let folder: string;
before(async () => { folder = await mkdtemp(join(tmpdir(), 'unshake-export-')); });
after(() => rm(folder, { recursive: true }));

/** A network as if trained: every parameter and statistic away from its initial value, so that nothing cancels. */
function randomGenerator(config: GeneratorConfig): Generator {
  manualSeed(11);
  const generator = makeGenerator(config);
  noGrad(() => {
    for (const [name, tensor] of generator.stateDict()) {
      if (name.endsWith('running_var')) uniform_(tensor, 0.5, 2);
      else if (tensor.shape.length === 1) normal_(tensor, name.endsWith('weight') ? 1 : 0, 0.2);
      else if (name === 'ending.weight') normal_(tensor, 0, 0.02);
      else if (/\.(beta|gamma)$/.test(name)) normal_(tensor, 0, 0.5);
    }
  });
  return generator;
}

const networks: Record<string, { config: GeneratorConfig; metadata: Record<string, string> }> = {
  'the paper\'s DGF': {
    config: { type: 'dgf-paper', rate: 8, norm: 'batch', dropout: 0.5 },
    metadata: { 'unshake.multiple': '1', 'unshake.overlap': '18', 'unshake.whole': '0' },
  },
  'the paper\'s DGF with instance norm': {
    config: { type: 'dgf-paper', rate: 8, norm: 'instance', dropout: 0.5 },
    metadata: { 'unshake.multiple': '1', 'unshake.whole': '1' },
  },
  'the report\'s DGF': {
    config: { type: 'dgf-report', rate: 8, norm: 'instance' },
    metadata: { 'unshake.multiple': '1', 'unshake.whole': '1' },
  },
  'the report\'s DGF with batch norm': {
    config: { type: 'dgf-report', rate: 8, norm: 'batch' },
    metadata: { 'unshake.multiple': '1', 'unshake.overlap': '17', 'unshake.whole': '0' },
  },
  'the residual U-Net': {
    config: { type: 'residual-unet', width: 8, blocks: [1, 1, 2] },
    metadata: { 'unshake.multiple': '8', 'unshake.whole': '0' },
  },
  NAFNet: {
    config: { type: 'nafnet', width: 8, encoder: [1, 2], middle: 1, decoder: [2, 1] },
    metadata: { 'unshake.multiple': '4', 'unshake.whole': '1' },
  },
};

for (const [title, { config, metadata }] of Object.entries(networks)) {
  test(`${title} is exported, and ONNX Runtime gives what libtorch gives at three sizes`, { skip }, async () => {
    const generator = randomGenerator(config), live = memory().tensors, out = join(folder, 'model.onnx');
    const { comparisons, bytes, traits } = await exportGenerator(generator, out, { name: 'tiny', license: 'MIT' });
    assert.equal(memory().tensors, live, 'tensors left behind');
    assert.equal(comparisons.length, 3);
    for (const { difference } of comparisons) assert.ok(difference > 0 && difference <= 1e-4, String(difference));
    const written = await readFile(out);
    assert.equal(written.length, bytes);
    const found = readMetadata(written);
    for (const [key, value] of Object.entries({ ...metadata, 'unshake.name': 'tiny', 'unshake.license': 'MIT' })) assert.equal(found[key], value, key);
    assert.equal(found['unshake.overlap'], String(traits.overlap));
    assert.ok(traits.overlap >= Math.min(32, generator.receptiveRadius) && traits.overlap <= generator.receptiveRadius);
    for (const name of generator.stateDict().keys()) if (/^(head|intro|o2|ending)\./.test(name)) assert.ok(written.includes(name), `no ${name} in the file`);

    const half = await exportGenerator(generator, out, { name: 'tiny', license: 'MIT', half: true });
    for (const { difference } of half.comparisons) assert.ok(difference <= 1 / 255, String(difference));
    assert.ok(half.bytes < 0.75 * bytes, `${half.bytes} of ${bytes} bytes`);
    assert.deepEqual(await readdir(folder), ['model.onnx'], 'temporary files left behind');
    generator.release();
  });
}

test('one of the sizes is prime by prime where the network takes any size, and all are multiples where it does not', () => {
  const prime = (n: number): boolean => n > 1 && Array.from({ length: Math.floor(Math.sqrt(n)) - 1 }, (_, k) => k + 2).every((d) => n % d !== 0);
  for (const [, height, width] of testSizes(1)) assert.ok(prime(height) && prime(width), `${height}×${width}`);
  for (const multiple of [2, 8, 16, 32]) {
    for (const [, height, width] of testSizes(multiple)) assert.ok(prime(height / multiple) && prime(width / multiple) && height !== width);
  }
});

/** A generator with another forward. */
const altered = (forward: (x: Tensor) => Tensor, traits: Partial<Pick<Generator, 'receptiveRadius' | 'whole' | 'multiple'>> = {}): Generator => {
  const base = randomGenerator({ type: 'dgf-report', rate: 4, norm: 'batch' });
  return Object.defineProperties(base, {
    forward: { value: forward },
    ...Object.fromEntries(Object.entries(traits).map(([key, value]) => [key, { value }])),
  });
};
const refused = async (generator: Generator, message: RegExp, options: { half?: boolean } = {}): Promise<void> => {
  const out = join(folder, 'refused.onnx');
  await assert.rejects(exportGenerator(generator, out, { name: 'tiny', license: 'MIT', ...options }), (error: Error) => error instanceof ModelError && message.test(error.message));
  assert.ok(!(await readdir(folder)).some((name) => name.includes('refused')), 'a file was left behind');
  generator.release();
};

test('a network that computes otherwise at another size is refused by the comparison', { skip }, async () => {
  await refused(altered((x) => mulScalar(x, x.shape[2] / 100)), /ONNX Runtime differs from libtorch by .* no file was written/);
});

test('a receptive radius that is too small, or statistics that nobody declared, are found', { skip }, async () => {
  const shifted = (dx: number, dy: number) => altered((x) => zeroPad2d(x, [dx, -dx, dy, -dy]), { receptiveRadius: 6 });
  for (const generator of [shifted(7, 0), shifted(-7, 0), shifted(0, 7), shifted(0, -7)]) await refused(generator, /tile differs .* overlap of 6 pixels/);
  const enough = shifted(6, -6);
  await exportGenerator(enough, join(folder, 'model.onnx'), { name: 'tiny', license: 'MIT' });
  enough.release();
  const generator = randomGenerator({ type: 'dgf-report', rate: 4, norm: 'instance' });
  Object.defineProperty(generator, 'whole', { value: false });
  assert.equal((await exportGenerator(generator, join(folder, 'model.onnx'), { name: 'tiny', license: 'MIT' })).traits.whole, true);
  generator.release();
});

test('an op that can\'t be exported is named with the network', { skip }, async () => {
  await refused(altered((x) => add(x, narrow(x, 3, 0, x.shape[3]))), /tiny: narrow can't be written as ONNX/);
  await refused(altered((x) => normal_(x, 0, 1)), /tiny can't be traced for export: .*normal_/);
});

test('an aborted export, and one that can\'t write, leave nothing', { skip }, async () => {
  const generator = randomGenerator({ type: 'dgf-report', rate: 4, norm: 'batch' }), controller = new AbortController();
  const labels: string[] = [];
  await assert.rejects(exportGenerator(generator, join(folder, 'aborted.onnx'), {
    name: 'tiny', license: 'MIT', signal: controller.signal,
    onProgress: ({ done, label = '' }) => { labels.push(label); if (done === 2) controller.abort(); },
  }), AbortedError);
  assert.equal(labels[0], 'tracing');
  assert.equal(labels.length, 3);
  await assert.rejects(exportGenerator(generator, join(folder, 'model.onnx', 'below-a-file.onnx'), { name: 'tiny', license: 'MIT' }), (error: Error) => error instanceof ModelError && error.message.includes('below-a-file.onnx'));
  assert.ok(!(await readdir(folder)).some((name) => name.includes('aborted') || name.includes('tmp')));
  generator.release();
});

test('a run\'s best checkpoint becomes a file that deblur can open', { skip }, async () => {
  const run = join(folder, 'run'), best = join(run, 'checkpoints', 'best.safetensors'), out = join(folder, 'new', 'model.onnx');
  await mkdir(join(run, 'checkpoints'), { recursive: true });
  const live = memory().tensors;
  const players = makePlayers(parseConfig({ name: 'tiny-unet', generator: { type: 'residual-unet', width: 8, blocks: [1, 1, 1] } }, 'test'), 'cpu');
  saveBest(best, 7, players, { step: 7, psnr: 30 });
  releasePlayers(players);

  assert.equal(await main(['export', run, '-o', out, '--license', 'CC-BY-4.0']), 0);
  assert.equal(memory().tensors, live, 'tensors left behind');
  const model = await openModel(out);
  assert.deepEqual([model.name, model.license, model.multiple, model.whole], ['tiny-unet', 'CC-BY-4.0', 8, false]);
  const image = Float32Array.from({ length: 3 * 16 * 24 }, (_, k) => (k % 97) / 97);
  const result = await model.run(image, 24, 16);
  // A fresh network of this kind gives its input back.
  assert.ok(image.every((value, k) => Math.abs(value - result[k]) < 1e-6));
  await model.release();

  assert.equal((await exportModel(best, out, { name: 'other', half: true })).traits.name, 'other');
  assert.equal(readMetadata(await readFile(out))['unshake.license'], 'unknown');
  await assert.rejects(exportModel(out, join(folder, 'again.onnx')), /is an ONNX file already/);
});

test('a network that a discriminator or a perceptual loss has trained says so in its file', { skip }, async () => {
  const network = { name: 'tiny', generator: { type: 'residual-unet', width: 4, blocks: [1, 1, 1] } }, critic = { type: 'patch', ndf: 4 };
  const cases = [
    [{}, false], [{ discriminator: critic }, true], [{ discriminator: critic, losses: { adversarial: { weight: 0 } } }, false],
    [{ discriminator: critic, losses: { adversarial: { detachFake: true } } }, false],
  ] as const;
  for (const [settings, invents] of cases) {
    const checkpoint = join(folder, 'looks.safetensors'), out = join(folder, 'looks.onnx');
    const players = makePlayers(parseConfig({ ...network, ...settings }, 'test'), 'cpu');
    saveBest(checkpoint, 1, players, { step: 1, psnr: 30 });
    releasePlayers(players);
    assert.equal((await exportModel(checkpoint, out)).traits.invents, invents, JSON.stringify(settings));
    const model = await openModel(out);
    assert.equal(model.invents, invents);
    await model.release();
  }
});

test('wrong use of the command exits with 2, a model that is not there with 1', async () => {
  assert.equal(await main(['export', 'nothing', '-o', 'model.txt']), 2);
  assert.equal(await main(['export', 'nothing']), 2);
  assert.equal(await main(['export', join(folder, 'nothing'), '-o', join(folder, 'x.onnx')]), 1);
});
