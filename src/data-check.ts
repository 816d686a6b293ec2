/** What a dataset is, and everything that is wrong with it, by reading every picture. */
import { createHash } from 'node:crypto';
import { dirname } from 'node:path';
import { DataError, messageOf } from './errors.js';
import type { RgbImage } from './image/image.js';
import type { LongWork } from './progress.js';
import { isRealPair, scanDataset, type AbOrder, type BlurFolder, type DatasetKind, type Pair, type Picture, type Problem, type SplitName } from './dataset.js';
import { looksAlike } from './data/folders.js';
import { mapInOrder } from './data/in-order.js';
import { readRecord } from './data/output.js';
import { readPicture } from './data/pair.js';

export interface CheckOptions extends LongWork {
  ab?: AbOrder;
  blurFolder?: BlurFolder;
}

export interface SplitReport { pairs: number; scenes: number; sizes: Record<string, number> }

export interface CheckReport {
  path: string;
  /** null when nothing was recognised. `photos` are sharp pictures, to be blurred by a recipe. */
  kind: DatasetKind | null;
  blurFolder: BlurFolder | null;
  /** `pairs` counts photos where the kind is `photos`; `sizes` counts them by WIDTH×HEIGHT. */
  splits: Partial<Record<SplitName, SplitReport>>;
  pairs: number;
  /** What stops the dataset from being used. */
  problems: Problem[];
  /** What makes its results doubtful. */
  warnings: Problem[];
  ok: boolean;
}

/** Reads the whole dataset. Nothing that is wrong with it is thrown; it is all in the report. */
export async function checkDataset(path: string, { ab, blurFolder, onProgress, signal }: CheckOptions = {}): Promise<CheckReport> {
  let scan = await scanDataset(path, { ab, blurFolder });
  // A folder of photos is a good source for a blur recipe; which one makes no difference to what is checked.
  if (scan.kind === 'photos') scan = await scanDataset(path, { ab, blurFolder, recipe: 'photo' });
  const problems = [...scan.problems];
  const jobs = Object.entries(scan.splits).flatMap(([split, pairs]) => pairs.map((pair) => ({ split: split as SplitName, pair })));
  const findings = await mapInOrder(jobs, ({ pair }) => inspect(pair), { onProgress, signal });

  const splits: CheckReport['splits'] = {};
  for (const [split, pairs] of Object.entries(scan.splits) as [SplitName, Pair[]][]) {
    splits[split] = { pairs: pairs.length, scenes: new Set(pairs.map(({ scene }) => scene)).size, sizes: {} };
    if (pairs.length === 0 && problems.length === 0) problems.push({ path, message: `${split}/ holds no pairs` });
  }
  const warnings: Problem[] = [];
  const seen = new Map<string, { split: SplitName; file: string }>();
  let swapped = 0, compared = 0;
  const unlike: Pair[] = [];
  const unblurred: Record<string, number> = {};
  for (const [i, finding] of findings.entries()) {
    const { split, pair } = jobs[i];
    problems.push(...finding.problems);
    if (finding.identical) {
      const folder = dirname(dirname(finding.identical.path));
      if (await leavesSomeUnblurred(folder)) unblurred[folder] = (unblurred[folder] ?? 0) + 1;
      else problems.push(finding.identical);
    }
    if (finding.size) {
      const sizes = (splits[split] as SplitReport).sizes;
      sizes[finding.size] = (sizes[finding.size] ?? 0) + 1;
    }
    if (finding.blurIsSharper !== undefined) {
      compared++;
      if (finding.blurIsSharper) swapped++;
      if (finding.unlike) unlike.push(pair);
    }
    if (finding.digest) {
      const other = seen.get(finding.digest);
      if (other && other.split !== split) warnings.push({ path: pair.sharp.file, message: `the same sharp picture is in ${other.split}/: ${other.file}` });
      else if (!other) seen.set(finding.digest, { split, file: pair.sharp.file });
    }
  }
  for (const [folder, count] of Object.entries(unblurred)) {
    warnings.push({ path: folder, message: `${count} pairs are identical: made by \`data synth --recipe photo\`, which leaves some photos unblurred` });
  }
  if (unlike.length > 0) {
    const names = unlike.slice(0, 3).map(({ name }) => name).join(', ') + (unlike.length > 3 ? ' …' : '');
    warnings.push({ path, message: `in ${unlike.length} of ${compared} pairs the blurred and the sharp picture don't show the same (${names}): wrong partners?` });
  }
  if (swapped * 2 > compared) {
    const cure = scan.kind === 'side-by-side' ? `try --ab ${ab === 'blur-left' ? 'sharp-left' : 'blur-left'}` : 'expected the blurred pictures in blur/, input/ or A/';
    warnings.push({ path, message: `in ${swapped} of ${compared} pairs the blurred picture is the sharper one: swapped? ${cure}` });
  }
  const pairs = jobs.length;
  return { path, kind: scan.kind ?? null, blurFolder: scan.blurFolder ?? null, splits, pairs, problems, warnings, ok: problems.length === 0 };
}

