/** Model × dataset → metrics of its output and, always, of the blurry input itself: what a model doesn't gain over that row, it doesn't do. */
import { openMeasurePool } from './compare/pool.js';
import { bySequence } from './data/pair.js';
import { openDataset, pairsOf, readPair, type AbOrder, type BlurFolder, type Dataset, type Pair, type SplitName } from './dataset.js';
import { deblurImage } from './deblur.js';
import { DataError, throwIfAborted } from './errors.js';
import { openEngine, type Engine } from './engines.js';
import { fittingMetrics } from './fitting-metrics.js';
import { centreCrop, type RgbImage } from './image/image.js';
import { conventions, measureDefaults, protocolText, summarise, type MetricName, type Protocol, type Scores, type Summary } from './metrics/index.js';
import type { LongWork } from './progress.js';
import type { Model } from './runtime/model.js';

export { engines, type Engine } from './engines.js';

export interface EvaluateOptions extends LongWork {
  /** Which split; a dataset without splits is taken whole. Default `test`. */
  split?: SplitName;
  /** Default `clean`. */
  protocol?: Protocol;
  /** Default: those of the six that all pictures are large enough for. */
  metrics?: readonly MetricName[];
  /** Cut this centred square out of both pictures **before** deblurring: the report's geometry. Default: the whole picture. */
  crop?: number;
  /** Measure without this many pixels at each edge **after** deblurring the whole: what a model does to the picture, without what it does to its border. Default 0. */
  shave?: number;
  /** Default: `onnx` for ONNX files, `libtorch` for checkpoints. */
  engine?: Engine;
  /** `generator.key=value`: settings of a checkpoint's network that its weights don't depend on. Default: as it was trained. */
  set?: readonly string[];
  ab?: AbOrder;
  blurFolder?: BlurFolder;
}

const evaluateDefaults = { split: 'test', shave: 0, protocol: measureDefaults.protocol } as const satisfies EvaluateOptions;

/** `secondsPerImage`: mean wall time of deblurring one decoded picture, nothing else running. The blurry input has none. */
export interface EvaluationRow extends Summary { name: string; secondsPerImage?: number }

export interface Evaluation {
  data: string;
  kind: Dataset['kind'];
  split: SplitName;
  /** Which blur of a GOPRO_Large tree; null for other datasets. */
  blurFolder: BlurFolder | null;
  protocol: Protocol;
  crop: number | null;
  shave: number;
  engine: Engine;
  device: string;
  pairs: number;
  /** First the blurry input, then the model. */
  rows: EvaluationRow[];
  /** The same rows by GoPro sequence (`GOPR0384_11_00`) where names contain one; pairs without one are in none. */
  sequences: Record<string, { pairs: number; rows: EvaluationRow[] }>;
  conventions: { protocol: string } & Partial<Record<MetricName, string>>;
  /** Which metrics were left out, and why. */
  notes: string[];
}

/**
 * Deblurs every pair's blurry picture as `deblur` does, rounds to 8 bits, and measures. Throws DataError for the dataset,
 * ModelError, CheckpointError or MissingError for the model, MetricError naming the pair; AbortedError.
 */
export async function evaluate(modelName: string, data: string, options: EvaluateOptions = {}): Promise<Evaluation> {
  const { split, protocol, shave } = { ...evaluateDefaults, ...options };
  const { crop, onProgress, signal, ab, blurFolder } = options;
  const dataset = await openDataset(data, { ab, blurFolder });
  const pairs = pairsOf(dataset, split);
  if (pairs.length === 0) throw new DataError(`${data}: expected pairs in split ${split}, found none`);
  const { metrics, notes } = await fittingMetrics(pairs, { asked: options.metrics, crop, shave });
  const { model, engine } = await openEngine(modelName, options.engine, options.set);
  try {
    const { input, output, secondsPerImage } = await scorePairs(model, pairs, { protocols: [protocol], metrics, crop, shave, onProgress, signal });
    const rowsOf = (which: readonly number[]): EvaluationRow[] =>
      [{ name: 'blurry input', of: input }, { name: model.name, of: output }].map(({ name, of }) => ({ name, ...summarise(which.map((i) => of[i][protocol])) }));
    const [inputRow, outputRow] = rowsOf([...pairs.keys()]);
    return {
      data, kind: dataset.kind, split: dataset.splits.all ? 'all' : split, blurFolder: dataset.blurFolder ?? null,
      protocol, crop: crop ?? null, shave, engine, device: model.device, pairs: pairs.length,
      rows: [inputRow, { ...outputRow, secondsPerImage }],
      sequences: Object.fromEntries(bySequence(pairs.map(({ name }) => name)).map(([name, which]) => [name, { pairs: which.length, rows: rowsOf(which) }])),
      conventions: { protocol: protocolText[protocol], ...Object.fromEntries(metrics.map((metric) => [metric, conventions[metric]])) },
      notes,
    };
  } finally {
    await model.release();
  }
}

