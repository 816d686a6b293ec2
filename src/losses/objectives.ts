/** What each player minimises, put together from the losses that a run has chosen. */
import { add, autocast, detach, mulScalar, narrow, noGrad, type AutocastOptions, type Tensor } from '@unshake/libtorch';
import type { Config } from '../config.js';
import { diffAugment } from '../diff-augment.js';
import type { Discriminator } from '../models/index.js';
import { inFloat } from '../precision.js';
import type { Random } from '../random.js';
import { discriminatorLoss, generatorLoss } from './adversarial.js';
import { gradientPenalty } from './gradient-penalty.js';
import type { Perceptual } from './perceptual.js';
import { fourierLoss, pixelLoss } from './pixel.js';

/** `total` is to be minimised; `terms` are what the log shows, unweighted. */
export interface Objective { total: Tensor; terms: Record<string, Tensor> }

/** Pictures and the generator's answer, N, 3, H, W each, in the generator's range. */
export interface Example { blur: Tensor; sharp: Tensor; generated: Tensor }

export interface Judging {
  config: Pick<Config, 'losses' | 'diffAugment'>;
  autocast: AutocastOptions;
  discriminator: Discriminator | null;
  perceptual: Perceptual | null;
  /** Random numbers of each sample that follow from the step and this use of them alone: a resumed run draws the same. */
  randoms(use: number): Random[];
}

/** The discriminator's update number `update` (from 0) of a step. `generated` is judged as a constant. */
export function discriminatorObjective(judging: Judging, discriminator: Discriminator, { blur, sharp, generated }: Example, update: number): Objective {
  const { config: { diffAugment: policy, losses: { adversarial } }, randoms } = judging;
  const [blurOfReal, real] = diffAugment([blur, sharp], policy, randoms(3 * update + 1));
  // The penalty's pictures lie between a real and a fake one, so both must be of the same view there.
  const [blurOfFake, fake] = diffAugment([blur, inFloat(detach(generated))], policy, randoms(3 * update + (adversarial.type === 'wgan-gp' ? 1 : 2)));
  const judge = (of: Tensor, candidate: Tensor): Tensor => inFloat(autocast(() => discriminator.forward(of, candidate), judging.autocast));
  const loss = discriminatorLoss(adversarial.type, judge(blurOfReal, real), judge(blurOfFake, fake));
  if (adversarial.type !== 'wgan-gp') return { total: loss, terms: { discriminator: loss } };
  const penalty = gradientPenalty((between) => discriminator.forward(blurOfReal, between), real, fake, randoms(3 * update + 3).map((random) => random.uniform()));
  return { total: add(loss, mulScalar(penalty, adversarial.penalty)), terms: { discriminator: loss, gradientPenalty: penalty } };
}

/** What the perceptual loss draws from; no update of the discriminator counts that far. */
const jitterUse = 2 ** 32;

/** The same window of all pictures, N, 3, H, W, smaller by `pixels` each way and anywhere. */
function jittered(pictures: readonly Tensor[], pixels: number, random: Random): Tensor[] {
  if (pixels === 0) return [...pictures];
  const [, , height, width] = pictures[0].shape, y = random.integer(pixels + 1), x = random.integer(pixels + 1);
  return pictures.map((picture) => narrow(narrow(picture, 2, y, height - pixels), 3, x, width - pixels));
}

/** The generator's update. The discriminator's parameters must be frozen meanwhile, so that they pass the gradient on and collect none. */
export function generatorObjective(judging: Judging, { blur, sharp, generated }: Example): Objective {
  const { config: { diffAugment: policy, losses: { pixel, fourier, adversarial } }, discriminator, perceptual, randoms } = judging;
  const answer = inFloat(generated);
  const terms: Record<string, Tensor> = { [pixel.type]: pixelLoss(pixel.type, answer, sharp) };
  let total = mulScalar(terms[pixel.type], pixel.weight);
  if (fourier.weight > 0) {
    terms.fourier = fourierLoss(answer, sharp);
    total = add(total, mulScalar(terms.fourier, fourier.weight));
  }
  if (perceptual) {
    const [seen, wanted] = jittered([answer, sharp], perceptual.jitter, randoms(jitterUse)[0]);
    terms[perceptual.name] = perceptual.distance(seen, wanted, judging.autocast);
    total = add(total, mulScalar(terms[perceptual.name], perceptual.weight));
  }
  if (discriminator) {
    const judge = (candidate: Tensor): Tensor => {
      const [of, augmented] = diffAugment([blur, candidate], policy, randoms(0));
      return inFloat(autocast(() => discriminator.forward(of, augmented), judging.autocast));
    };
    terms.adversarial = generatorLoss(adversarial.type, judge(adversarial.detachFake ? detach(answer) : answer), () => noGrad(() => judge(sharp)));
    total = add(total, mulScalar(terms.adversarial, adversarial.weight));
  }
  return { total, terms: { ...terms, generator: total } };
}
