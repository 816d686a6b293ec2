/** Adversarial losses: the formulas, the gradient penalty's second order, and what a training step makes of them. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { backward, channelsLast, gradients, instanceNorm, leakyRelu, manualSeed, mul, reshape, scope, sum, tensor, type Tensor } from '@unshake/libtorch';
import { parseConfig } from '../src/config.js';
import { adversarialTypes, discriminatorLoss, generatorLoss, type AdversarialType } from '../src/losses/adversarial.js';
import { gradientPenalty } from '../src/losses/gradient-penalty.js';
import { PatchDiscriminator, ReportDiscriminator } from '../src/models/discriminators.js';
import type { Discriminator } from '../src/models/index.js';
import { makePlayers, releasePlayers, trainStep } from '../src/players.js';
import { randomAt } from '../src/random.js';
import { batchOf } from './small-batch.js';

const seed = Math.floor(Math.random() * 2 ** 31);
const withSeed = (message: string): string => `${message} (seed ${seed})`;
const normals = (stream: number, length: number, scale = 1): Float64Array => { const random = randomAt(seed, stream); return Float64Array.from({ length }, () => scale * random.normal()); };
const image = (stream: number, shape: readonly number[]): Tensor => tensor(normals(stream, shape.reduce((a, b) => a * b), 0.5), shape);

const average = (values: Iterable<number>): number => { const all = [...values]; return all.reduce((a, b) => a + b, 0) / all.length; };
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** The formulas as their papers write them, on numbers. */
const formulas: Record<AdversarialType, { discriminator: (r: Float64Array, f: Float64Array) => number; generator: (f: Float64Array, r: Float64Array) => number }> = {
  bce: { discriminator: crossEntropy, generator: (f) => average(f.map((x) => -Math.log(sigmoid(x)))) },
  minimax: { discriminator: crossEntropy, generator: (f) => average(f.map((x) => Math.log(1 - sigmoid(x)))) },
  lsgan: { discriminator: (r, f) => (average(r.map((x) => (x - 1) ** 2)) + average(f.map((x) => x ** 2))) / 2, generator: (f) => average(f.map((x) => (x - 1) ** 2)) },
  wgan: { discriminator: (r, f) => average(f) - average(r), generator: (f) => -average(f) },
  'wgan-gp': { discriminator: (r, f) => average(f) - average(r), generator: (f) => -average(f) },
  'ragan-ls': {
    discriminator: (r, f) => (average(r.map((x) => (x - average(f) - 1) ** 2)) + average(f.map((x) => (x - average(r) + 1) ** 2))) / 2,
    generator: (f, r) => (average(r.map((x) => (x - average(f) + 1) ** 2)) + average(f.map((x) => (x - average(r) - 1) ** 2))) / 2,
  },
  hinge: { discriminator: (r, f) => average(r.map((x) => Math.max(0, 1 - x))) + average(f.map((x) => Math.max(0, 1 + x))), generator: (f) => -average(f) },
};

function crossEntropy(real: Float64Array, fake: Float64Array): number {
  return -(average(real.map((x) => Math.log(sigmoid(x)))) + average(fake.map((x) => Math.log(1 - sigmoid(x))))) / 2;
}

test('every adversarial loss is its formula, for both players', () => {
  for (const type of adversarialTypes) {
    const real = normals(1, 30, 2), fake = normals(2, 30, 2);
    scope(() => {
      const r = tensor(real, [2, 1, 3, 5]), f = tensor(fake, [2, 1, 3, 5]);
      const { discriminator, generator } = formulas[type];
      assert.ok(Math.abs(discriminatorLoss(type, r, f).item() - discriminator(real, fake)) < 1e-12, withSeed(type));
      assert.ok(Math.abs(generatorLoss(type, f, () => r).item() - generator(fake, real)) < 1e-12, withSeed(type));
    });
  }
});

