/**
 * The tables of a model card: all metrics beside the blurry input's on each set, sharp pictures in, mean colours, and how strong edges are, which
 * says whether a network that was trained to look sharp does; and PSNR at the best shift by whole pixels, since the sharp frames of some sets are not the
 * middle of the exposure: a picture can't say which way time went, so no network can put its edges where such a frame has them. Each picture is deblurred as `unshake deblur --force` does, and rounded to 8 bits.
 */
import { parseArgs } from 'node:util';
import { noGrad, scope } from '@unshake/libtorch';
import { parseConfig } from '../src/config.js';
import { openDataset, pairsOf, readPair, type Pair } from '../src/dataset.js';
import { deblurImage } from '../src/deblur.js';
import { openEngine } from '../src/engines.js';
import { UsageError, messageOf } from '../src/errors.js';
import { scorePairs } from '../src/evaluate.js';
import type { RgbImage } from '../src/image/image.js';
import { makePerceptual, type Perceptual } from '../src/losses/perceptual.js';
import { metricNames, summarise, type Summary } from '../src/metrics/index.js';
import { imagesToTensor } from '../src/players.js';
import { autocastOptions } from '../src/precision.js';
import type { Model } from '../src/runtime/model.js';
import { metricTitles } from '../cli/score-table.js';

const help = `npm run bench -- model-card MODEL --data DIR [--data DIR...] [--backbone FILE --heads FILE] [--json]
  --data DIR       pairs; the test split where there is one
  --backbone FILE  SqueezeNet 1.1, and --heads FILE, LPIPS's linear heads for it: adds the perceptual distance (LPIPS with the official weights only)
`;

/** Mean difference of neighbours, across and down, over all samples. */
function edgeStrength({ width, height, data }: RgbImage): number {
  let sum = 0;
  for (let y = 0; y + 1 < height; y++) {
    for (let i = 3 * y * width; i < 3 * (y * width + width - 1); i++) sum += Math.abs(data[i + 3] - data[i]) + Math.abs(data[i + 3 * width] - data[i]);
  }
  return sum / (6 * (width - 1) * (height - 1));
}

const mostShift = 4;

/** PSNR of the two pictures' insides where one is shifted by up to `mostShift` pixels each way, whichever is best. */
function alignedPsnr(image: RgbImage, sharp: RgbImage): number {
  const { width, height } = sharp, shifts = Array.from({ length: 2 * mostShift + 1 }, (_, i) => i - mostShift);
  const squares = (dx: number, dy: number): number => {
    let sum = 0;
    for (let y = mostShift; y < height - mostShift; y++) {
      const row = 3 * y * width, offset = 3 * (dy * width + dx);
      for (let i = row + 3 * mostShift; i < row + 3 * (width - mostShift); i++) sum += (image.data[i + offset] - sharp.data[i]) ** 2;
    }
    return sum / (3 * (width - 2 * mostShift) * (height - 2 * mostShift));
  };
  return psnrOf(Math.min(...shifts.flatMap((dy) => shifts.map((dx) => squares(dx, dy)))));
}

/** A picture that comes back unchanged counts as 80 dB, as everywhere here. */
const psnrOf = (squares: number): number => -10 * Math.log10(squares / 255 ** 2 + 1e-8);

/** By how much each channel's mean moves, at most, in 8-bit steps. */
function toneShift(before: RgbImage, after: RgbImage): number {
  return Math.max(...[0, 1, 2].map((channel) => {
    let sum = 0;
    for (let i = channel; i < before.data.length; i += 3) sum += after.data[i] - before.data[i];
    return Math.abs((3 * sum) / before.data.length);
  }));
}

interface SetResult { data: string; pairs: number; input: Summary; output: Summary; aligned: [number, number]; edges: [number, number]; tone: number[]; distance?: [number, number] }

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

async function measureSet(model: Model, data: string, pairs: readonly Pair[], perceptual: Perceptual | null): Promise<SetResult> {
  const aligned: [number, number][] = [], edges: [number, number][] = [], tone: number[] = [], distances: [number, number][] = [];
  const apart = (image: RgbImage, sharp: RgbImage): number => noGrad(() => scope(() => {
    const [a, b] = [image, sharp].map(({ data: bytes, width, height }) => imagesToTensor(bytes, [1, height, width], 'cpu'));
    return perceptual!.distance(a, b, autocastOptions('fp32', 'cpu')).item();
  }));
  const { input, output } = await scorePairs(model, pairs, {
    protocols: ['clean'], metrics: metricNames,
    onPictures: (_, { blur, sharp, output: image }) => {
      aligned.push([alignedPsnr(blur, sharp), alignedPsnr(image, sharp)]);
      edges.push([edgeStrength(blur) / edgeStrength(sharp), edgeStrength(image) / edgeStrength(sharp)]);
      tone.push(toneShift(blur, image));
      if (perceptual) distances.push([apart(blur, sharp), apart(image, sharp)]);
      return Promise.resolve();
    },
  });
  const both = (values: readonly [number, number][]): [number, number] => [mean(values.map(([before]) => before)), mean(values.map(([, after]) => after))];
  return {
    data, pairs: pairs.length, input: summarise(input.map(({ clean }) => clean)), output: summarise(output.map(({ clean }) => clean)),
    aligned: both(aligned), edges: both(edges), tone, ...(perceptual && { distance: both(distances) }),
  };
}

