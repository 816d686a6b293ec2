/**
 * Weighted sources → training batches. Batch number `step` follows from (seed, step) alone, whatever was asked for before and
 * however many threads work, so a resumed run sees the batches that the uninterrupted one would have seen. Worker threads
 * decode, blur and crop the following batches while the training step runs.
 */
import { availableParallelism } from 'node:os';
import { ConfigError, DataError } from './errors.js';
import { gib } from './gib.js';
import { freeMemory } from './memory.js';
import { hashText, randomAt } from './random.js';
import type { BlurRecipe } from './blur/index.js';
import { isRealPair, openDataset, type AbOrder, type BlurFolder, type Dataset, type DatasetKind, type Pair } from './dataset.js';
import type { CropTask, Orientations } from './data/crop.js';
import { divide, limitTo } from './data/hold-out.js';
import { openPool } from './data/pool.js';
import type { Stage } from './stages.js';

export interface Source {
  /** A dataset of any shape, or, with `blur`, a folder of sharp photos. */
  path: string;
  /** Share of the examples, relative to the other sources' weights. Default 1. */
  weight?: number;
  /** Blur the sharp pictures anew for each example, instead of reading their blurred partners. */
  blur?: BlurRecipe;
  /** Shrink the pictures by a factor drawn from this range, log-uniformly, anew for each example; within (0, 1]. Default: full size. */
  rescale?: readonly [number, number];
  /** Shift the sharp crops to the mean colour of their blurry ones. Default false. */
  keepTone?: boolean;
  /** Share of the examples whose blurry half is compressed as JPEG. Default 0. */
  jpeg?: number;
}

export interface LoaderOptions extends Partial<Orientations> {
  sources: readonly Source[];
  seed: number;
  batchSize: number;
  crop: number;
  /** One of several processes: it takes its own slice of each step's examples, `batchSize` of them. Threads and cache are shared out on the machine. */
  share?: { rank: number; localSize: number };
  /** Threads that decode and blur. Default: half of the cores, 1 to 8. */
  workers?: number;
  /** Batches prepared ahead of the one asked for. Default 4. */
  ahead?: number;
  /** Cap of decoded pictures kept, all threads together. Default: an eighth of the free memory, 256 MiB to 4 GiB. */
  cacheBytes?: number;
  /** Train on this many pairs only, drawn by the seed from all sources. */
  limitPairs?: number;
  ab?: AbOrder;
  blurFolder?: BlurFolder;
}

/** N×H×W×3 bytes each, 0…255; `names` says which pairs they are, `first` which example of the step the first one is (0 but in other processes). */
export interface Batch { blur: Uint8Array; sharp: Uint8Array; names: string[]; first?: number }

/** What a source gives, for the log of a run. */
export interface SourceSummary { path: string; kind: DatasetKind; blurFolder?: BlurFolder; weight: number; trainPairs: number; validationPairs: number; validationScenes: string[] }

export interface Loader {
  readonly sources: readonly SourceSummary[];
  /** Held out, never in a batch; readPair reads them. Empty when there is one scene only and no `val/`. */
  readonly validation: readonly Pair[];
  /** How many pairs are trained and validated on, with a hash of their names: a folder that has changed gives other batches. */
  readonly pairs: string;
  /** The batch of a step, counted from 0, with the crops and batch size of a stage (default: the options'). Throws DataError naming the file that can't be used. */
  batch(step: number, stage?: Stage): Promise<Batch>;
  /** Ends the threads. A batch that is still awaited is rejected. */
  close(): Promise<void>;
}

/** The stream of random numbers that chooses the pair; see data/crop.ts for the others. */
const pairStream = 0;

