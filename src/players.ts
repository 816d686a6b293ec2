/** The networks of a run with their optimizers, and one training step of theirs. */
import {
  Adam, AdamW, Ema, GradScaler, RMSprop, SGD, add, autocast, backward, clamp_, clipGradNorm, detach, mulScalar, noGrad, permute, scope, tensor, to, toDtype,
  type Device, type Optimizer, type ProcessGroup, type Tensor,
} from '@unshake/libtorch';
import type { Config, OptimizerConfig } from './config.js';
import { ConfigError } from './errors.js';
import type { Batch } from './data.js';
import { discriminatorObjective, generatorObjective, type Judging, type Objective } from './losses/objectives.js';
import { makePerceptual, type Perceptual } from './losses/perceptual.js';
import { makeDiscriminator, makeGenerator, toRange, type Discriminator, type Generator } from './models/index.js';
import { autocastOptions, choosePrecision, type Precision } from './precision.js';
import { randomAt } from './random.js';
import { stageAt, stagesOf, type Stage } from './stages.js';

export interface Players {
  config: Config;
  device: Device;
  precision: Precision;
  generator: Generator;
  optimizer: Optimizer;
  discriminator: Discriminator | null;
  discriminatorOptimizer: Optimizer | null;
  perceptual: Perceptual | null;
  /** Averaged generator weights: what is validated, exported and shipped. */
  ema: Ema;
  /** Only for fp16. */
  scaler: GradScaler | null;
  /** The processes that train together, each on its share of a batch; null: this one alone. */
  group: ProcessGroup | null;
  /** What they are trained on, as Loader.pairs says it; checkpoints remember it. */
  pairs: string;
}

/** Losses of one step, by name; for the log. */
export type Losses = Record<string, number>;

/** The same before they are read: reading waits for a GPU, which would be idle until it is given the next work. */
type Unread = Record<string, Tensor>;

function makeOptimizer(parameters: readonly Tensor[], { type, lr, betas, weightDecay }: OptimizerConfig): Optimizer {
  switch (type) {
    case 'adam': return Adam(parameters, { lr, betas, weightDecay });
    case 'adamw': return AdamW(parameters, { lr, betas, weightDecay });
    case 'sgd': return SGD(parameters, { lr, momentum: betas[0], weightDecay });
    case 'rmsprop': return RMSprop(parameters, { lr, weightDecay });
  }
}

/** Fresh players on a device, initialised from libtorch's generator: seed it before. Throws ConfigError, and what makePerceptual throws. */
export function makePlayers(config: Config, device: Device, { group = null, pairs = '' }: { group?: ProcessGroup | null; pairs?: string } = {}): Players {
  const precision = choosePrecision(config.precision, device);
  const generator = makeGenerator(config.generator);
  const unfit = stagesOf(config).find(({ crop }) => crop % generator.multiple !== 0);
  if (unfit) {
    generator.release();
    throw new ConfigError(`crop: expected a multiple of ${generator.multiple}, the generator's coarsest step (${config.generator.type}), got ${unfit.crop}`);
  }
  generator.moveTo(device);
  const discriminator = config.discriminator && makeDiscriminator(config.discriminator);
  discriminator?.moveTo(device);
  let perceptual: Perceptual | null;
  try {
    perceptual = makePerceptual(config, generator.range, device);
  } catch (error) {
    for (const network of [generator, discriminator]) network?.release();
    throw error;
  }
  return {
    config, device, precision, group, pairs, generator, discriminator, perceptual,
    optimizer: makeOptimizer(generator.parameters(), config.optimizer),
    discriminatorOptimizer: discriminator && makeOptimizer(discriminator.parameters(), config.discriminatorOptimizer ?? config.optimizer),
    ema: new Ema(generator.stateDict(), config.ema),
    scaler: precision === 'fp16' ? new GradScaler() : null,
  };
}

export function releasePlayers({ generator, optimizer, discriminator, discriminatorOptimizer, perceptual, ema }: Players): void {
  for (const owner of [optimizer, discriminatorOptimizer, discriminator, perceptual, ema, generator]) owner?.release();
}

/** N, H, W, 3 bytes → N, 3, H, W in [0, 1] on the device; the byte order is channels-last already. */
export function imagesToTensor(bytes: Uint8Array, [n, height, width]: readonly [number, number, number], device: Device): Tensor {
  return scope(() => mulScalar(toDtype(to(permute(tensor(bytes, [n, height, width, 3]), [0, 3, 1, 2]), device), 'float32'), 1 / 255));
}

/** The learning rate at `progress` in [0, 1] after `step` steps. */
export function learningRate({ schedule }: Config, base: number, step: number, progress: number): number {
  const { type, warmup, floor } = schedule;
  const rise = Math.min(1, (step + 1) / (warmup + 1));
  const fall = type === 'cosine' ? floor + (1 - floor) * 0.5 * (1 + Math.cos(Math.PI * Math.min(1, progress))) : 1;
  return base * rise * fall;
}

/** Part of a step's batch, as large as the device takes at once: N, 3, H, W each, in the generator's range. */
interface MicroBatch {
  blur: Tensor;
  sharp: Tensor;
  /** Its share of the step's images. */
  share: number;
  /** Places of its images in the step's batch, over all processes: [first, end). */
  place: readonly [number, number];
}

