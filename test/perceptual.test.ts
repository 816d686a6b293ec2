/** Perceptual losses: LPIPS against the official code's numbers, gradients, and what a run says of its weights. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { channelsLast, gradients, loadSafetensors, manualSeed, mean, memory, rand, saveSafetensors, scope, sum, tensor, toDtype, zeros, type Tensor } from '@unshake/libtorch';
import { parseConfig } from '../src/config.js';
import { Backbone } from '../src/losses/backbones.js';
import { featureSsim } from '../src/losses/feature-ssim.js';
import { Lpips } from '../src/losses/lpips.js';
import { lossNotes } from '../src/losses/notes.js';
import { makePerceptual, perceptualName, perceptualTypes, type Perceptual } from '../src/losses/perceptual.js';
import { makePlayers, releasePlayers, trainStep } from '../src/players.js';
import { randomAt } from '../src/random.js';
import { readWeights } from '../src/weights/read.js';
import { batchOf } from './small-batch.js';

const seed = Math.floor(Math.random() * 2 ** 31);
const fixture = fileURLToPath(new URL('../../test/fixtures/networks/lpips_squeeze_random_backbone.safetensors', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'unshake-perceptual-'));
const backbone = join(folder, 'squeezenet.safetensors'), heads = join(folder, 'heads.safetensors');
const numbers = (x: Tensor): number[] => [...x.toArray() as Float64Array];

/** The fixture's weights under torchvision's and LPIPS's own names. */
function fixtureWeights(tensors: Map<string, Tensor>): { net: Map<string, Tensor>; lins: Map<string, Tensor> } {
  const renamed = (pattern: RegExp, name: string) => new Map([...tensors].filter(([key]) => pattern.test(key)).map(([key, value]) => [key.replace(pattern, name), value]));
  return { net: renamed(/^weight\.net\.slice\d+\./, 'features.'), lins: renamed(/^weight\.(?=lin\d)/, '') };
}

before(() => scope(() => {
  const { net, lins } = fixtureWeights(loadSafetensors(fixture).tensors);
  saveSafetensors(backbone, net);
  saveSafetensors(heads, lins);
}));
after(() => rmSync(folder, { recursive: true, force: true }));

const ours = { backbone, heads };
const configured = (perceptual: object, more: object = {}) => parseConfig({ batchSize: 2, crop: 48, precision: 'fp32', generator: { type: 'dgf-report', rate: 2 }, losses: { pixel: { weight: 1 }, perceptual }, ...more }, 'test');

function squeezeLpips(): Lpips {
  const lpips = new Lpips('squeeze');
  scope(() => {
    const { net, lins } = fixtureWeights(loadSafetensors(fixture).tensors);
    lpips.features.net.loadStateDict(net);
    lpips.lins.forEach((head, i) => head.loadStateDict(new Map([['weight', lins.get(`lin${i}.model.1.weight`)!]])));
  });
  return lpips;
}

for (const layout of ['row-major', 'channels-last'] as const) {
  test(`LPIPS of the official code: the total and every layer to 1e-5, ${layout}`, () => {
    const before = memory().tensors;
    scope(() => {
      const { tensors } = loadSafetensors(fixture);
      const lpips = squeezeLpips();
      if (layout === 'channels-last') lpips.moveTo('cpu');
      const [a, b] = ['input0', 'input1'].map((name) => layout === 'channels-last' ? channelsLast(tensors.get(name)!) : tensors.get(name)!);
      const close = (actual: Tensor, name: string) => numbers(actual).forEach((value, i) => assert.ok(Math.abs(value / numbers(tensors.get(name)!)[i] - 1) <= 1e-5, `${name}: ${value} where ${numbers(tensors.get(name)!)[i]} is expected`));
      const layers = lpips.layers(lpips.features.forward(a), lpips.features.forward(b));
      assert.equal(layers.length, 7);
      layers.forEach((layer, i) => close(layer, `tap${i}`));
      close(lpips.forward(a, b), 'output');
      lpips.release();
    });
    assert.equal(memory().tensors, before);
  });
}

