/** The networks of a run with their optimizers, and one training step of theirs. */
import {
  Adam, AdamW, Ema, GradScaler, RMSprop, SGD, add, autocast, backward, clipGradNorm, detach, mulScalar, permute, scope, tensor, to, toDtype,
  type Device, type Optimizer, type Tensor,
} from '@unshake/libtorch';
import type { Config, OptimizerConfig } from './config.js';
import type { Batch } from './data.js';
import { discriminatorLoss, generatorLoss } from './losses/adversarial.js';
import { pixelLoss } from './losses/pixel.js';
import { makeDiscriminator, makeGenerator, toRange, type Discriminator, type Generator } from './models/index.js';
import { autocastOptions, choosePrecision, type Precision } from './precision.js';

export interface Players {
  config: Config;
  device: Device;
  precision: Precision;
  generator: Generator;
  optimizer: Optimizer;
  discriminator: Discriminator | null;
  discriminatorOptimizer: Optimizer | null;
  /** Averaged generator weights: what is validated, exported and shipped. */
  ema: Ema;
  /** Only for fp16. */
  scaler: GradScaler | null;
}

/** Losses of one step, by name; for the log. */
export type Losses = Record<string, number>;

function makeOptimizer(parameters: readonly Tensor[], { type, lr, betas, weightDecay }: OptimizerConfig): Optimizer {
  switch (type) {
    case 'adam': return Adam(parameters, { lr, betas, weightDecay });
    case 'adamw': return AdamW(parameters, { lr, betas, weightDecay });
    case 'sgd': return SGD(parameters, { lr, momentum: betas[0], weightDecay });
    case 'rmsprop': return RMSprop(parameters, { lr });
  }
}

/** Fresh players on a device, initialised from libtorch's generator: seed it before. */
export function makePlayers(config: Config, device: Device): Players {
  const precision = choosePrecision(config.precision, device);
  const generator = makeGenerator(config.generator);
  generator.moveTo(device);
  const discriminator = config.discriminator && makeDiscriminator(config.discriminator);
  discriminator?.moveTo(device);
  return {
    config, device, precision, generator, discriminator,
    optimizer: makeOptimizer(generator.parameters(), config.optimizer),
    discriminatorOptimizer: discriminator && makeOptimizer(discriminator.parameters(), config.discriminatorOptimizer ?? config.optimizer),
    ema: new Ema(generator.stateDict(), config.ema),
    scaler: precision === 'fp16' ? new GradScaler() : null,
  };
}

export function releasePlayers({ generator, optimizer, discriminator, discriminatorOptimizer, ema }: Players): void {
  for (const owner of [optimizer, discriminatorOptimizer, discriminator, ema, generator]) owner?.release();
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

/** One step of one player: gradients of `loss`, clipped on request, and the update. */
function update(optimizer: Optimizer, loss: Tensor, { scaler }: Players, clip: number | null): void {
  optimizer.zeroGrad();
  backward(scaler ? scaler.scaled(loss) : loss);
  if (scaler) scaler.step(optimizer, clip);
  else {
    if (clip !== null) clipGradNorm(optimizer.parameters, clip);
    optimizer.step();
  }
  optimizer.zeroGrad();
}

const inFloat = (x: Tensor): Tensor => toDtype(x, 'float32');

/**
 * One step of the discriminator, if there is one, then one of the generator. `progress` in [0, 1] sets the learning rate.
 * Returns each loss by name, before its update.
 */
export function trainStep(players: Players, batch: Batch, step: number, progress: number): Losses {
  const { config, device, precision, generator, optimizer, discriminator, discriminatorOptimizer, ema } = players;
  const { crop, losses: { pixel, adversarial } } = config;
  const mixed = <T>(fn: () => T): T => autocast(fn, autocastOptions(precision, device));
  return scope(() => {
    const size = [batch.names.length, crop, crop] as const;
    const blur = toRange(imagesToTensor(batch.blur, size, device), generator.range); //   N, 3, H, W
    const sharp = toRange(imagesToTensor(batch.sharp, size, device), generator.range);
    const generated = mixed(() => generator.forward(blur));
    const losses: Losses = {};

    if (discriminator && discriminatorOptimizer) {
      discriminatorOptimizer.lr = learningRate(config, (config.discriminatorOptimizer ?? config.optimizer).lr, step, progress);
      const [real, fake] = mixed(() => [discriminator.forward(blur, sharp), discriminator.forward(blur, detach(generated))]);
      const loss = discriminatorLoss(inFloat(real), inFloat(fake));
      losses.discriminator = loss.item();
      update(discriminatorOptimizer, loss, players, null);
    }

    optimizer.lr = learningRate(config, config.optimizer.lr, step, progress);
    const pixelTerm = pixelLoss(pixel.type, inFloat(generated), sharp);
    losses[pixel.type] = pixelTerm.item();
    let total = mulScalar(pixelTerm, pixel.weight);
    if (discriminator && discriminatorOptimizer) {
      // Frozen, the discriminator passes the gradient on to the generator and collects none itself.
      for (const parameter of discriminatorOptimizer.parameters) parameter.setRequiresGrad(false);
      try {
        const term = generatorLoss(inFloat(mixed(() => discriminator.forward(blur, generated))));
        losses.adversarial = term.item();
        total = add(total, mulScalar(term, adversarial.weight));
      } finally {
        for (const parameter of discriminatorOptimizer.parameters) parameter.setRequiresGrad(true);
      }
    }
    losses.generator = total.item();
    update(optimizer, total, players, config.gradientClip);
    ema.update(generator.stateDict(), step + 1);
    return losses;
  });
}
