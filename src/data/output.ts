/**
 * A folder that a `data` command fills. Every file appears whole or not at all, and a command that was killed goes on where it
 * stopped: `dataset.json` records how the folder is made and of what, so that two recipes never mix.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, realpath, rm, rmdir, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, sep } from 'node:path';
import sharp from 'sharp';
import { DataError, UnshakeError, messageOf } from '../errors.js';
import { readRgb } from '../image/codec-node.js';
import type { RgbImage } from '../image/image.js';
import { placesOf } from '../place.js';
import { version } from '../version.js';
import { isLeftover, writeWhole } from '../write-whole.js';
import { mapInOrder } from './in-order.js';

const recordName = 'dataset.json';

/** How a dataset was made: the command, and every setting that its pixels depend on. */
export interface Recipe { command: string; settings: Record<string, string | number | readonly string[] | null> }

/** What lies in `dataset.json`: the recipe, and the pictures that belong to it, relative to the folder. */
interface DatasetRecord extends Recipe {
  madeBy: string;
  files: readonly string[];
  /** Sizes and times of what it is made from, as a hash: pictures of a source that has changed are made anew. */
  sources?: string;
  /** Given again, the command makes everything anew; left out, only what is missing. */
  finished?: boolean;
}

/**
 * Creates the folder and those of its `files`, or goes on with one of the same recipe and the same `sources`, the files it is made from.
 * One that is finished, or was made with other settings, is emptied of what it was made of. Throws DataError when the folder holds
 * a source, pairs of another command, or anything of another origin, and leaves all as it was; so it does when `check`, what else can be
 * known beforehand, throws.
 */
export async function openOutput(out: string, recipe: Recipe, files: readonly string[], sources: readonly string[], check: () => Promise<unknown> = async () => {}): Promise<void> {
  let fingerprint: string;
  try {
    await mkdir(out, { recursive: true });
    await checkOutside(out, sources);
    fingerprint = await fingerprintOf(sources);
    const earlier = await readRecord(out);
    if (earlier && earlier.command !== recipe.command) {
      throw new DataError(`${out}: expected a new or empty folder, or one of an earlier ${recipe.command}; it holds what ${earlier.command} made. Give another folder, or delete it`);
    }
    const goesOn = earlier && !earlier.finished && JSON.stringify([earlier.command, earlier.settings, earlier.sources]) === JSON.stringify([recipe.command, recipe.settings, fingerprint]);
    const ours = new Set(earlier?.files), kept = new Set(goesOn ? files : []);
    const unwanted: string[] = [];
    for await (const file of filesIn(out)) {
      if (file === recordName) continue;
      if (!ours.has(file) && !isLeftover(basename(file))) throw new DataError(`${out}: expected a new or empty folder, or one of an earlier ${recipe.command}; it holds ${file}`);
      if (!kept.has(file)) unwanted.push(file);
    }
    await check();
    for (const file of unwanted) {
      await rm(join(out, file), { force: true });
      for (let folder = dirname(file); folder !== '.'; folder = dirname(folder)) await rmdir(join(out, folder)).catch(() => {}); // stays while it holds anything
    }
    for (const folder of new Set(files.map(dirname))) await mkdir(join(out, folder), { recursive: true });
  } catch (error) {
    throw error instanceof UnshakeError ? error : new DataError(`${out}: expected a folder to write to (${messageOf(error)})`, { cause: error });
  }
  await writeRecord(out, { ...recipe, files, sources: fingerprint });
}

/** What is made anew is deleted first: no source may lie there, by whatever link it is reached. */
async function checkOutside(out: string, sources: readonly string[]): Promise<void> {
  const inside = (await realpath(out)) + sep;
  await mapInOrder(sources, async (source) => {
    if ((await placesOf(source)).some((place) => place.startsWith(inside))) throw new DataError(`${out}: would be made from ${source}, which lies in it and must stay; give another output folder`);
  });
}

async function fingerprintOf(sources: readonly string[]): Promise<string> {
  const stamps = await mapInOrder(sources, async (source) => {
    const { size, mtimeMs } = await stat(source).catch(() => ({ size: null, mtimeMs: null })); // reading it says what is wrong
    return [size, mtimeMs];
  });
  return createHash('sha256').update(JSON.stringify(stamps)).digest('hex').slice(0, 16);
}

/** Records that everything is made. A command that doesn't call it looks, when it is given again, for what is missing. */
export const finishOutput = (out: string, recipe: Recipe, files: readonly string[]): Promise<void> => writeRecord(out, { ...recipe, files, finished: true });

/** How the folder was made; undefined when it wasn't by a `data` command. Throws DataError for a record that can't be used. */
export async function readRecord(folder: string): Promise<DatasetRecord | undefined> {
  const path = join(folder, recordName);
  try {
    const record = JSON.parse(await readFile(path, 'utf8')) as DatasetRecord;
    if (!Array.isArray(record.files) || !record.files.every((name) => typeof name === 'string')) throw new Error('no list of files in it');
    const outside = record.files.find((name) => isAbsolute(name) || name.split(/[\\/]/).includes('..'));
    if (outside !== undefined) throw new Error(`it names ${outside}, which is not in the folder`);
    return record;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new DataError(`${path}: expected the record of an earlier run (${messageOf(error)}); take a new or empty folder`, { cause: error });
  }
}

const writeRecord = (out: string, record: Omit<DatasetRecord, 'madeBy'>): Promise<void> =>
  write(join(out, recordName), `${JSON.stringify({ madeBy: `unshake ${version}`, ...record }, null, 1)}\n`);

/** Files in a folder and below, as paths within it: only these are ever deleted, whatever a record names. Links are not followed, and what is hidden is another program's. */
async function* filesIn(folder: string, inside = ''): AsyncGenerator<string> {
  for (const entry of await readdir(join(folder, inside), { withFileTypes: true })) {
    const path = join(inside, entry.name);
    if (entry.name.startsWith('.') && !isLeftover(entry.name)) continue;
    if (entry.isDirectory()) yield* filesIn(folder, path);
    else yield path;
  }
}

/** Whether the picture is there, whole, of this size. */
export async function isWritten(file: string, width: number, height: number): Promise<boolean> {
  const image = await readRgb(file).catch(() => undefined);
  return image?.width === width && image.height === height;
}

/** Writes a PNG into a folder that is there. */
export async function writePng(file: string, { width, height, data }: RgbImage): Promise<void> {
  await write(file, await sharp(data, { raw: { width, height, channels: 3 } }).png().toBuffer());
}

async function write(file: string, content: Uint8Array | string): Promise<void> {
  await writeWhole(file, content).catch((error: unknown) => { throw new DataError(`${file}: can't be written (${messageOf(error)})`, { cause: error }); });
}
