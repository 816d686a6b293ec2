/** A dataset → its pairs scaled and cropped, as PNG. The defaults are the report's geometry: half scale, 256×256 from the centre, 512×256 pictures with the sharp half on the left. */
import { join, resolve } from 'node:path';
import { DataError, UsageError } from './errors.js';
import { besideEachOther, centreCrop, type RgbImage } from './image/image.js';
import type { LongWork } from './progress.js';
import { isRealPair, openDataset, readPair, type AbOrder, type BlurFolder, type Pair, type SplitName } from './dataset.js';
import { mapInOrder } from './data/in-order.js';
import { isWritten, openOutput, writePng } from './data/output.js';
import { sizeOfPicture } from './data/pair.js';
import { scaleBilinear, scaleFilter, scaledSize } from './data/scale.js';

/** The GoPro test sequences that the report evaluates on, and how many pairs each has in GOPRO_Large: 534 in all. */
export const reportTestSequences: Readonly<Record<string, number>> = {
  GOPR0384_11_00: 100, GOPR0384_11_05: 100, GOPR0385_11_01: 100, GOPR0396_11_00: 100, GOPR0410_11_00: 134,
};

export interface PrepareOptions extends LongWork {
  /** Factor in (0, 1]. Default 0.5. */
  scale?: number;
  /** Side of the centre crop after scaling, pixels; 0 keeps the whole picture. Default 256. */
  crop?: number;
  /** `ab`: one picture, sharp left, blur right. `folders`: blur/ and sharp/. Default 'ab'. */
  format?: 'ab' | 'folders';
  /** Which blur of the GOPRO_Large tree. Default `blur` where it is there. */
  blurFolder?: BlurFolder;
  /** Only these sequences (scenes); 'report-test' for the report's five. Default all. */
  sequences?: readonly string[] | 'report-test';
  /** Order of the source's side-by-side pictures. Default 'sharp-left'. */
  ab?: AbOrder;
}

export interface Prepared {
  source: string; out: string; pairs: number; written: number; kept: number; splits: Partial<Record<SplitName, number>>;
  scale: number; filter: string; crop: number; format: 'ab' | 'folders'; blurFolder: BlurFolder | null; sequences: Record<string, number>;
  /** What the reader should know, such as a sequence with fewer pairs than the report had. */
  notes: string[];
}

/**
 * Writes OUT/[SPLIT/]NAME.png (`ab`) or OUT/[SPLIT/]{blur,sharp}/NAME.png. A run that was killed goes on where it stopped: pictures
 * that are there and whole are kept, unless a source has changed. Throws DataError naming the file that is missing, unreadable or smaller than the crop.
 */
export async function prepareDataset(source: string, out: string, options: PrepareOptions = {}): Promise<Prepared> {
  const { scale = 0.5, crop = 256, format = 'ab', blurFolder, sequences, ab, onProgress, signal } = options;
  if (!(scale > 0 && scale <= 1)) throw new UsageError(`scale: expected a number above 0 and at most 1, got ${scale}`);
  if (!Number.isSafeInteger(crop) || crop < 0) throw new UsageError(`crop: expected a side in pixels, or 0 for none, got ${crop}`);
  const dataset = await openDataset(source, { ab, blurFolder });
  const chosen = Object.entries(dataset.splits).map(([split, pairs]) => ({ split: split as SplitName, pairs: [...pairs] }));
  const wanted = sequences === 'report-test' ? Object.keys(reportTestSequences) : sequences;
  if (wanted) {
    const present = new Set(chosen.flatMap(({ pairs }) => pairs.map(({ scene }) => scene)));
    const missing = wanted.filter((name) => !present.has(name));
    if (missing.length > 0) throw new DataError(`${source}: expected the sequence${missing.length > 1 ? 's' : ''} ${missing.join(', ')}; found ${listed([...present])}`);
    for (const entry of chosen) entry.pairs = entry.pairs.filter(({ scene }) => wanted.includes(scene));
  }
  const jobs = chosen.flatMap(({ split, pairs }) => pairs.map((pair) => {
    const name = `${pair.name.replaceAll('/', '_')}.png`, folder = split === 'all' ? '' : split;
    return { pair, outputs: format === 'ab' ? [join(folder, name)] : [join(folder, 'blur', name), join(folder, 'sharp', name)] };
  }));
  const taken = new Map<string, Pair>();
  for (const { pair, outputs } of jobs) {
    const other = taken.get(outputs[0]);
    if (other) throw new DataError(`${pair.sharp.file}: its output ${outputs[0]} would also be that of ${other.sharp.file}; rename one`);
    taken.set(outputs[0], pair);
  }
  await openOutput(out, {
    command: 'data prepare',
    settings: { source: resolve(source), scale, filter: scaleFilter, crop, format, blurFolder: dataset.blurFolder ?? null, sequences: wanted ?? null, ab: ab ?? null },
  }, jobs.flatMap(({ outputs }) => outputs), [...new Set(jobs.flatMap(({ pair }) => (isRealPair(pair) ? [pair.sharp.file, pair.blur.file] : [pair.sharp.file])))],
  async () => crop > 0 && mapInOrder(jobs, ({ pair }) => checkCrop(pair, scale, crop), { signal }));

  const outcomes = await mapInOrder(jobs, async ({ pair, outputs }): Promise<'written' | 'kept'> => {
    const files = outputs.map((name) => join(out, name));
    if (crop > 0 && (await Promise.all(files.map((file) => isWritten(file, format === 'ab' ? 2 * crop : crop, crop)))).every(Boolean)) return 'kept';
    const { blur, sharp } = await readPair(pair);
    const cut = (image: RgbImage): RgbImage => {
      const scaled = scaleBilinear(image, scale);
      return crop === 0 ? scaled : centreCrop(scaled, crop, crop);
    };
    const images = format === 'ab' ? [besideEachOther([cut(sharp), cut(blur)])] : [cut(blur), cut(sharp)];
    if ((await Promise.all(files.map((file, i) => isWritten(file, images[i].width, images[i].height)))).every(Boolean)) return 'kept';
    for (const [i, file] of files.entries()) await writePng(file, images[i]);
    return 'written';
  }, { onProgress, signal });

  const counts: Record<string, number> = {};
  for (const { pair } of jobs) counts[pair.scene] = (counts[pair.scene] ?? 0) + 1;
  const notes = sequences !== 'report-test' ? [] : Object.entries(reportTestSequences).filter(([name, count]) => counts[name] !== count)
    .map(([name, count]) => `${name} has ${counts[name]} pairs here, ${count} in GOPRO_Large: this is not the report's test set of 534`);
  const written = outcomes.filter((outcome) => outcome === 'written').length;
  return {
    source, out, pairs: jobs.length, written, kept: jobs.length - written,
    splits: Object.fromEntries(chosen.map(({ split, pairs }) => [split, pairs.length])),
    scale, filter: scaleFilter, crop, format, blurFolder: dataset.blurFolder ?? null,
    sequences: dataset.kind === 'gopro' || wanted ? counts : {}, notes,
  };
}

async function checkCrop({ sharp }: Pair, scale: number, crop: number): Promise<void> {
  const size = await sizeOfPicture(sharp);
  if (!size) return;
  const { width, height } = scaledSize(size, scale);
  if (width < crop || height < crop) {
    throw new DataError(`${sharp.file}: ${size.width}×${size.height} becomes ${width}×${height}, smaller than the crop ${crop}×${crop}; take a larger scale or a smaller crop`);
  }
}

function listed(names: string[], most = 12): string {
  return names.length <= most ? names.join(', ') : `${names.slice(0, most).join(', ')} and ${names.length - most} more`;
}
