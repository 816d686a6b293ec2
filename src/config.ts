/**
 * Every setting of a training run, its default, and the reason for it. Unknown keys are refused with the nearest name. Experiments
 * (experiment-file.ts) are small files that change some.
 */
import { closest } from 'fastest-levenshtein';
import { z } from 'zod';
import { blurRecipes } from './blur/index.js';
import { augmentations } from './diff-augment.js';
import { ConfigError } from './errors.js';
import { adversarialTypes } from './losses/adversarial.js';
import { lpipsNetworks, perceptualTypes } from './losses/perceptual.js';
import { isGroup, merge, type Group } from './settings.js';

const positiveInteger = z.int().positive();
/** When a network is used, batch norm takes the running statistics of its training, instance norm each picture's own: either way a picture has one result. */
const norm = z.enum(['batch', 'instance']);

const source = z.strictObject({
  path: z.string().min(1), //                                     a dataset folder; with `blur`, a folder of sharp photographs
  weight: z.number().min(0).default(1), //                        share of the examples, relative to the other sources
  blur: z.enum(blurRecipes).optional(), //                        blur sharp photographs with this recipe, anew for each example
  rescale: z.tuple([z.number().positive().max(1), z.number().positive().max(1)]).optional(), // shrink pictures by a factor between these, anew for each example: blur and detail of every size
  keepTone: z.boolean().default(false), //                        give each sharp crop the mean colour of its blurry one: averaging light brightens, and a network that learns to undo it guesses
  jpeg: z.number().min(0).max(1).default(0), //                   share of the examples whose blurry half goes through JPEG at quality 50 to 95
});

const generator = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('dgf-paper'),
    rate: positiveInteger.default(64), //                         channel rate; the paper's
    norm: norm.default('batch'), //                               the authors' code normalises by batch
    dropout: z.number().min(0).max(1).default(0.5), //            at the tail, the paper's source of noise; off at inference
  }),
  z.strictObject({
    type: z.literal('dgf-report'),
    rate: positiveInteger.default(32), //                         the report's rate
    norm: norm.default('instance'), //                            the report's Experiment 1 and later
    range: z.enum(['signed', 'unit']).default('signed'), //       of the pictures: [−1, 1], tanh's own; unit: [0, 1], which tanh can leave. See asCoded
  }),
  z.strictObject({
    type: z.literal('residual-unet'),
    width: positiveInteger.default(48), //                        channels at the highest resolution inside; doubled at each scale below
    blocks: z.tuple([positiveInteger, positiveInteger, positiveInteger]).default([2, 2, 6]), // residual blocks at 1/2, 1/4, 1/8
    shuffle: z.union([z.literal(2), z.literal(4)]).default(2), // pixel-unshuffle before anything else; 4: blocks stand at 1/4, 1/8, 1/16
    block: z.enum(['plain', 'naf']).default('plain'), //          naf: NAFNet's block without its pooling over the image
  }),
  z.strictObject({
    type: z.literal('nafnet'),
    width: positiveInteger.default(32), //                        channels at full resolution; doubled at each scale below. The paper's are 32 and 64
    encoder: z.array(positiveInteger).min(1).max(6).default([1, 1, 1, 28]), // blocks at each scale on the way down
    middle: positiveInteger.default(1), //                        blocks at the lowest scale
    decoder: z.array(positiveInteger).default([1, 1, 1, 1]), //   blocks at each scale on the way up, the lowest first
    window: positiveInteger.nullable().default(384), //           side of the windows that its attention averages over, pixels: 1.5 × crop is the authors'; null: the whole picture
  }).refine(({ encoder, decoder }) => encoder.length === decoder.length, { path: ['decoder'], error: 'expected as many scales as encoder has' }),
  z.strictObject({
    type: z.literal('diffusion'), //                              draws a picture from noise; see models/diffusion.ts. Its pixel loss should be mse
    width: positiveInteger.default(48), //                        of its U-Net, as those of residual-unet
    blocks: z.tuple([positiveInteger, positiveInteger, positiveInteger]).default([2, 2, 6]),
    shuffle: z.union([z.literal(2), z.literal(4)]).default(2),
    steps: positiveInteger.default(10), //                        from noise to picture, when used; training doesn't depend on it
    samples: positiveInteger.default(1), //                       pictures drawn and averaged, when used
    spread: z.number().positive().default(0.07), //               usual deviation of sharp pictures from their blurry ones: what noise is measured by
  }),
]);

