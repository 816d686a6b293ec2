/**
 * A folder that a `data` command fills. Every file appears whole or not at all, and a command that was killed goes on where it
 * stopped: `dataset.json` records how the folder is made and of what, so that two recipes never mix.
 */
import { mkdir, readFile, readdir, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join } from 'node:path';
import sharp from 'sharp';
import { DataError, messageOf } from '../errors.js';
import { readRgb } from '../image/codec-node.js';
import type { RgbImage } from '../image/image.js';
import { version } from '../version.js';
import { isLeftover, writeWhole } from '../write-whole.js';

const recordName = 'dataset.json';

/** How a dataset was made: the command, and every setting that its pixels depend on. */
export interface Recipe { command: string; settings: Record<string, string | number | readonly string[] | null> }

/** What lies in `dataset.json`: the recipe, and the pictures that belong to it, relative to the folder. */
interface DatasetRecord extends Recipe {
  madeBy: string;
  files: readonly string[];
  /** Given again, the command makes everything anew; left out, only what is missing. */
  finished?: boolean;
}

/**
 * Creates the folder and those of its `files`, or goes on with one of the same recipe. One that is finished, or was made otherwise by
 * this program, is emptied of what it was made of. Throws DataError when the folder holds anything of another origin, and leaves all as it was.
 */
export async function openOutput(out: string, recipe: Recipe, files: readonly string[]): Promise<void> {
  try {
    await mkdir(out, { recursive: true });
    const earlier = await readRecord(out);
    const goesOn = earlier && !earlier.finished && JSON.stringify([earlier.command, earlier.settings]) === JSON.stringify([recipe.command, recipe.settings]);
    const ours = new Set(earlier?.files), kept = new Set(goesOn ? files : []);
    const unwanted: string[] = [];
    for await (const file of filesIn(out)) {
      if (file === recordName) continue;
      if (!ours.has(file) && !isLeftover(basename(file))) throw new DataError(`${out}: expected a new or empty folder, or one of an earlier ${recipe.command}; it holds ${file}`);
      if (!kept.has(file)) unwanted.push(file);
    }
    for (const file of unwanted) {
      await rm(join(out, file), { force: true });
      for (let folder = dirname(file); folder !== '.'; folder = dirname(folder)) await rmdir(join(out, folder)).catch(() => {}); // stays while it holds anything
    }
    for (const folder of new Set(files.map(dirname))) await mkdir(join(out, folder), { recursive: true });
  } catch (error) {
    throw error instanceof DataError ? error : new DataError(`${out}: expected a folder to write to (${messageOf(error)})`, { cause: error });
  }
  await writeRecord(out, { ...recipe, files });
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
