/** When a run has gone wrong for good: what shows it, and what becomes of the checkpoints. */
import { existsSync, renameSync } from 'node:fs';
import { allFinite } from '@unshake/libtorch';
import { checkpointPath, listCheckpoints } from './checkpoint.js';
import type { Config } from './config.js';
import { DivergedError } from './errors.js';
import type { Generator } from './models/index.js';
import type { Losses } from './players.js';

/** The largest pixel loss between two pictures: the mean square of black against white in [−1, 1]. */
const largestPixelLoss = 4;

/**
 * Looks at the losses of step number `step`, on the pictures `names`. A run that has left the range of pictures stays finite for hours, and never comes back:
 * that is an end, too. When the loss is one of the weights after the step before, a checkpoint of them is put aside, as `step-….diverged`, so that --resume
 * takes an earlier one. `checkpoints` is the run's folder of them, undefined in a process that writes none. Throws DivergedError.
 */
export function checkLosses(losses: Losses, { losses: { pixel, adversarial } }: Config, step: number, names: readonly string[], checkpoints: string | undefined): void {
  const bad = Object.entries(losses).find(([name, value]) => !Number.isFinite(value) || (name === pixel.type && value > largestPixelLoss));
  if (!bad) return;
  // Other losses are taken after the discriminator's update, or between its updates, of this very step.
  const ofLast = bad[0] === pixel.type || (bad[0] === 'discriminator' && adversarial.criticSteps === 1);
  const last = checkpoints !== undefined && ofLast ? checkpointPath(checkpoints, step - 1) : undefined;
  if (last !== undefined && existsSync(last)) renameSync(last, last.replace(/safetensors$/, 'diverged'));
  throw diverged(`the loss ${bad[0]} became ${bad[1]} at step ${step}, on ${names.join(', ')}`, checkpoints);
}

/** Weights that are no numbers must not be saved. Throws DivergedError. */
export function checkWeights(generator: Generator, step: number, checkpoints: string): void {
  if (!allFinite([...generator.stateDict().values()])) throw diverged(`the generator's weights are no numbers any more after step ${step}`, checkpoints);
}

function diverged(what: string, checkpoints: string | undefined): DivergedError {
  const saved = checkpoints !== undefined && listCheckpoints(checkpoints).length > 0;
  const advice = saved ? `${checkpoints} has checkpoints from before: --resume` : 'There is no checkpoint from before: begin again';
  return new DivergedError(`${what}. ${checkpoints === undefined ? 'Try again' : advice} with a lower --set optimizer.lr=…, a gradientClip, or precision=fp32`);
}