const discriminator = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('patch'), ndf: positiveInteger.default(48), norm: norm.default('batch') }), // the paper's, conditional
  z.strictObject({
    type: z.literal('report'), //                                 the report's, unconditional, on patches of 32×32
    norm: norm.default('instance'),
    patches: z.enum(['all', 'top-left']).default('all'), //       top-left: 4×4 of them from the corner, whatever the size of the picture. See asCoded
    sigmoid: z.boolean().default(false), //                       end in a sigmoid, although the loss is on logits. See asCoded
  }),
]);

const optimizer = z.strictObject({
  type: z.enum(['adam', 'adamw', 'sgd', 'rmsprop']).default('adam'),
  lr: z.number().positive().default(2e-4), //                     pix2pix's and the report's
  betas: z.tuple([z.number().min(0).lt(1), z.number().min(0).lt(1)]).default([0.5, 0.999]), // β₁ 0.5: momentum of 0.9 makes adversarial training oscillate. sgd: β₁ is its momentum; rmsprop: unused
  weightDecay: z.number().min(0).default(0),
});

const schema = z.strictObject({
  name: z.string().regex(/^[\w.-]+$/, 'letters, digits, dots and dashes').default('run'), // names the run in logs and tables; the file's own name in an experiment
  seed: z.int().min(0).default(1), //                             weights, data order, crops, blur, dropout and, without val/, the scenes held out follow from it
  steps: positiveInteger.default(100_000),
  minutes: z.number().positive().nullable().default(null), //     time, validation included, after which the run ends before its steps; the schedule then follows the clock, and two runs differ
  data: z.array(source).min(1).prefault([{ path: 'data/scenes' }]),
  ab: z.enum(['sharp-left', 'blur-left']).default('sharp-left'), // halves of side-by-side pairs
  blurFolder: z.enum(['blur', 'blur_gamma']).optional(), //       of a GOPRO_Large tree; default: blur where it is there
  limitPairs: positiveInteger.nullable().default(null), //        train on this many pairs only, drawn by the seed
  batchSize: positiveInteger.default(1), //                       the paper's; images a process takes at once
  accumulate: positiveInteger.default(1), //                      micro-batches of batchSize a step: gradients of a batch that the device can't hold
  crop: positiveInteger.default(256), //                          side of the training crops, pixels
  progressive: z.array(z.strictObject({ //                        later stages, in order: larger crops in smaller batches. See stages.ts
    from: z.number().gt(0).lt(1), //                              share of the run after which it begins
    crop: positiveInteger,
    batchSize: positiveInteger,
  })).default([]),
  augment: z.enum(['none', 'flip', 'dihedral']).default('flip'), // mirrored left to right; dihedral: all eight flips and turns
  workers: z.int().min(0).default(0), //                          decoding threads; 0: half of the cores, at most 8; beside a GPU all but two
  threads: z.int().min(0).default(0), //                          libtorch's CPU threads; 0: all cores
  precision: z.enum(['auto', 'fp32', 'bf16', 'fp16']).default('auto'), // auto: bf16 where the hardware computes in it, else fp32 (CUDA: fp16)
  generator: generator.prefault({ type: 'dgf-paper' }),
  discriminator: discriminator.nullable().default(null), //       null: no adversarial training
  losses: z.strictObject({
    pixel: z.strictObject({
      type: z.enum(['l1', 'mse', 'charbonnier', 'psnr']).default('l1'),
      weight: z.number().min(0).default(170), //                  the paper's K₂, in the generator's own range
    }).prefault({}),
    fourier: z.strictObject({
      weight: z.number().min(0).default(0), //                    of the difference's Fourier transform; 0: none. See losses/pixel.ts
    }).prefault({}),
    adversarial: z.strictObject({
      type: z.enum(adversarialTypes).default('bce'), //           on logits, non-saturating; the others are in losses/adversarial.ts
      weight: z.number().min(0).default(1),
      criticSteps: positiveInteger.default(1), //                 discriminator updates a step, on the same batch; 5 is usual for wgan and wgan-gp
      clip: z.number().positive().default(0.01), //               wgan: the critic's weights stay within ± this; its inventors' value
      penalty: z.number().min(0).default(10), //                  wgan-gp: weight of the gradient penalty; its inventors' value
      detachFake: z.boolean().default(false), //                  cut the generator's adversarial term off its graph: no gradient. See asCoded
    }).prefault({}),
    perceptual: z.strictObject({
      type: z.enum(perceptualTypes), //                           which distance of features; losses/perceptual.ts lists them
      network: z.enum(lpipsNetworks).default('vgg'), //           of the two lpips types
      weight: z.number().min(0).default(145), //                  the paper's K₁
      range: z.enum(['signed', 'unit']).default('signed'), //     lpips: what it is fed, [−1, 1] as it expects; unit: [0, 1]. See asCoded
      jitter: z.int().min(0).default(0), //                       pixels; show it windows smaller by as much, placed anew each step: the grid of its strides then never fits one that the generator draws
      backbone: z.string().nullable().default(null), //           file of the network's weights; null: the one that `unshake weights fetch` got
      heads: z.string().nullable().default(null), //              lpips: file of its linear heads; null: likewise
    }).nullable().default(null), //                               null: none
  }).prefault({}),
  diffAugment: z.array(z.enum(augmentations)).default([]), //     differentiable augmentation of all that the discriminator judges, in this order
  fidelity: z.enum(['as-intended', 'as-coded']).default('as-intended'), // as-coded: with the slips of the report's program, see asCoded
  optimizer: optimizer.prefault({}),
  discriminatorOptimizer: optimizer.nullable().default(null), //  null: the same settings as the generator's
  schedule: z.strictObject({
    type: z.enum(['constant', 'cosine']).default('constant'),
    warmup: z.int().min(0).default(0), //                         steps of linear rise
    floor: z.number().min(0).max(1).default(0), //                cosine's end, as a fraction of lr
  }).prefault({}),
  gradientClip: z.number().positive().nullable().default(null), // joint 2-norm of the generator's gradients
  ema: z.number().min(0).max(0.999999).default(0.999), //         decay of the averaged weights that are validated and shipped; 0: the weights themselves
  logEvery: positiveInteger.default(10),
  checkpointEvery: positiveInteger.default(1000), //              steps
  keepCheckpoints: positiveInteger.default(5), //                 older step-*.safetensors are deleted; best is kept
  validateEvery: positiveInteger.default(1000), //                steps
  validationPairs: positiveInteger.default(16), //                at most; drawn evenly from those held out
  validationCrop: positiveInteger.default(512), //                centre crop, at most this many pixels a side: whole frames would take longer than training
}).check(({ value: { crop, progressive, generator: { type: generatorType }, discriminator: critic, losses: { adversarial: { type }, perceptual } }, issues }) => {
  if (progressive.some(({ from }, i) => i > 0 && from <= progressive[i - 1].from)) {
    issues.push({ code: 'custom', input: progressive, path: ['progressive'], message: `expected each stage after the one before, got from: ${progressive.map(({ from }) => from).join(', ')}` });
  }
  if (generatorType === 'diffusion' && critic) {
    issues.push({ code: 'custom', input: critic.type, path: ['discriminator'], message: 'expected none (null) beside a diffusion model: in training it has seen something of the sharp picture, and is no adversary' });
  }
  if (type === 'wgan-gp' && critic?.norm === 'batch') {
    issues.push({ code: 'custom', input: critic.norm, path: ['discriminator', 'norm'], message: 'the gradient penalty is for each picture by itself, which batch norm mixes; use norm: instance with wgan-gp' });
  }
  const smallest = Math.min(crop, ...progressive.map((stage) => stage.crop));
  if (perceptual && 2 * perceptual.jitter > smallest) {
    issues.push({ code: 'custom', input: perceptual.jitter, path: ['losses', 'perceptual', 'jitter'], message: `expected half of the crop (${smallest}) or less, got ${perceptual.jitter}` });
  }
});