/** A picture N, 3, H, W in [−1, 1], float64. */
const picture = (stream: number, shape: readonly number[]): Float64Array => { const random = randomAt(seed, stream); return Float64Array.from({ length: shape.reduce((a, b) => a * b) }, () => random.between(-1, 1)); };

test("LPIPS's gradient agrees with finite differences in float64", () => {
  scope(() => {
    const shape = [1, 3, 40, 36], lpips = squeezeLpips().moveTo('cpu', 'float64');
    const [a, b] = [picture(1, shape), picture(2, shape)];
    const distance = (data: Float64Array): Tensor => sum(lpips.forward(channelsLast(tensor(data, shape)), channelsLast(tensor(b, shape))));
    const analytic = scope(() => { const leaf = channelsLast(tensor(a, shape)).setRequiresGrad(true); return gradients([sum(lpips.forward(leaf, channelsLast(tensor(b, shape))))], [leaf])[0]!.toArray() as Float64Array; });
    const errors = [0, 1, 2, 3, 4].map((way) => { // the slope jumps where a ReLU or a maximum changes; of five directions one or two may meet that
      const direction = picture(10 + way, shape), step = 1e-7;
      const slope = analytic.reduce((total, value, i) => total + value * direction[i], 0);
      const moved = (by: number): number => scope(() => distance(a.map((value, i) => value + by * direction[i])).item());
      return Math.abs((moved(step) - moved(-step)) / (2 * step) / slope - 1);
    });
    assert.ok(errors.sort((x, y) => x - y)[2] < 1e-5, `relative errors ${errors.join(', ')} (seed ${seed})`);
    lpips.release();
  });
});

test('a black patch has a finite gradient', () => {
  scope(() => {
    const lpips = squeezeLpips();
    // Without biases a black patch has no features at all: the unit vector of nothing.
    lpips.features.net.loadStateDict(new Map([...lpips.features.net.stateDict()].map(([name, value]) => [name, name.endsWith('.bias') ? zeros(value.shape) : value])));
    const grey = tensor(Float32Array.from({ length: 3 * 48 * 48 }, (_, i) => [-0.03, -0.088, -0.188][Math.floor(i / (48 * 48))]), [1, 3, 48, 48]); // what the scaling layer makes zero of
    const leaf = grey.setRequiresGrad(true);
    const distance = sum(lpips.forward(leaf, rand([1, 3, 48, 48])));
    const gradient = numbers(gradients([distance], [leaf])[0]!);
    assert.ok(Number.isFinite(distance.item()) && distance.item() > 0);
    assert.ok(gradient.every(Number.isFinite));
    lpips.release();
  });
});

const fp32 = { device: 'cpu', enabled: false } as const;
const made = (perceptual: object, more: object = {}): Perceptual => { const config = configured(perceptual, more); return makePerceptual(config, 'range' in config.generator ? config.generator.range : 'signed', 'cpu')!; };