interface Finding { problems: Problem[]; size?: string; digest?: string; identical?: Problem; blurIsSharper?: boolean; unlike?: boolean }

async function inspect(pair: Pair): Promise<Finding> {
  const problems: Problem[] = [];
  const read = async (picture: Picture): Promise<RgbImage | undefined> => {
    try {
      return await readPicture(picture);
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      const prefix = `${picture.file}: `, message = messageOf(error);
      problems.push({ path: picture.file, message: message.startsWith(prefix) ? message.slice(prefix.length) : message });
      return undefined;
    }
  };
  const sharp = await read(pair.sharp);
  const size = sharp && `${sharp.width}×${sharp.height}`;
  const digest = sharp && createHash('sha1').update(sharp.data).digest('base64');
  if (sharp && isBlank(sharp)) problems.push({ path: pair.sharp.file, message: `the sharp picture${half(pair.sharp)} is blank: one colour throughout` });
  // The two halves of a file that can't be read fail alike: said once.
  if (!isRealPair(pair) || (sharp === undefined && pair.blur.file === pair.sharp.file)) return { problems, size, digest };
  const blur = await read(pair.blur);
  if (blur && isBlank(blur)) problems.push({ path: pair.blur.file, message: `the blurred picture${half(pair.blur)} is blank: one colour throughout` });
  if (!blur || !sharp) return { problems, size, digest };
  if (blur.width !== sharp.width || blur.height !== sharp.height) {
    problems.push({ path: pair.blur.file, message: `${blur.width}×${blur.height}, but its sharp partner ${pair.sharp.file} is ${size}; expected equal sizes` });
    return { problems, size, digest };
  }
  if (Buffer.compare(blur.data, sharp.data) === 0) {
    const identical = { path: pair.blur.file, message: `identical to its sharp partner${pair.blur.file === pair.sharp.file ? '' : ` ${pair.sharp.file}`}: expected a blurred picture` };
    return { problems, size, digest, identical };
  }
  return { problems, size, digest, blurIsSharper: detail(blur) > detail(sharp), unlike: await looksAlike(blur, sharp) === false };
}

/** Whether `data synth` made the folder by a recipe that leaves some photos as they are, so that networks learn to. */
async function leavesSomeUnblurred(folder: string): Promise<boolean> {
  try {
    const made = await readRecord(folder);
    return made?.command === 'data synth' && made.settings.recipe === 'photo';
  } catch {
    return false; // a damaged record
  }
}

function half({ half: side }: Picture): string {
  return side ? ` (${side} half)` : '';
}

/** Whether no channel varies by more than compression of one colour would make it. */
function isBlank({ data }: RgbImage): boolean {
  for (let channel = 0; channel < 3; channel++) {
    let least = 255, most = 0;
    for (let i = channel; i < data.length; i += 3) {
      if (data[i] < least) least = data[i];
      if (data[i] > most) most = data[i];
    }
    if (most - least > 2) return false;
  }
  return true;
}

/** Mean absolute difference of horizontal and vertical neighbours in the green channel: motion blur lowers it. */
function detail({ width, height, data }: RgbImage): number {
  let sum = 0;
  for (let y = 0; y + 1 < height; y++) {
    for (let x = 0; x + 1 < width; x++) {
      const i = (y * width + x) * 3 + 1;
      sum += Math.abs(data[i] - data[i + 3]) + Math.abs(data[i] - data[i + width * 3]);
    }
  }
  return sum / (width * height);
}