/** Opens every source. Throws ConfigError for an impossible option, DataError for a source that can't be used. */
export async function openLoader(options: LoaderOptions): Promise<Loader> {
  const {
    seed, batchSize, crop, limitPairs, ab, blurFolder, share: { rank, localSize } = { rank: 0, localSize: 1 },
    workers = Math.min(8, Math.max(1, Math.floor(availableParallelism() / 2 / localSize))),
    ahead = 4, cacheBytes = Math.floor(Math.min(4 * 2 ** 30, Math.max(2 ** 28, freeMemory() / 8)) / localSize), flipHorizontal = true, flipVertical = false, transpose = false,
  } = options;
  const whole: Stage = { crop, batchSize };
  for (const [key, value, least] of [['batchSize', batchSize, 1], ['crop', crop, 1], ['workers', workers, 1], ['ahead', ahead, 0], ['seed', seed, 0], ['limitPairs', limitPairs ?? 1, 1]] as const) {
    if (!Number.isSafeInteger(value) || value < least) throw new ConfigError(`${key}: expected a whole number of at least ${least}, got ${value}`);
  }
  const sources = options.sources.map((source) => ({ ...source, weight: source.weight ?? 1 }));
  checkSources(sources);

  const { datasets, divisions } = await divideSources({ sources, seed, ab, blurFolder });
  const all = divisions.map(({ train }) => train);
  const pairs = limitPairs === undefined ? all : limitTo(limitPairs, all, seed);
  // A source that the limit left without pairs gives its share to the others.
  const weights = sources.map(({ weight }, i) => (pairs[i].length > 0 ? weight : 0));
  const totalWeight = weights.reduce((sum, weight) => sum + weight, 0);
  if (totalWeight === 0) throw new DataError(`limitPairs: the ${limitPairs} pairs drawn are all of sources with weight 0`);

  const taskAt = (step: number, index: number, side: number): CropTask => {
    const random = randomAt(seed, step, index, pairStream);
    let left = random.uniform() * totalWeight;
    let chosen = weights.findIndex((weight) => { left -= weight; return left < 0; });
    if (chosen < 0) chosen = weights.findLastIndex((weight) => weight > 0); // the last bit of a rounded sum
    const { blur: recipe, rescale, keepTone, jpeg } = sources[chosen];
    return { pair: random.pick(pairs[chosen]), crop: side, recipe, rescale, keepTone, jpeg, seed, step, index };
  };

  const pool = openPool(workers, { flipHorizontal, flipVertical, transpose }, cacheBytes);
  const make = async (step: number, stage: Stage): Promise<Batch> => {
    const count = stage.batchSize, first = rank * count;
    const tasks = Array.from({ length: count }, (_, index) => taskAt(step, first + index, stage.crop));
    const crops = await Promise.all(tasks.map((task) => pool.draw(task)));
    const size = stage.crop * stage.crop * 3;
    const batch = { blur: new Uint8Array(count * size), sharp: new Uint8Array(count * size), names: tasks.map(({ pair }) => pair.name), first };
    crops.forEach((example, index) => {
      batch.blur.set(example.blur, index * size);
      batch.sharp.set(example.sharp, index * size);
    });
    return batch;
  };

  const prepared = new Map<number, { stage: Stage; batch: Promise<Batch> }>();
  const validation = divisions.flatMap(({ validation: heldOut }) => heldOut);
  const names = JSON.stringify([pairs, [validation]].map((groups) => groups.map((group) => group.map(({ name }) => name))));
  return {
    validation,
    pairs: `${pairs.flat().length} to train on, ${validation.length} held out (names ${hashText(names).toString(16)})`,
    sources: datasets.map(({ path, kind, blurFolder: folder }, i) => ({
      path, kind, ...(folder && { blurFolder: folder }), weight: weights[i], trainPairs: pairs[i].length,
      validationPairs: divisions[i].validation.length, validationScenes: [...new Set(divisions[i].validation.map(({ scene }) => scene))],
    })),
    batch(step, stage = whole) {
      for (const [other, { stage: { crop: side, batchSize: count } }] of prepared) {
        if (other < step || other > step + ahead || side !== stage.crop || count !== stage.batchSize) prepared.delete(other);
      }
      if (prepared.size === 0) checkFits(stage, ahead);
      for (let coming = step; coming <= step + ahead; coming++) {
        if (prepared.has(coming)) continue;
        const batch = make(coming, stage);
        batch.catch(() => {}); // reported when the step asks for it, not while it is ahead
        prepared.set(coming, { stage, batch });
      }
      const { batch } = prepared.get(step)!;
      prepared.delete(step);
      return batch;
    },
    close: () => pool.close(),
  };
}

/** Refuses batches that would take all memory before the first step. */
function checkFits({ crop, batchSize }: Stage, ahead: number): void {
  const need = (ahead + 1) * batchSize * crop * crop * 3 * 2, free = freeMemory();
  if (need > free) throw new ConfigError(`batchSize ${batchSize} and crop ${crop}: ${ahead + 1} batches that are prepared at a time need ${gib(need)} GiB, and ${gib(free)} GiB are free; take less of either`);
}

/** What decides which pairs are held out. */
type Division = Pick<LoaderOptions, 'sources' | 'seed' | 'ab' | 'blurFolder'>;

async function divideSources({ sources, seed, ab, blurFolder }: Division): Promise<{ datasets: Dataset[]; divisions: ReturnType<typeof divide> }> {
  const datasets = await Promise.all(sources.map(({ path, blur }) => openDataset(path, { ab, blurFolder, recipe: blur })));
  const divisions = divide(datasets.map(({ path, splits }, i) => {
    const train = splits.train ?? splits.all;
    if (!train) throw new DataError(`${path}: expected a split train/, found ${Object.keys(splits).map((name) => `${name}/`).join(', ')} only`);
    return { path, train, val: splits.val, synthetic: sources[i].blur !== undefined };
  }), seed);
  return { datasets, divisions };
}

/** The pairs that a loader with these options holds out for validation, and the blur folders of GOPRO_Large trees among them. Throws DataError for a source that can't be used. */
export async function heldOutPairs(options: Division): Promise<{ pairs: Pair[]; blurFolders: BlurFolder[] }> {
  const { datasets, divisions } = await divideSources(options);
  const read = datasets.filter((_, i) => divisions[i].validation.some(isRealPair));
  return { pairs: divisions.flatMap(({ validation }) => validation), blurFolders: [...new Set(read.flatMap(({ blurFolder }) => blurFolder ?? []))] };
}

function checkSources(sources: readonly (Source & { weight: number })[]): void {
  if (sources.length === 0) throw new ConfigError('data: expected at least one source, got none');
  for (const { path, weight, rescale: [least, most] = [1, 1], jpeg = 0 } of sources) {
    if (!Number.isFinite(weight) || weight < 0) throw new ConfigError(`data: ${path}: expected a weight of 0 or more, got ${weight}`);
    if (!(0 < least && least <= most && most <= 1)) throw new ConfigError(`data: ${path}: expected rescale: [least, most] with 0 < least ≤ most ≤ 1, got [${least}, ${most}]`);
    if (!(jpeg >= 0 && jpeg <= 1)) throw new ConfigError(`data: ${path}: expected a share jpeg in 0…1, got ${jpeg}`);
  }
  if (sources.every(({ weight }) => weight === 0)) throw new ConfigError('data: expected at least one source with a weight above 0');
}