test('each kind is zero for equal pictures, grows with their difference, and passes a gradient', () => {
  scope(() => {
    const random = join(folder, 'random');
    mkdirSync(random, { recursive: true });
    for (const name of ['vgg16', 'vgg19'] as const) { manualSeed(seed); const net = new Backbone(name, { last: 22 }); saveSafetensors(join(random, `${name}.safetensors`), net.stateDict()); net.release(); }
    const weightsOf = { vgg16: join(random, 'vgg16.safetensors'), 'vgg16-blocks': join(random, 'vgg16.safetensors'), vgg19: join(random, 'vgg19.safetensors') } as Record<string, string>;
    for (const type of perceptualTypes) {
      const loss = made({ type, network: 'squeeze', backbone: weightsOf[type] ?? backbone, heads });
      const sharp = toDtype(tensor(picture(3, [1, 3, 48, 48]), [1, 3, 48, 48]), 'float32');
      const near = tensor((sharp.toArray() as Float32Array).map((value, i) => value + 0.02 * Math.sin(i)), sharp.shape), far = tensor((sharp.toArray() as Float32Array).map((value, i) => value + 0.4 * Math.sin(i)), sharp.shape);
      const [none, little, much] = [sharp, near, far].map((x) => loss.distance(x, sharp, fp32).item());
      assert.ok(Math.abs(none) < 1e-9 && little > none && much > little, `${type}: ${none} ${little} ${much} (seed ${seed})`);
      const leaf = far.setRequiresGrad(true);
      const slope = numbers(gradients([loss.distance(leaf, sharp, fp32)], [leaf])[0]!);
      assert.ok(slope.every(Number.isFinite) && slope.some((value) => value !== 0), type);
      loss.release();
    }
  });
});

test('the printed formula is Σ wᵢ·½(1 − SSIM(fᵢ))² of unit features', () => {
  scope(() => {
    const loss = made({ type: 'lpips-as-printed', network: 'squeeze', backbone });
    const [a, b] = [4, 5].map((stream) => toDtype(tensor(picture(stream, [1, 3, 64, 64]), [1, 3, 64, 64]), 'float32'));
    const lpips = squeezeLpips();
    const unit = (x: Tensor): Tensor[] => lpips.features.forward(x).map((features) => {
      const [, c, h, w] = features.shape, values = numbers(features);
      const norms = Array.from({ length: h * w }, (_, i) => Math.hypot(...Array.from({ length: c }, (_, k) => values[k * h * w + i])) || 1);
      return tensor(values.map((value, i) => value / norms[i % (h * w)]), features.shape);
    });
    const terms = unit(a).map((features, i) => 0.5 * (1 - featureSsim(features, unit(b)[i]).item()) ** 2);
    const expected = terms.reduce((x, y) => x + y) / 7;
    assert.ok(Math.abs(loss.distance(a, b, fp32).item() / expected - 1) < 1e-4);
    lpips.release();
    loss.release();
  });
});

test('LPIPS is fed [−1, 1] whatever the range of the generator; as coded, [0, 1]', () => {
  scope(() => {
    const lpips = squeezeLpips();
    const [a, b] = [6, 7].map((stream) => toDtype(tensor(picture(stream, [1, 3, 48, 48]), [1, 3, 48, 48]), 'float32'));
    const unit = (x: Tensor): Tensor => tensor((x.toArray() as Float32Array).map((value) => (value + 1) / 2), x.shape);
    const type = { type: 'lpips', network: 'squeeze', ...ours };
    const value = (loss: Perceptual, x: Tensor, y: Tensor): number => { const result = loss.distance(x, y, fp32).item(); loss.release(); return result; };
    const right = mean(lpips.forward(a, b)).item(), wrong = mean(lpips.forward(unit(a), unit(b))).item();
    const close = (actual: number, expected: number) => assert.ok(Math.abs(actual / expected - 1) < 1e-5, `${actual} where ${expected} is expected`);
    assert.ok(Math.abs(right / wrong - 1) > 0.01, 'the two differ');
    close(value(made(type), a, b), right);
    close(value(made(type, { generator: { type: 'dgf-report', rate: 2, range: 'unit' } }), unit(a), unit(b)), right);
    close(value(made({ ...type, range: 'unit' }), a, b), wrong);
    close(value(made(type, { fidelity: 'as-coded' }), unit(a), unit(b)), wrong);
    lpips.release();
  });
});

