/**
 * Folders → validated pairs. Three shapes are recognised, each at the root or inside `train/`, `val/`, `test/`:
 *
 *   folders       blur/ + sharp/, input/ + target/ or A/ + B/, with equal file stems; the splits may also lie inside both, A/train + B/train
 *   side-by-side  pictures that hold both, sharp on the left (`ab: 'blur-left'` for the other order)
 *   gopro         the GOPRO_Large tree: SEQUENCE/{blur,blur_gamma,sharp}/FRAME.png
 *
 * and, where a blur recipe is given, `photos`: sharp pictures only, blurred when they are read.
 */
import { basename, dirname, join } from 'node:path';
import { DataError, messageOf } from './errors.js';
import { hashText } from './random.js';
import type { BlurRecipe } from './blur/index.js';
import { listFolder, listImages, looksSideBySide, stemOf } from './data/folders.js';
import { goproSequence, sceneOf, type Pair, type Picture } from './data/pair.js';
import { statOf } from './place.js';

export { goproSequence, isRealPair, readPair, sceneOf, type Pair, type Picture, type SyntheticBlur } from './data/pair.js';

export const splitNames = ['train', 'val', 'test'] as const;
/** `all` is the one split of a dataset that has none. */
export type SplitName = typeof splitNames[number] | 'all';
export type DatasetKind = 'folders' | 'side-by-side' | 'gopro' | 'photos';
export type AbOrder = 'sharp-left' | 'blur-left';
export type BlurFolder = 'blur' | 'blur_gamma';

export interface DatasetOptions {
  /** Which half of a side-by-side picture is which. Default 'sharp-left'. */
  ab?: AbOrder;
  /** Which blur of the GOPRO_Large tree. Default `blur` where it is there, else `blur_gamma`. */
  blurFolder?: BlurFolder;
  /** Make the blur instead of reading it, from the sharp pictures of any shape. */
  recipe?: BlurRecipe;
}

export interface Dataset {
  path: string;
  kind: DatasetKind;
  /** Which blur folder of the GOPRO_Large tree was taken: to be named in every table. */
  blurFolder?: BlurFolder;
  splits: Partial<Record<SplitName, Pair[]>>;
}

/** Something wrong with a dataset: the file or folder, and what. */
export interface Problem { path: string; message: string }

/** What was found, with everything that is wrong instead of an error. `kind` is absent when nothing was recognised. */
export interface Scan { path: string; kind?: DatasetKind; blurFolder?: BlurFolder; splits: Dataset['splits']; problems: Problem[] }

/**
 * Finds the pairs of a dataset. Only names are read, not pixels: sizes are checked when a pair is.
 * Throws DataError naming the folder or file when it is missing, empty, of no known shape, or has a picture without partner.
 */
export async function openDataset(path: string, options: DatasetOptions = {}): Promise<Dataset> {
  const { kind, blurFolder, splits, problems } = await scanDataset(path, options);
  if (problems.length > 0) {
    const more = problems.length > 1 ? ` (and ${problems.length - 1} more: unshake data check ${path} lists them)` : '';
    throw new DataError(`${problems[0].path}: ${problems[0].message}${more}`);
  }
  if (kind === undefined) throw new Error(`internal: ${path} scanned without kind and without problem`);
  return { path, kind, splits, ...(blurFolder && { blurFolder }) };
}

/** The pairs of a split; a dataset without splits gives all of its pairs. Throws DataError naming the splits that exist. */
export function pairsOf(dataset: Dataset, split: SplitName): Pair[] {
  const pairs = split === 'all' ? Object.values(dataset.splits).flat() : dataset.splits[split] ?? dataset.splits.all;
  if (pairs) return pairs;
  throw new DataError(`${dataset.path}: expected a split ${split}/, found ${Object.keys(dataset.splits).map((name) => `${name}/`).join(', ')}`);
}

/** As openDataset, but lists everything that is wrong. */
export async function scanDataset(path: string, options: DatasetOptions = {}): Promise<Scan> {
  const scan: Scan = { path, splits: {}, problems: [] };
  const problem = (where: string, message: string): void => { scan.problems.push({ path: where, message }); };
  const status = await statOf(path).catch((error: unknown) => { throw new DataError(`${path}: can't be read (${messageOf(error)})`, { cause: error }); });
  if (!status?.isDirectory()) {
    problem(path, status ? 'expected a folder, got a file' : 'no such folder');
    return scan;
  }
  const root = await listFolder(path);
  const splits = splitNames.filter((name) => root.folders.includes(name));
  if (splits.length === 0 && await scanSplitsInside(scan, root.folders, options, problem)) return scan;
  for (const split of splits.length > 0 ? splits : (['all'] as const)) {
    const folder = split === 'all' ? path : join(path, split);
    const { kind, blurFolder, pairs } = await scanSplit(folder, { ...options, blurFolder: options.blurFolder ?? scan.blurFolder }, problem);
    if (kind === undefined) continue;
    if (scan.kind !== undefined && scan.kind !== kind) problem(folder, `expected the same shape as the other splits (${scan.kind}), found ${kind}`);
    scan.kind ??= kind;
    scan.blurFolder ??= blurFolder;
    scan.splits[split] = pairs;
  }
  return scan;
}