test('the saturating form fades where the discriminator is sure, the other does not', () => {
  scope(() => {
    const slope = (type: AdversarialType): number => {
      const fake = tensor(Float64Array.of(-12), [1, 1]).setRequiresGrad(true);
      return Math.abs(gradients([generatorLoss(type, fake, () => fake)], [fake])[0]!.item());
    };
    assert.ok(slope('minimax') < 1e-5 && slope('bce') > 0.99);
  });
});

/** The report's critic, its fused norm and activation written op by op. */
class UnfusedReportDiscriminator extends ReportDiscriminator {
  override forward(_blur: Tensor, candidate: Tensor): Tensor {
    let x = candidate;
    for (const conv of this.convs) x = leakyRelu(instanceNorm(conv.forward(x)), 0.2);
    return this.fc.forward(reshape(x, [x.shape[0], -1]));
  }
}

const critics: [name: string, make: () => Discriminator, channels: readonly number[]][] = [
  ['patch, instance norm', () => new PatchDiscriminator({ ndf: 2, norm: 'instance' }), [2, 3, 32, 32]],
  ['report, fused instance norm and LeakyReLU', () => new ReportDiscriminator(), [2, 3, 32, 32]],
  ['report, op by op', () => new UnfusedReportDiscriminator(), [2, 3, 32, 32]],
];

/** The penalty of a critic with fixed weights plus `shift` times direction number `way`, in float64; its gradient, and the slope along that direction. */
function penaltyOf(make: () => Discriminator, shape: readonly number[], { shift = 0, way = 0 } = {}): { value: number; gradient: Float64Array[]; slope: number } {
  return scope(() => {
    manualSeed(seed);
    const critic = make();
    critic.moveTo('cpu', 'float64');
    const direction = critic.parameters().map((parameter, i) => normals(100 * (way + 1) + i, parameter.numel));
    const state = [...critic.stateDict()].map(([name, value], i): [string, Tensor] => [name, tensor((value.toArray() as Float64Array).map((v, j) => v + shift * direction[i][j]), value.shape)]);
    critic.loadStateDict(new Map(state));
    const [blur, real, fake] = [3, 4, 5].map((stream) => channelsLast(image(stream, shape)));
    const penalty = gradientPenalty((x) => critic.forward(blur, x), real, fake, [0.3, 0.8]);
    backward(penalty);
    const gradient = critic.parameters().map((parameter) => (parameter.grad?.toArray() ?? new Float64Array(parameter.numel)) as Float64Array);
    critic.release();
    const slope = gradient.reduce((sum, values, i) => values.reduce((inner, value, j) => inner + value * direction[i][j], sum), 0);
    return { value: penalty.item(), gradient, slope };
  });
}

for (const [name, make, shape] of critics) {
  test(`gradient penalty (${name}): its gradient, of second order, agrees with finite differences`, () => {
    // The penalty jumps where an activation changes sign. So small a step rarely meets that, and of five directions one or two may.
    const step = 1e-8;
    const errors = [0, 1, 2, 3, 4].map((way) => {
      const numeric = (penaltyOf(make, shape, { shift: step, way }).value - penaltyOf(make, shape, { shift: -step, way }).value) / (2 * step);
      return Math.abs(numeric / penaltyOf(make, shape, { way }).slope - 1);
    });
    assert.ok(errors.sort((a, b) => a - b)[2] < 1e-5, withSeed(`relative errors ${errors.join(', ')}`));
  });
}

test('the fused critic and the one written op by op have the same penalty and the same second-order gradients', () => {
  const [fused, plain] = [critics[1], critics[2]].map(([, make, shape]) => penaltyOf(make, shape));
  assert.ok(Math.abs(fused.value / plain.value - 1) < 1e-12);
  const largest = Math.max(...plain.gradient.flatMap((values) => [...values].map(Math.abs)));
  fused.gradient.forEach((values, i) => values.forEach((value, j) => assert.ok(Math.abs(value - plain.gradient[i][j]) < 1e-10 * largest, withSeed(`parameter ${i}`))));
});

