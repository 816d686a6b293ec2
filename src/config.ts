/**
 * Every setting of a training run, its default, and the reason for it. An experiment is a small YAML file that changes some;
 * `--set key=value` changes one more. Unknown keys are refused with the nearest name.
 */
import { readFile } from 'node:fs/promises';
import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { closest } from 'fastest-levenshtein';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { blurRecipes } from './blur/index.js';
import { ConfigError, messageOf } from './errors.js';
import { experimentsFolder } from './paths.js';

const positiveInteger = z.int().positive();
const norm = z.enum(['batch', 'instance']);

const source = z.strictObject({
  path: z.string().min(1), //                                     a dataset folder; with `blur`, a folder of sharp photographs
  weight: z.number().min(0).default(1), //                        share of the examples, relative to the other sources
  blur: z.enum(blurRecipes).optional(), //                        blur sharp photographs with this recipe, anew for each example
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
  }),
  z.strictObject({
    type: z.literal('residual-unet'),
    width: positiveInteger.default(48), //                        channels at half resolution
    blocks: z.tuple([positiveInteger, positiveInteger, positiveInteger]).default([2, 2, 6]), // residual blocks at 1/2, 1/4, 1/8
  }),
]);

const discriminator = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('patch'), ndf: positiveInteger.default(48), norm: norm.default('batch') }), // the paper's, conditional
  z.strictObject({ type: z.literal('report'), fidelity: z.enum(['as-coded', 'as-meant']).default('as-meant') }), // the report's, unconditional
]);

const optimizer = z.strictObject({
  type: z.enum(['adam', 'adamw', 'sgd', 'rmsprop']).default('adam'),
  lr: z.number().positive().default(2e-4), //                     pix2pix's and the report's
  betas: z.tuple([z.number(), z.number()]).default([0.5, 0.999]), // β₁ 0.5: momentum of 0.9 makes adversarial training oscillate
  weightDecay: z.number().min(0).default(0),
});

const schema = z.strictObject({
  name: z.string().regex(/^[\w.-]+$/, 'letters, digits, dots and dashes').default('run'), // names the run in logs and tables
  seed: z.int().min(0).default(1), //                             weights, data order, crops, blur and dropout follow from it
  steps: positiveInteger.default(100_000),
  data: z.array(source).min(1).default([{ path: 'data/scenes', weight: 1 }]),
  ab: z.enum(['sharp-left', 'blur-left']).default('sharp-left'), // halves of side-by-side pairs
  blurFolder: z.enum(['blur', 'blur_gamma']).default('blur'), //  of a GOPRO_Large tree
  limitPairs: positiveInteger.nullable().default(null), //        train on this many pairs only, drawn by the seed
  batchSize: positiveInteger.default(1), //                       the paper's; images a process takes at once
  accumulate: positiveInteger.default(1), //                      micro-batches of batchSize a step: gradients of a batch that the device can't hold
  crop: positiveInteger.default(256), //                          side of the training crops, pixels
  augment: z.enum(['none', 'flip', 'dihedral']).default('flip'), // mirrored left to right; dihedral: all eight flips and turns
  workers: z.int().min(0).default(0), //                          decoding threads; 0: half of the cores
  threads: z.int().min(0).default(0), //                          libtorch's CPU threads; 0: all cores
  precision: z.enum(['auto', 'fp32', 'bf16', 'fp16']).default('auto'), // auto: bf16 where the hardware computes in it, else fp32 (CUDA: fp16)
  generator: generator.prefault({ type: 'dgf-paper' }),
  discriminator: discriminator.nullable().default(null), //       null: no adversarial training
  losses: z.strictObject({
    pixel: z.strictObject({
      type: z.enum(['l1', 'mse', 'charbonnier']).default('l1'),
      weight: z.number().min(0).default(170), //                  the paper's K₂, in the generator's own range
    }).prefault({}),
    adversarial: z.strictObject({
      type: z.enum(['bce']).default('bce'), //                    non-saturating, on logits
      weight: z.number().min(0).default(1),
    }).prefault({}),
  }).prefault({}),
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
});

export type Config = z.output<typeof schema>;
export type OptimizerConfig = Config['optimizer'];

/** All key names of the schema, to find the one that was meant. */
function keyNames(value: unknown, names = new Set<string>()): Set<string> {
  if (typeof value === 'object' && value !== null) {
    for (const [key, inner] of Object.entries(value)) {
      if (key === 'properties') for (const name of Object.keys(inner as object)) names.add(name);
      keyNames(inner, names);
    }
  }
  return names;
}

function explain(issue: z.core.$ZodIssue): string {
  const path = issue.path.join('.');
  if (issue.code === 'unrecognized_keys') {
    const names = [...keyNames(z.toJSONSchema(schema, { io: 'input' }))];
    return issue.keys.map((key) => `unknown key ${[...issue.path, key].join('.')}: did you mean ${closest(key, names)}?`).join('; ');
  }
  return `${path || 'the settings'}: ${issue.message.replace(/^Invalid input: /, '')}`;
}

/** Settings from a plain object: defaults filled in. Throws ConfigError naming every wrong key; `where` is the file or option it came from. */
export function parseConfig(settings: unknown, where: string): Config {
  const result = schema.safeParse(settings ?? {});
  if (result.success) return result.data;
  throw new ConfigError(`${where}: ${result.error.issues.map(explain).join('; ')}`);
}

/** The YAML of a resolved configuration. */
export const configToYaml = (config: Config): string => stringify(config);

/** Names of the experiments that come with the package. */
export function experimentNames(): string[] {
  return readdirSync(fileURLToPath(experimentsFolder)).filter((name) => name.endsWith('.yaml')).map((name) => name.slice(0, -'.yaml'.length)).sort();
}

/** Sets `a.b.c` of a nested plain object. Throws ConfigError when a value lies in the way. */
function setKey(settings: Record<string, unknown>, assignment: string): void {
  const at = assignment.indexOf('=');
  if (at < 1) throw new ConfigError(`--set ${assignment}: expected key=value, for example --set optimizer.lr=1e-4`);
  const keys = assignment.slice(0, at).split('.');
  let holder = settings;
  for (const key of keys.slice(0, -1)) {
    const inner = holder[key] ??= {};
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) throw new ConfigError(`--set ${assignment}: ${key} is not a group of settings`);
    holder = inner as Record<string, unknown>;
  }
  holder[keys[keys.length - 1]] = parse(assignment.slice(at + 1));
}

/** Reads an experiment (a name in experiments/, or a YAML path) and applies `key=value` assignments. Throws ConfigError. */
export async function loadConfig(experiment: string, { set = [] }: { set?: readonly string[] } = {}): Promise<Config> {
  const shipped = fileURLToPath(new URL(`${experiment}.yaml`, experimentsFolder));
  const path = existsSync(shipped) && !experiment.includes('/') ? shipped : experiment;
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    const names = experimentNames();
    throw new ConfigError(`${experiment}: no such experiment (${messageOf(error)}); expected a YAML file or one of ${names.join(', ')}`);
  });
  let settings: unknown;
  try {
    settings = parse(text) ?? {};
  } catch (error) {
    throw new ConfigError(`${path}: not valid YAML (${messageOf(error)})`, { cause: error });
  }
  if (typeof settings !== 'object' || Array.isArray(settings)) throw new ConfigError(`${path}: expected a mapping of settings`);
  for (const assignment of set) setKey(settings as Record<string, unknown>, assignment);
  return parseConfig(settings, path);
}