type Report = (where: string, message: string) => void;
interface SplitScan { kind?: DatasetKind; blurFolder?: BlurFolder; pairs: Pair[] }

const folderPairs = [['blur', 'sharp'], ['input', 'target'], ['A', 'B']] as const;
const known = 'blur/ + sharp/ (or input/ + target/, A/ + B/), side-by-side pairs, or the GOPRO_Large tree';
const noBlurGamma = 'expected blur_gamma/, as in the GOPRO_Large tree; take blur';

async function scanSplit(folder: string, options: DatasetOptions, problem: Report): Promise<SplitScan> {
  const { folders, images } = await listFolder(folder);
  const has = (name: string): boolean => folders.includes(name);
  const pair = folderPairs.find((names) => names.every(has));
  if (pair && !(options.blurFolder === 'blur_gamma' && has('blur_gamma'))) {
    if (options.blurFolder === 'blur_gamma') problem(folder, noBlurGamma);
    return { kind: 'folders', pairs: await pairsOfFolders(folder, pair[0], pair[1], { prefix: '' }, options, problem) };
  }
  if (has('blur_gamma') && has('sharp')) return scanGopro(dirname(folder), [{ name: basename(folder), inside: new Set(folders) }], options, problem);

  const insides = await Promise.all(folders.map(async (name) => ({ name, inside: new Set((await listFolder(join(folder, name))).folders) })));
  const sequences = insides.filter(({ inside }) => ['sharp', 'blur', 'blur_gamma'].some((part) => inside.has(part)));
  if (sequences.length > 0) {
    for (const other of insides) {
      if (!sequences.includes(other)) problem(join(folder, other.name), 'expected blur/ and sharp/ inside, as in the other sequences');
    }
    return scanGopro(folder, sequences, options, problem);
  }
  for (const [blur, sharp] of folderPairs) {
    if (has(blur)) problem(join(folder, blur), `expected its partner folder ${sharp}/ beside it`);
    else if (has(sharp) && options.recipe === undefined) problem(join(folder, sharp), `expected its partner folder ${blur}/ beside it`);
    else continue;
    return { pairs: [] };
  }
  if (images.length > 0 && await looksSideBySide(images.map((name) => join(folder, name)))) {
    return { kind: 'side-by-side', pairs: images.map((name) => sideBySide(folder, name, options)) };
  }
  if (options.recipe !== undefined) {
    const photos = byStem(folder, await listImages(folder), problem);
    if (photos.size === 0) problem(folder, 'empty: expected pictures');
    return { kind: 'photos', pairs: [...photos].map(([stem, file]) => toPair(stem, sceneOf(stem), { file: join(folder, file) }, undefined, options)) };
  }
  if (images.length > 0) {
    problem(folder, `expected ${known}; found ${images.length} single photos. To blur them: unshake data synth ${folder} OUT, or a source with \`blur: photo\` in an experiment`);
    return { kind: 'photos', pairs: [] };
  }
  problem(folder, folders.length > 0 ? `expected ${known}; found only the folders ${folders.slice(0, 5).join(', ')}` : `empty: expected ${known}`);
  return { pairs: [] };
}

/** Splits inside the two folders of pairs (A/train + B/train), as pix2pix and DeblurGAN have them. Returns whether there are any. */
async function scanSplitsInside(scan: Scan, folders: readonly string[], options: DatasetOptions, problem: Report): Promise<boolean> {
  const names = folderPairs.find((pair) => pair.every((name) => folders.includes(name)));
  if (!names) return false;
  const inside = await Promise.all(names.map(async (name) => ({ folder: join(scan.path, name), ...await listFolder(join(scan.path, name)) })));
  const [blur, sharp] = inside, needed = options.recipe === undefined ? inside : [sharp]; // a recipe makes the blur
  const splits = splitNames.filter((split) => needed.some((half) => half.folders.includes(split)));
  if (splits.length === 0) return false;
  scan.kind = 'folders';
  if (options.blurFolder === 'blur_gamma') problem(scan.path, noBlurGamma);
  for (const { folder, folders: parts, images } of needed) {
    const others = [...images, ...parts.filter((name) => !splitNames.some((split) => split === name))];
    if (others.length > 0) problem(join(folder, others[0]), `expected all pictures inside ${splits.join('/, ')}/, as others are`);
  }
  for (const split of splits) {
    const without = needed.find((half) => !half.folders.includes(split));
    if (without) problem(join(without.folder, split), `no such folder: expected the partners of those in ${join((without === sharp ? blur : sharp).folder, split)}`);
    else scan.splits[split] = await pairsOfFolders(scan.path, join(names[0], split), join(names[1], split), { prefix: '' }, options, problem);
  }
  return true;
}