test('a step logs the loss by its name and its gradient reaches the generator; bf16 agrees with fp32', () => {
  const type = { type: 'lpips', network: 'squeeze', ...ours };
  const step = (weight: number, precision: string) => {
    const config = configured({ ...type, weight }, { precision });
    manualSeed(1);
    const players = makePlayers(config, 'cpu');
    const losses = trainStep(players, batchOf(config, 3), 0, 0);
    const generator = Buffer.concat([...players.generator.stateDict().values()].map((value) => value.toBytes())).toString('base64');
    releasePlayers(players);
    return { losses, generator };
  };
  const [heavy, none, mixed] = [step(100, 'fp32'), step(0, 'fp32'), step(100, 'bf16')];
  assert.deepEqual(Object.keys(heavy.losses), ['l1', 'perceptual(squeezenet)', 'generator']);
  assert.ok(Math.abs(heavy.losses.generator - heavy.losses.l1 - 100 * heavy.losses['perceptual(squeezenet)']) < 1e-3);
  assert.notEqual(heavy.generator, none.generator);
  assert.ok(Math.abs(mixed.losses['perceptual(squeezenet)'] / heavy.losses['perceptual(squeezenet)'] - 1) < 0.05);
});

test('names and notes say which loss it is', () => {
  const nameOf = (perceptual: object) => perceptualName(configured(perceptual).losses.perceptual!);
  assert.equal(nameOf({ type: 'lpips' }), 'lpips(vgg)');
  assert.equal(nameOf({ type: 'lpips', network: 'squeeze', ...ours }), 'perceptual(squeezenet)');
  assert.equal(nameOf({ type: 'lpips', network: 'squeeze', heads }), 'perceptual(squeezenet)');
  assert.equal(nameOf({ type: 'lpips', network: 'alex', backbone: '/x/alexnet-owt-7be5be79.pth', heads: '/x/lpips-v0.1-alex-df73285e.pth' }), 'lpips(alex)');
  assert.equal(nameOf({ type: 'lpips-as-printed' }), 'lpips-as-printed(vgg)');
  assert.equal(nameOf({ type: 'vgg16-blocks' }), 'perceptual(vgg16)');
  assert.deepEqual(lossNotes(configured({ type: 'lpips' })), []);
  assert.deepEqual(lossNotes(parseConfig({}, 'test')), []);
  assert.deepEqual(lossNotes(configured({ type: 'lpips', network: 'squeeze', backbone: 'a', heads: 'b' })), ["perceptual(squeezenet) with weights from a and b: not the report's loss"]);
  assert.match(lossNotes(configured({ type: 'vgg16', backbone: 'a' }, { fidelity: 'as-coded' })).join('; '), /weights from a: not the report's loss; as coded/);
});

test('missing weights name the command that fetches all of them; wrong ones name the file', () => {
  const before = memory();
  const refused = (perceptual: object, message: RegExp) => assert.throws(() => makePlayers(configured(perceptual), 'cpu'), message);
  process.env.UNSHAKE_CACHE = join(folder, 'empty cache');
  try {
    refused({ type: 'lpips' }, /needs VGG16 trained on ImageNet and LPIPS v0\.1 linear heads for vgg, which are not in .*empty cache.*: unshake weights fetch vgg16 lpips-vgg — or/);
    refused({ type: 'lpips', network: 'squeeze', backbone }, /unshake weights fetch lpips-squeeze —/);
    refused({ type: 'vgg19' }, /unshake weights fetch vgg19 — or name a file of yours: --set losses\.perceptual\.backbone=FILE/);
  } finally {
    delete process.env.UNSHAKE_CACHE;
  }
  refused({ type: 'vgg16', backbone: join(folder, 'nowhere.pth') }, /losses\.perceptual\.backbone: no such file: .*nowhere\.pth/);
  refused({ type: 'vgg16', backbone }, /squeezenet\.safetensors: the weights don't fit this network: missing: features\.2\.weight/);
  refused({ type: 'lpips', network: 'squeeze', backbone, heads: backbone }, /squeezenet\.safetensors: expected linear heads of LPIPS v0\.1, lin0\.model\.1\.weight is missing/);
  const fake = join(folder, 'vgg16-397923af.pth');
  writeFileSync(fake, 'not it');
  refused({ type: 'vgg16', backbone: fake }, /vgg16-397923af\.pth: the SHA-256 of the official file begins with 397923af, this one's with [0-9a-f]{8}/);
  assert.deepEqual(memory(), before, 'nothing is left behind');
});

test("Caffe's SqueezeNet becomes torchvision's: the same features of the same picture, each in its own input convention", () => {
  const caffe = join(folder, 'caffe');
  mkdirSync(caffe);
  scope(() => {
    const { net } = fixtureWeights(loadSafetensors(fixture).tensors);
    // The fixture's network, taken as one for Caffe's input, written as the format says.
    const places: Record<string, string> = { 3: 'fire2', 4: 'fire3', 6: 'fire4', 7: 'fire5', 9: 'fire6', 10: 'fire7', 11: 'fire8', 12: 'fire9' };
    const parts: Record<string, string> = { squeeze: 'squeeze1x1', expand1x1: 'expand1x1', expand3x3: 'expand3x3' };
    const chunks: Buffer[] = [], manifest: object[] = [];
    let offset = 0;
    for (const [name, value] of net) {
      const [, place, part, field] = /^features\.(\d+)\.(?:(\w+)\.)?(weight|bias)$/.exec(name)!;
      const [o, i, h, w] = value.shape, data = value.toArray() as Float32Array;
      const flat = field === 'bias' ? data : Float32Array.from({ length: data.length }, (_, at) => { // HWIO
        const out = at % o, into = Math.floor(at / o) % i, x = Math.floor(at / (o * i)) % w, y = Math.floor(at / (o * i * w));
        return data[((out * i + into) * h + y) * w + x];
      });
      const bytes = Buffer.from(flat.buffer);
      manifest.push({ name: part ? `${places[place]}/${parts[part]}.${field}` : `conv1.${field}`, shape: field === 'bias' ? [o] : [h, w, i, o], layout: field === 'bias' ? 'O' : 'HWIO', h5_byte_offset: 0, bin_offset: offset, bytes: bytes.length });
      chunks.push(bytes);
      offset += bytes.length;
    }
    writeFileSync(join(caffe, 'manifest.json'), JSON.stringify(manifest));
    writeFileSync(join(caffe, 'weights.bin'), Buffer.concat(chunks));

    const unit = picture(9, [1, 3, 40, 40]).map((value) => (value + 1) / 2); // R, G, B in [0, 1]
    const plane = 40 * 40, means = [123.68, 116.779, 103.939];
    const bgr = Float64Array.from({ length: 3 * plane }, (_, i) => { const rgb = 2 - Math.floor(i / plane); return 255 * unit[rgb * plane + (i % plane)] - means[rgb]; });
    const normalised = unit.map((value, i) => (value - [0.485, 0.456, 0.406][Math.floor(i / plane)]) / [0.229, 0.224, 0.225][Math.floor(i / plane)]);
    const features = (weights: Map<string, Tensor>, input: Float64Array): number[] => {
      const network = new Backbone('squeezenet1_1').loadStateDict(weights).moveTo('cpu', 'float64') as Backbone;
      const result = numbers(network.forward(tensor(input, [1, 3, 40, 40]), [12])[0]);
      network.release();
      return result;
    };
    const expected = features(net, bgr), actual = features(readWeights(caffe, () => true), normalised);
    const error = Math.hypot(...actual.map((value, i) => value - expected[i])) / Math.hypot(...expected);
    assert.ok(error < 1e-5, `relative error ${error}`); // the folded weights are float32
  });
  writeFileSync(join(caffe, 'manifest.json'), '[{"name": "conv9.weight", "shape": [1], "layout": "O", "bin_offset": 0, "bytes": 4}]');
  assert.throws(() => readWeights(caffe, () => true), /WeightsError|conv9\.weight is not one of SqueezeNet 1\.1/);
});