/**
 * What `fidelity: as-coded` sets, where nothing else is said: the slips of the report's program, each a setting of its own.
 * Its rows were trained with them; without them the same experiment is what its text describes.
 */
const asCoded = {
  generator: {
    range: 'unit', //          pictures and targets are in [0, 1], the output is tanh's, in [−1, 1]
  },
  discriminator: {
    patches: 'top-left', //    the grid of patches has a wrong step: of a 256×256 picture only the top left quarter is judged
    sigmoid: true, //          binary cross-entropy *with logits* of what a sigmoid has left: the sum of both terms can't fall below ln(1 + 1/e) + ln 2 = 1.006
  },
  losses: {
    adversarial: {
      detachFake: true, //     the generator's adversarial term is of a detached picture: no gradient, so what is trained is L1 + LPIPS
    },
    perceptual: {
      range: 'unit', //        LPIPS is fed [0, 1] where it expects [−1, 1]
    },
  },
};

export type Config = z.output<typeof schema>;
export type OptimizerConfig = Config['optimizer'];

/** A node of the settings' JSON schema. */
interface Shape { properties?: Record<string, Shape & { const?: unknown }>; items?: Shape; anyOf?: Shape[]; oneOf?: Shape[] }

/** What the schema knows by `path`. Of several types of a group, the one that `settings` name; without a name, all. */
function keysAt(node: Shape, path: readonly PropertyKey[], settings: unknown): string[] {
  const variants = node.anyOf ?? node.oneOf;
  if (variants) {
    const named = variants.filter(({ properties }) => isGroup(settings) && properties?.type?.const !== undefined && properties.type.const === settings.type);
    return (named.length > 0 ? named : variants).flatMap((variant) => keysAt(variant, path, settings));
  }
  const [first, ...rest] = path;
  if (first === undefined) return Object.keys(node.properties ?? {});
  const inner = node.items ?? node.properties?.[first as string];
  return inner ? keysAt(inner, rest, (settings as Group | undefined)?.[first as string]) : [];
}