test('a critic whose slope is 1 everywhere pays nothing, one of slope 3 pays 4, each sample by itself', () => {
  scope(() => {
    const size = 3 * 4 * 4, weights = normals(6, size), norm = Math.hypot(...weights);
    const linear = (slope: number) => (x: Tensor): Tensor => reshape(sum(mul(x, tensor(weights.map((w) => (w * slope) / norm), [1, 3, 4, 4])), [1, 2, 3]), [2, 1]);
    const [real, fake] = [7, 8].map((stream) => image(stream, [2, 3, 4, 4]));
    assert.ok(gradientPenalty(linear(1), real, fake, [0.1, 0.9]).item() < 1e-12);
    assert.ok(Math.abs(gradientPenalty(linear(3), real, fake, [0.1, 0.9]).item() - 4) < 1e-10);
  });
});

const settings = { batchSize: 2, crop: 32, precision: 'fp32', generator: { type: 'dgf-report', rate: 4 }, discriminator: { type: 'patch', ndf: 4, norm: 'instance' } };

for (const type of adversarialTypes) {
  test(`${type}: three steps log finite losses by name; the critic takes its own number of updates`, () => {
    const config = parseConfig({ ...settings, losses: { adversarial: { type, criticSteps: 2 } } }, 'test');
    manualSeed(1);
    const players = makePlayers(config, 'cpu');
    for (let step = 0; step < 3; step++) {
      const losses = trainStep(players, batchOf(config, step), step, 0);
      assert.deepEqual(Object.keys(losses), ['discriminator', ...(type === 'wgan-gp' ? ['gradientPenalty'] : []), 'l1', 'adversarial', 'generator']);
      for (const [name, value] of Object.entries(losses)) assert.ok(Number.isFinite(value), name);
    }
    const updates = (state: Map<string, Tensor>) => Number((state.get('steps')!.toArray() as BigInt64Array)[0]);
    scope(() => assert.deepEqual([updates(players.discriminatorOptimizer!.state()), updates(players.optimizer.state())], [6, 3]));
    const largest = (tensors: readonly Tensor[]) => Math.max(...tensors.flatMap((value) => [...value.toArray() as Float32Array].map(Math.abs)));
    assert.equal(largest(players.discriminator!.parameters()) <= Math.fround(0.01), type === 'wgan', 'clipped for wgan alone');
    assert.ok(largest(players.generator.parameters()) > 0.01, "never the generator's");
    releasePlayers(players);
  });
}

test('under WGAN the critic learns to tell sharp from generated, and the gradient penalty keeps its slope from growing', () => {
  const history = (penalty: number) => {
    const config = parseConfig({ ...settings, losses: { adversarial: { type: 'wgan-gp', criticSteps: 5, penalty } }, optimizer: { lr: 1e-3, betas: [0, 0.9] } }, 'test');
    manualSeed(2);
    const players = makePlayers(config, 'cpu');
    const batch = batchOf(config, 1);
    const losses = Array.from({ length: 10 }, (_, step) => trainStep(players, batch, step, 0));
    releasePlayers(players);
    return losses;
  };
  const [held, free] = [history(10), history(0)];
  assert.ok(held[9].discriminator < held[0].discriminator - 0.05, `mean fake − mean real: ${held[0].discriminator} → ${held[9].discriminator}`);
  assert.ok(held[9].gradientPenalty < 0.1 * free[9].gradientPenalty, `${held[9].gradientPenalty}; without the penalty ${free[9].gradientPenalty}`);
});

test('wgan-gp with a batch-normalised critic is refused by the name of the setting', () => {
  assert.throws(() => parseConfig({ discriminator: { type: 'patch' }, losses: { adversarial: { type: 'wgan-gp' } } }, 'test'), /discriminator\.norm: .*batch norm mixes; use norm: instance/);
});
