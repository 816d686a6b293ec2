/** The report's scores: which pairs to measure a run on, measured once and kept beside the run until its checkpoint or the data change. */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { heldOutPairs } from './data.js';
import { isRealPair, openDataset, readPair, type BlurFolder, type Dataset, type Pair } from './dataset.js';
import { openEngine } from './engines.js';
import { DataError, messageOf } from './errors.js';
import { scorePairs, type ScoresByProtocol } from './evaluate.js';
import { fittingMetrics } from './fitting-metrics.js';
import { readRgb, writeImage } from './image/codec-node.js';
import { centreCrop, type RgbImage } from './image/image.js';
import { conventions, protocolText, protocols, type MetricName } from './metrics/index.js';
import type { LongWork } from './progress.js';
import type { ReportRun } from './report-runs.js';
import { spread } from './spread.js';
import { version } from './version.js';
import { writeWhole } from './write-whole.js';

/** The report's five: it measured FSIM with chroma. */
export const reportMetrics = ['psnr', 'ssim', 'msssim', 'fsimc', 'vif'] as const satisfies readonly MetricName[];

/** Pairs that runs are measured on. */
export interface ScoreSet {
  title: string;
  pairs: Pair[];
  /** Side of the centred square that is cut out of both pictures before deblurring; null for whole pictures. */
  crop: number | null;
  /** Which blur of GOPRO_Large trees; of several trees it can be both. */
  blurFolders: BlurFolder[];
  /** The best checkpoint was chosen on these very pairs. */
  choseBest: boolean;
  /** Of the report's five, those that all pairs are large enough for; and why others are left out. */
  metrics: MetricName[];
  notes: string[];
  /** Of names, sizes and times of the files: two sets with the same pairs have the same. */
  id: string;
}

/** A run measured on a set; lists in the order of the set's pairs. */
export interface SetScores {
  input: ScoresByProtocol[];
  output: ScoresByProtocol[];
  secondsPerImage: number;
  /** Output for the pictures that `fixedPairs` chooses, cut as `forPanel` does. */
  pictures: RgbImage[];
}

export interface ScoreSetOptions { crop?: number; ab?: 'sharp-left' | 'blur-left'; blurFolder?: BlurFolder }

/** The pairs whose pictures are shown: at most four, spread over the set, the same for every run. */
export const fixedPairs = (pairs: readonly Pair[]): Pair[] => spread(pairs, 4);

/** At most this many pixels a side of a shown picture, from its centre: at its true size blur can be seen. */
const panelSide = 384;
const forPanel = (image: RgbImage): RgbImage => centreCrop(image, Math.min(image.width, panelSide), Math.min(image.height, panelSide));

const hash = (value: unknown): string => createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);

async function makeSet(title: string, pairs: Pair[], crop: number | undefined, blurFolders: BlurFolder[], choseBest: boolean): Promise<ScoreSet> {
  const fingerprint = await Promise.all(pairs.map(async (pair) => {
    const pictures = isRealPair(pair) ? [pair.sharp, pair.blur] : [pair.sharp];
    const files = await Promise.all(pictures.map(async ({ file, half }) => {
      const { size, mtimeMs } = await stat(file).catch((error: unknown) => { throw new DataError(`${file}: can't be read (${messageOf(error)})`, { cause: error }); });
      return [size, mtimeMs, half];
    }));
    return [pair.name, files, isRealPair(pair) ? null : pair.blur];
  }));
  const fitting = await fittingMetrics(pairs, { all: reportMetrics, crop });
  return { title, pairs, crop: crop ?? null, blurFolders, choseBest, ...fitting, id: hash([crop, fingerprint]) };
}

const blurFoldersOf = ({ blurFolder }: Dataset): BlurFolder[] => (blurFolder ? [blurFolder] : []);

/** A dataset's test split, or all of one without splits. Throws DataError when it can't be used or has no test pairs. */
export async function namedSet(path: string, { crop, ab, blurFolder }: ScoreSetOptions): Promise<ScoreSet> {
  const dataset = await openDataset(path, { ab, blurFolder });
  const pairs = dataset.splits.test ?? dataset.splits.all;
  if (!pairs?.length) throw new DataError(`${path}: expected test pairs (a split test/, or a dataset without splits), found ${Object.keys(dataset.splits).map((name) => `${name}/`).join(', ')}`);
  return makeSet(`${path}${dataset.splits.test ? ', test split' : ''}`, pairs, crop, blurFoldersOf(dataset), false);
}