/** A picture's scores under each protocol that was asked for. */
export type ScoresByProtocol<P extends Protocol = Protocol> = Record<P, Scores>;

export interface ScoreOptions<P extends Protocol> extends LongWork {
  protocols: readonly P[];
  metrics: readonly MetricName[];
  crop?: number;
  shave?: number;
  /** The blurry input's scores, where they are known from another model on the same pairs: they are not measured again. */
  input?: readonly ScoresByProtocol<P>[];
  /** Called with each pair's three pictures, cropped, in the order of the pairs. */
  onPictures?: (index: number, pictures: { blur: RgbImage; sharp: RgbImage; output: RgbImage }) => Promise<void>;
}

/** Of each pair, in order, the scores of the blurry input and of the model's output. Errors as `evaluate`; the model stays open. */
export async function scorePairs<P extends Protocol>(
  model: Model, pairs: readonly Pair[], { protocols, metrics, crop, shave = 0, input: known, onPictures, onProgress, signal }: ScoreOptions<P>,
): Promise<{ input: ScoresByProtocol<P>[]; output: ScoresByProtocol<P>[]; secondsPerImage: number }> {
  const pools = protocols.map((protocol) => ({ protocol, pool: openMeasurePool(protocols.length === 1 ? 2 : 1, { metrics, protocol }) }));
  const score = async (name: string, test: RgbImage, reference: RgbImage): Promise<ScoresByProtocol<P>> => {
    const measured = await Promise.all(pools.map(async ({ protocol, pool }) => [protocol, (await pool.measure({ name, images: { test, reference } })).scores] as const));
    return Object.fromEntries(measured) as ScoresByProtocol<P>;
  };
  const input: ScoresByProtocol<P>[] = [], output: ScoresByProtocol<P>[] = [];
  let seconds = 0;
  try {
    for (const [done, pair] of pairs.entries()) {
      throwIfAborted(signal);
      onProgress?.({ done, total: pairs.length, label: pair.name });
      const { blur, sharp } = cropPair(pair.name, await readPair(pair), crop);
      const width = sharp.width - 2 * shave, height = sharp.height - 2 * shave;
      if (width < 1 || height < 1) throw new DataError(`${pair.name}: nothing is left of ${sharp.width}×${sharp.height} without ${shave} pixels at each edge`);
      const shaved = (image: RgbImage): RgbImage => centreCrop(image, width, height);
      const start = performance.now();
      const image = (await deblurImage(model, blur, { signal })).image as RgbImage;
      seconds += (performance.now() - start) / 1000;
      await onPictures?.(done, { blur, sharp, output: image });
      const scores = await Promise.all([known?.[done] ?? score(pair.name, shaved(blur), shaved(sharp)), score(pair.name, shaved(image), shaved(sharp))]);
      input.push(scores[0]);
      output.push(scores[1]);
    }
    onProgress?.({ done: pairs.length, total: pairs.length });
  } finally {
    await Promise.all(pools.map(({ pool }) => pool.close()));
  }
  return { input, output, secondsPerImage: seconds / pairs.length };
}

function cropPair(name: string, pair: { blur: RgbImage; sharp: RgbImage }, crop: number | undefined): { blur: RgbImage; sharp: RgbImage } {
  if (crop === undefined) return pair;
  const { width, height } = pair.sharp;
  if (crop > Math.min(width, height)) throw new DataError(`${name}: a ${crop}×${crop} crop does not fit into ${width}×${height}`);
  return { blur: centreCrop(pair.blur, crop, crop), sharp: centreCrop(pair.sharp, crop, crop) };
}