async function scanGopro(folder: string, sequences: { name: string; inside: Set<string> }[], options: DatasetOptions, problem: Report): Promise<SplitScan> {
  const blurFolder = options.blurFolder ?? (sequences.some(({ inside }) => inside.has('blur')) ? 'blur' : 'blur_gamma');
  const pairs: Pair[] = [];
  for (const { name, inside } of sequences) {
    const missing = [blurFolder, 'sharp'].filter((part) => !inside.has(part) && !(part === blurFolder && options.recipe !== undefined));
    if (missing.length > 0) problem(join(folder, name), `expected ${missing.join('/ and ')}/, found ${[...inside].join('/, ')}/`);
    else pairs.push(...await pairsOfFolders(join(folder, name), blurFolder, 'sharp', { prefix: `${name}_`, scene: name }, options, problem));
  }
  return { kind: 'gopro', blurFolder, pairs };
}

/** `prefix` makes names unique among sequences; `scene` is where they all come from, when that is known. */
interface Naming { prefix: string; scene?: string }

async function pairsOfFolders(folder: string, blurName: string, sharpName: string, naming: Naming, options: DatasetOptions, problem: Report): Promise<Pair[]> {
  const { prefix, scene = goproSequence(basename(folder)) } = naming;
  // `data synth` names the second blur of a photo PHOTO_2: of the same scene.
  const photoOf = (stem: string): string => { const photo = stem.replace(/_\d+$/, ''); return sharps.has(photo) ? photo : stem; };
  const pairOf = (stem: string, sharp: string, blur: string | undefined): Pair =>
    toPair(prefix + stem, scene ?? sceneOf(photoOf(stem)), { file: join(sharpFolder, sharp) }, blur === undefined ? undefined : { file: join(blurFolder, blur) }, options);
  const blurFolder = join(folder, blurName), sharpFolder = join(folder, sharpName);
  const sharps = byStem(sharpFolder, await listImages(sharpFolder), problem);
  if (sharps.size === 0) problem(sharpFolder, 'empty: expected pictures');
  if (options.recipe !== undefined) return [...sharps].map(([stem, file]) => pairOf(stem, file, undefined));
  const blurs = byStem(blurFolder, await listImages(blurFolder), problem);
  if (blurs.size === 0) problem(blurFolder, 'empty: expected pictures');
  // With one side empty every picture of the other lacks its partner: said once.
  if (blurs.size === 0 || sharps.size === 0) return [];
  for (const [stem, file] of blurs) if (!sharps.has(stem)) problem(join(blurFolder, file), `no partner: expected ${join(sharpFolder, stem)}.*`);
  for (const [stem, file] of sharps) if (!blurs.has(stem)) problem(join(sharpFolder, file), `no partner: expected ${join(blurFolder, stem)}.*`);
  return [...sharps].filter(([stem]) => blurs.has(stem)).map(([stem, file]) => pairOf(stem, file, blurs.get(stem)));
}

function byStem(folder: string, files: string[], problem: Report): Map<string, string> {
  const stems = new Map<string, string>();
  for (const file of files) {
    const stem = stemOf(file), other = stems.get(stem);
    if (other !== undefined) problem(join(folder, file), `has the same stem as ${other}: expected one picture for each`);
    else stems.set(stem, file);
  }
  return stems;
}

function sideBySide(folder: string, name: string, options: DatasetOptions): Pair {
  const file = join(folder, name), stem = stemOf(name), sharpLeft = options.ab !== 'blur-left';
  return toPair(stem, sceneOf(stem), { file, half: sharpLeft ? 'left' : 'right' }, { file, half: sharpLeft ? 'right' : 'left' }, options);
}

function toPair(name: string, scene: string, sharp: Picture, blur: Picture | undefined, { recipe }: DatasetOptions): Pair {
  if (recipe !== undefined) return { name, scene, sharp, blur: { recipe, seed: hashText(name) } };
  if (blur === undefined) throw new Error(`internal: ${name} has neither blur nor recipe`);
  return { name, scene, sharp, blur };
}