/** The test splits of a run's own data; without any, the pairs that it held out for validation. Throws DataError when the data are not there. */
export async function ownSets({ config: { data, seed, ab, blurFolder } }: ReportRun, { crop }: ScoreSetOptions): Promise<ScoreSet[]> {
  const sets: ScoreSet[] = [];
  for (const { path, blur } of data) {
    if (blur !== undefined) continue; // photographs to blur: no measured pairs
    const dataset = await openDataset(path, { ab, blurFolder });
    if (dataset.splits.test?.length) sets.push(await makeSet(`${path}, test split`, dataset.splits.test, crop, blurFoldersOf(dataset), false));
  }
  if (sets.length > 0) return sets;
  const { pairs, blurFolders } = await heldOutPairs({ sources: data, seed, ab, blurFolder });
  if (pairs.length === 0) throw new DataError(`${data.map(({ path }) => path).join(', ')}: no test split and no held-out pairs to measure on; name a dataset with --data`);
  return [await makeSet(`held-out validation pairs of ${data.map(({ path }) => path).join(', ')}`, pairs, crop, blurFolders, true)];
}

/** What is kept beside the run, and the state of things that it is true for. */
interface Kept extends Omit<SetScores, 'pictures'> { key: string; title: string; names: string[] }

/**
 * A run's scores on a set, under both protocols: those kept in RUN/evaluations, or new ones. `known` are the blurry input's scores from another run.
 * Throws DataError, CheckpointError, MetricError or MissingError (no libtorch).
 */
export async function scoreRun(run: ReportRun, set: ScoreSet, options: LongWork & { known?: readonly ScoresByProtocol[]; onNotice?: (line: string) => void } = {}): Promise<SetScores> {
  if (!run.checkpoint) throw new DataError(run.problem ?? 'no checkpoint');
  const folder = join(run.path, 'evaluations', `${set.title.replace(/[^\w.-]+/g, '-').slice(-60)}-${hash([set.title, set.crop])}`);
  const key = hash([set.id, run.checkpoint.sha256, version, set.metrics, conventions, protocolText]);
  const kept = await readKept(folder, key, set);
  if (kept) return kept;

  const { model } = await openEngine(run.checkpoint.path);
  const shown = new Set(fixedPairs(set.pairs)), pictures: RgbImage[] = [];
  try {
    const scores = await scorePairs(model, set.pairs, {
      protocols, metrics: set.metrics, crop: set.crop ?? undefined, input: options.known, onProgress: options.onProgress, signal: options.signal,
      onPictures: async (index, { output }) => { if (shown.has(set.pairs[index])) pictures.push(forPanel(output)); },
    });
    await keep(folder, { key, title: set.title, names: set.pairs.map(({ name }) => name), ...scores }, pictures)
      .catch((error: unknown) => options.onNotice?.(`${folder}: the scores can't be kept, the next report will measure again (${messageOf(error)})`));
    return { ...scores, pictures };
  } finally {
    await model.release();
  }
}

const pictureFile = (folder: string, index: number): string => join(folder, `${index}.png`);

async function readKept(folder: string, key: string, set: ScoreSet): Promise<SetScores | null> {
  try {
    const { key: keptKey, input, output, secondsPerImage } = JSON.parse(await readFile(join(folder, 'scores.json'), 'utf8')) as Kept;
    if (keptKey !== key) return null;
    return { input, output, secondsPerImage, pictures: await Promise.all(fixedPairs(set.pairs).map((_, index) => readRgb(pictureFile(folder, index)))) };
  } catch {
    return null; // nothing kept, or not whole: measured anew
  }
}

/** Scores last: where they are, their pictures are. */
async function keep(folder: string, kept: Kept, pictures: readonly RgbImage[]): Promise<void> {
  const file = join(folder, 'scores.json');
  await mkdir(folder, { recursive: true });
  await rm(file, { force: true });
  for (const [index, picture] of pictures.entries()) await writeImage(pictureFile(folder, index), picture);
  await writeWhole(file, JSON.stringify(kept));
}

/** The set's fixed pictures themselves. */
export async function fixedPictures({ pairs, crop }: ScoreSet): Promise<{ name: string; blur: RgbImage; sharp: RgbImage }[]> {
  return Promise.all(fixedPairs(pairs).map(async (pair) => {
    const { blur, sharp } = await readPair(pair);
    const cut = (image: RgbImage): RgbImage => forPanel(crop === null ? image : centreCrop(image, crop, crop));
    return { name: pair.name, blur: cut(blur), sharp: cut(sharp) };
  }));
}
