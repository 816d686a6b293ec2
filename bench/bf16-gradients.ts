/**
 * How far bfloat16 turns the gradient of each of the generators' parameters: the cosine with float32's, from the same weights (untrained), for L1 on
 * pairs of pictures. Beside it what rounding the weights alone does, with everything else in float32: no bfloat16 engine can be nearer than that.
 * Parameters with less than a millionth of the largest gradient are left out: those whose gradient is 0 but for rounding.
 */
import { parseArgs } from 'node:util';
import { autocast, backward, copy_, l1Loss, manualSeed, noGrad, scope, status, toDtype, type Tensor } from '@unshake/libtorch';
import { blurPhoto } from '../src/blur/index.js';
import { generateScene } from '../src/blur/scenes.js';
import { openDataset, pairsOf, readPair } from '../src/dataset.js';
import { MissingError, UsageError, messageOf } from '../src/errors.js';
import { centreCrop, type RgbImage } from '../src/image/image.js';
import { PaperGenerator, ReportGenerator } from '../src/models/deep-generative-filter.js';
import { toRange, type Generator } from '../src/models/index.js';
import { imagesToTensor } from '../src/players.js';
import { autocastOptions, inFloat } from '../src/precision.js';
import { randomAt } from '../src/random.js';

const help = `npm run bench -- bf16-gradients [--json] [--data DIR] [--batches 4] [--crop 256]
  --data DIR   pairs, cut to a centred square; default: generated scenes
  --batches N  of two pairs each
`;

const networks = [8, 32].flatMap((rate) => [
  { name: `report-${rate}`, make: (): Generator => new ReportGenerator({ rate }) },
  { name: `paper-${rate}`, make: (): Generator => new PaperGenerator({ rate, dropout: 0 }) },
]);
const perBatch = 2;

type Pictures = { blur: RgbImage; sharp: RgbImage }[];
type Rounding = 'none' | 'weights' | 'bf16';
type Gradients = Map<string, Float32Array>;

/** d L1 / d each parameter, N pairs of `side`². The same seed gives the same weights. */
function gradients(make: () => Generator, pairs: Pictures, side: number, seed: number, rounding: Rounding): Gradients {
  return scope(() => {
    manualSeed(seed);
    const generator = make();
    try {
      generator.moveTo('cpu');
      if (rounding === 'weights') {
        noGrad(() => generator.parameters().filter(({ shape }) => shape.length === 4).forEach((weight) => copy_(weight, toDtype(toDtype(weight, 'bfloat16'), 'float32'))));
      }
      const stacked = (of: 'blur' | 'sharp'): Tensor => toRange(imagesToTensor(new Uint8Array(Buffer.concat(pairs.map((pair) => pair[of].data))), [pairs.length, side, side], 'cpu'), generator.range);
      const blur = stacked('blur');
      const answer = rounding === 'bf16' ? inFloat(autocast(() => generator.forward(blur), autocastOptions('bf16', 'cpu'))) : generator.forward(blur);
      backward(l1Loss(answer, stacked('sharp')));
      return new Map([...generator.namedTensors()].filter(([, tensor]) => tensor.requiresGrad).map(([name, { grad }]) => [name, grad!.toArray() as Float32Array]));
    } finally {
      generator.release();
    }
  });
}

const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, v, i) => sum + v * b[i], 0);
const norm = (a: Float32Array): number => Math.sqrt(dot(a, a));

/** The smallest cosine of all parameters, and how many are below 0.999. */
function worstOf(exact: Gradients, rounded: Gradients): { worst: number; below: number; parameters: number } {
  const largest = Math.max(...[...exact.values()].map(norm));
  const cosines = [...exact].filter(([, gradient]) => norm(gradient) > 1e-6 * largest).map(([name, gradient]) => dot(gradient, rounded.get(name)!) / norm(gradient) / norm(rounded.get(name)!));
  return { worst: Math.min(...cosines), below: cosines.filter((cosine) => !(cosine >= 0.999)).length, parameters: cosines.length };
}

async function readPairs(data: string | undefined, count: number, side: number): Promise<Pictures> {
  if (data === undefined) return Array.from({ length: count }, (_, i) => blurPhoto(generateScene(randomAt(1, i), side, side), randomAt(2, i), 'shake'));
  const all = pairsOf(await openDataset(data), 'all');
  if (all.length < count) throw new UsageError(`bf16-gradients: ${data} has ${all.length} pairs, ${count} are needed: --batches ${Math.floor(all.length / perBatch)}`);
  const chosen = Array.from({ length: count }, (_, i) => all[Math.floor(i * all.length / count)]);
  return Promise.all(chosen.map(async (pair) => {
    const { blur, sharp } = await readPair(pair);
    return { blur: centreCrop(blur, side, side), sharp: centreCrop(sharp, side, side) };
  }));
}

/** Measures and prints a Markdown table, or JSON. Throws UsageError, MissingError, DataError. */
export async function benchBf16Gradients(args: string[]): Promise<void> {
  let values;
  try {
    const text = { type: 'string' } as const;
    ({ values } = parseArgs({ args, options: { json: { type: 'boolean', default: false }, help: { type: 'boolean', default: false }, data: text, batches: text, crop: text } }));
  } catch (error) {
    throw new UsageError(`bf16-gradients: ${messageOf(error)}`);
  }
  if (values.help) {
    process.stdout.write(help);
    return;
  }
  const whole = (key: 'batches' | 'crop', fallback: number): number => {
    const value = Number(values[key] ?? fallback);
    if (!Number.isInteger(value) || value < 1) throw new UsageError(`bf16-gradients: --${key} is a whole number, 1 or more; got ${values[key]}`);
    return value;
  };
  const batches = whole('batches', 4), side = whole('crop', 256);
  const { available, reason } = status();
  if (!available) throw new MissingError(reason!);
  const pairs = await readPairs(values.data, batches * perBatch, side);
  const rows = networks.flatMap(({ name, make }) => Array.from({ length: batches }, (_, batch) => {
    const own = pairs.slice(batch * perBatch, (batch + 1) * perBatch);
    const of = (rounding: Rounding): Gradients => gradients(make, own, side, batch, rounding);
    const exact = of('none');
    return { network: name, batch, weightsAlone: worstOf(exact, of('weights')), bf16: worstOf(exact, of('bf16')) };
  }));
  if (values.json) {
    process.stdout.write(`${JSON.stringify({ data: values.data ?? 'generated scenes', crop: side, rows })}\n`);
    return;
  }
  const cell = ({ worst, below, parameters }: ReturnType<typeof worstOf>): string => `${worst.toFixed(5)} (${below} of ${parameters})`;
  const line = ({ network, batch, weightsAlone, bf16 }: (typeof rows)[number]): string => `| ${network} | ${batch} | ${cell(weightsAlone)} | ${cell(bf16)} |`;
  process.stdout.write(['Smallest cosine with the float32 gradient of any parameter (how many are below 0.999)', '',
    '| network | batch | weights rounded, nothing else | bf16 |', '|---|---:|---|---|', ...rows.map(line), ''].join('\n'));
}