function explain(issue: z.core.$ZodIssue, settings: unknown): string {
  const path = issue.path.join('.');
  if (issue.code === 'unrecognized_keys') {
    const names = keysAt(z.toJSONSchema(schema, { io: 'input' }) as Shape, issue.path, settings);
    return issue.keys.map((key) => `unknown key ${[...issue.path, key].join('.')}: did you mean ${closest(key, names)}?`).join('; ');
  }
  return `${path || 'the settings'}: ${issue.message.replace(/^Invalid input: /, '')}`;
}

/** Fills in what `fidelity: as-coded` means. Throws ConfigError where the report's program has no such run. */
function withFidelity(settings: unknown, where: string): unknown {
  if (!isGroup(settings) || settings.fidelity !== 'as-coded') return settings;
  const typeAt = (...path: string[]): unknown => [...path, 'type'].reduce<unknown>((value, key) => isGroup(value) ? value[key] : undefined, settings);
  const slips: Group = structuredClone(asCoded);
  if (!String(typeAt('losses', 'perceptual')).startsWith('lpips')) delete (slips.losses as Group).perceptual;
  if (typeAt('discriminator') === undefined) delete slips.discriminator;
  const adversarial = typeAt('losses', 'adversarial') ?? 'bce';
  if (typeAt('generator') !== 'dgf-report' || !['report', undefined].includes(typeAt('discriminator') as string) || adversarial !== 'bce') {
    throw new ConfigError(`${where}: fidelity: as-coded: expected the report's own networks and loss (generator.type dgf-report, discriminator.type report, losses.adversarial.type bce); `
      + 'its program for WGAN is not public. Leave fidelity out, or set the slips one by one (asCoded in src/config.ts)');
  }
  return merge(slips, settings);
}

/** Settings from a plain object: defaults filled in. Throws ConfigError naming every wrong key; `where` is the file or option it came from. */
export function parseConfig(settings: unknown, where: string): Config {
  const whole = withFidelity(settings ?? {}, where);
  const result = schema.safeParse(whole);
  if (result.success) return result.data;
  throw new ConfigError(`${where}: ${result.error.issues.map((issue) => explain(issue, whole)).join('; ')}`);
}

/** What a run is called in tables and folders: the two fidelities of an experiment are two things. */
export const experimentName = ({ name, fidelity }: Config): string => (fidelity === 'as-coded' ? `${name}-as-coded` : name);