/** PSNR of each sharp picture after the network against itself. */
async function sharpIn(model: Model, pairs: readonly Pair[]): Promise<number[]> {
  const values: number[] = [];
  for (const pair of pairs) {
    const { sharp } = await readPair(pair), { image } = await deblurImage(model, sharp);
    values.push(psnrOf(sharp.data.reduce((sum, value, i) => sum + (value - image.data[i]) ** 2, 0) / sharp.data.length));
  }
  return values;
}

function textOf(name: string, sets: readonly SetResult[], sharp: readonly number[]): string {
  const cells = ({ mean: means, std }: Summary): string => metricNames.map((metric) => {
    const digits = metric === 'psnr' ? 2 : 4;
    return `${means[metric]!.toFixed(digits)}${std ? ` ± ${std[metric]!.toFixed(digits)}` : ''}`;
  }).join(' | ');
  const tone = sets.flatMap((set) => set.tone);
  return [
    ...sets.flatMap(({ data, pairs, input, output, aligned, edges, distance }) => {
      const more = (side: 0 | 1): string => ` | ${aligned[side].toFixed(2)} | ${edges[side].toFixed(2)}${distance ? ` | ${distance[side].toFixed(4)}` : ''} |`;
      const columns = [...metricNames.map((metric) => metricTitles[metric]), 'PSNR, aligned', 'edges', ...(distance ? ['perceptual distance'] : [])];
      return [`**${data}, ${pairs} pairs**`, '', `| | ${columns.join(' | ')} |`, `|---${'|---'.repeat(columns.length)}|`,
        `| blurry input | ${cells(input)}${more(0)}`, `| ${name} | ${cells(output)}${more(1)}`, ''];
    }),
    `PSNR, aligned: at the best shift of each picture by up to ${mostShift} whole pixels. Edges: mean difference of neighbouring samples over that of the sharp picture.`, '',
    `Sharp in, sharp out: ${mean(sharp).toFixed(1)} dB on average, ${Math.min(...sharp).toFixed(1)} at least (${sharp.length} pictures).`,
    `Mean colour of each channel: changes by ${mean(tone).toFixed(2)} of 255 on average over the pictures, ${Math.max(...tone).toFixed(2)} at most.`, '',
  ].join('\n');
}

/** Measures and prints Markdown, or JSON. Throws UsageError, DataError, and what opening the model or the weights throws. */
export async function benchModelCard(args: string[]): Promise<void> {
  let parsed;
  try {
    const text = { type: 'string' } as const, flag = { type: 'boolean', default: false } as const;
    parsed = parseArgs({ args, allowPositionals: true, options: { json: flag, help: flag, data: { ...text, multiple: true, default: [] }, backbone: text, heads: text } });
  } catch (error) {
    throw new UsageError(`model-card: ${messageOf(error)}`);
  }
  const { values: { json, help: asked, data, backbone, heads }, positionals: [name, ...rest] } = parsed;
  if (asked) {
    process.stdout.write(help);
    return;
  }
  if (name === undefined || rest.length > 0 || data.length === 0) throw new UsageError(`model-card: expected one model and --data, got ${args.join(' ') || 'nothing'}\n${help}`);
  if ((backbone === undefined) !== (heads === undefined)) throw new UsageError('model-card: --backbone and --heads go together');

  const perceptual = backbone === undefined ? null
    : makePerceptual(parseConfig({ losses: { perceptual: { type: 'lpips', network: 'squeeze', backbone, heads } } }, 'model-card'), 'unit', 'cpu');
  const { model } = await openEngine(name);
  try {
    const sets: SetResult[] = [], all: Pair[] = [];
    for (const folder of data) {
      const pairs = pairsOf(await openDataset(folder), 'test');
      sets.push(await measureSet(model, folder, pairs, perceptual));
      all.push(...pairs);
    }
    const sharp = await sharpIn(model, all);
    process.stdout.write(json ? `${JSON.stringify({ model: model.name, sets, sharp })}\n` : textOf(model.name, sets, sharp));
  } finally {
    perceptual?.release();
    await model.release();
  }
}