function microBatches({ blur, sharp, names, first: offset = 0 }: Batch, { device, generator }: Players, { batchSize, crop }: Stage): MicroBatch[] {
  const bytes = crop * crop * 3;
  return Array.from({ length: Math.ceil(names.length / batchSize) }, (_, i) => {
    const first = i * batchSize, end = Math.min(names.length, first + batchSize);
    const part = (all: Uint8Array): Tensor => toRange(imagesToTensor(all.subarray(first * bytes, end * bytes), [end - first, crop, crop], device), generator.range);
    return { blur: part(blur), sharp: part(sharp), share: (end - first) / names.length, place: [offset + first, offset + end] };
  });
}

/**
 * One update of one player. Gradients add up over the micro-batches, each weighted by its share, so that they are those of the
 * mean over all images; they are averaged over the processes, and clipped on request. Returns the terms' means.
 */
function update(players: Players, optimizer: Optimizer, clip: number | null, parts: readonly MicroBatch[], objective: (part: MicroBatch) => Objective): Unread {
  const { scaler, group } = players;
  let losses: Unread = {};
  const shareOf = (x: Tensor, { share }: MicroBatch): Tensor => share === 1 ? x : mulScalar(x, share);
  optimizer.zeroGrad();
  for (const part of parts) {
    losses = scope(() => {
      const { total, terms } = objective(part);
      const weighted = shareOf(total, part);
      backward(scaler ? scaler.scaled(weighted) : weighted);
      return noGrad(() => Object.fromEntries(Object.entries(terms).map(([name, term]) => {
        const own = shareOf(detach(term), part);
        return [name, name in losses ? add(losses[name], own) : own];
      })));
    });
  }
  group?.averageGradients(optimizer.parameters);
  if (scaler) scaler.step(optimizer, clip);
  else {
    if (clip !== null) clipGradNorm(optimizer.parameters, clip);
    optimizer.step();
  }
  optimizer.zeroGrad();
  return losses;
}

/** Runs `fn` with parameters that pass gradients on and collect none. */
function frozen<T>(parameters: readonly Tensor[], fn: () => T): T {
  for (const parameter of parameters) parameter.setRequiresGrad(false);
  try {
    return fn();
  } finally {
    for (const parameter of parameters) parameter.setRequiresGrad(true);
  }
}

/** A stream of random numbers at one (seed, step, place in the batch), divided further by use; those of data.ts and data/crop.ts are not. */
const lossStream = 3;

/** What a generator's guess draws from; no use in losses/objectives.ts counts that far. */
const guessUse = 2 ** 33;

/**
 * The discriminator's updates, if there is one, then one of the generator. `progress` in [0, 1] sets the learning rate and the stage. A batch of more
 * than the stage's `batchSize` images is taken in micro-batches of that size. Returns each loss by name, before its (last) update.
 */
export function trainStep(players: Players, batch: Batch, step: number, progress: number): Losses {
  const { config, device, precision, generator, optimizer, discriminator, discriminatorOptimizer, ema } = players;
  const { seed, losses: { adversarial } } = config;
  const autocasting = autocastOptions(precision, device);
  const judging = ({ place: [first, end] }: MicroBatch): Judging => ({
    ...players, autocast: autocasting,
    randoms: (use) => Array.from({ length: end - first }, (_, i) => randomAt(seed, step, first + i, lossStream, use)),
  });
  const generate = (part: MicroBatch): Tensor => autocast(() => (generator.guess ? generator.guess(part.blur, part.sharp, judging(part).randoms(guessUse)) : generator.forward(part.blur)), autocasting);
  return scope(() => {
    const parts = microBatches(batch, players, stageAt(config, progress));
    // Both players share one run of the generator. Over several micro-batches that would keep all their graphs, so it runs once more instead.
    const shared = parts.length === 1 ? generate(parts[0]) : null;
    const losses: Unread = {};

    if (discriminator && discriminatorOptimizer) {
      discriminatorOptimizer.lr = learningRate(config, (config.discriminatorOptimizer ?? config.optimizer).lr, step, progress);
      for (let round = 0; round < adversarial.criticSteps; round++) {
        Object.assign(losses, update(players, discriminatorOptimizer, null, parts, (part) => {
          const generated = shared ? detach(shared) : noGrad(() => generate(part));
          return discriminatorObjective(judging(part), discriminator, { ...part, generated }, round);
        }));
        if (adversarial.type === 'wgan') noGrad(() => discriminatorOptimizer.parameters.forEach((parameter) => clamp_(parameter, -adversarial.clip, adversarial.clip)));
      }
    }

    optimizer.lr = learningRate(config, config.optimizer.lr, step, progress);
    Object.assign(losses, update(players, optimizer, config.gradientClip, parts, (part) =>
      frozen(discriminatorOptimizer?.parameters ?? [], () => generatorObjective(judging(part), { ...part, generated: shared ?? generate(part) }))));
    ema.update(generator.stateDict(), step + 1);
    return Object.fromEntries(Object.entries(losses).map(([name, value]) => [name, value.item()]));
  });
}
