/**
 * A folder that a `data` command fills. Every file appears whole or not at all, and a command that was killed goes on where it
 * stopped: `dataset.json` records how the folder is made and of what, so that two recipes never mix.
 */
import { mkdir, readFile, readdir, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import sharp from 'sharp';
import { DataError, messageOf } from '../errors.js';
import { readRgb } from '../image/codec-node.js';
import type { RgbImage } from '../image/image.js';
import { version } from '../version.js';

const recordName = 'dataset.json';

/** How a dataset was made: the command, and every setting that its pixels depend on. */
export interface Recipe { command: string; settings: Record<string, string | number | readonly string[] | null> }

/** What lies in `dataset.json`: the recipe, and the pictures that belong to it, relative to the folder. */
interface DatasetRecord extends Recipe { madeBy: string; files: string[] }

/**
 * Creates the folder, or goes on with one of the same recipe. One that was made otherwise by this program is emptied of what it was made
 * of. Throws DataError when the folder holds anything of another origin.
 */
export async function openOutput(out: string, recipe: Recipe, files: readonly string[]): Promise<void> {
  const names = await mkdir(out, { recursive: true }).then(() => readdir(out)).catch((error: unknown) => {
    throw new DataError(`${out}: expected a folder to write to (${messageOf(error)})`, { cause: error });
  });
  const visible = names.filter((name) => !name.startsWith('.'));
  const earlier = names.includes(recordName) ? await readRecord(join(out, recordName)) : undefined;
  if (!earlier && visible.length > 0) throw new DataError(`${out}: expected a new or empty folder, or one of an earlier ${recipe.command}; it holds ${visible[0]}`);
  if (earlier) {
    const sameRecipe = JSON.stringify([earlier.command, earlier.settings]) === JSON.stringify([recipe.command, recipe.settings]);
    const wanted = new Set(sameRecipe ? files : []);
    for (const file of earlier.files) if (!wanted.has(file)) await rm(join(out, file), { force: true });
    await removeLeftovers(out);
  }
  await writeWhole(join(out, recordName), `${JSON.stringify({ madeBy: `unshake ${version}`, ...recipe, files: [...files] } satisfies DatasetRecord, null, 1)}\n`);
}

async function readRecord(file: string): Promise<DatasetRecord> {
  try {
    const record = JSON.parse(await readFile(file, 'utf8')) as DatasetRecord;
    // The names are deleted when the recipe changes: none may lead out of the folder.
    if (!Array.isArray(record.files) || !record.files.every((name) => typeof name === 'string' && !name.split(/[\\/]/).includes('..'))) throw new Error('no list of files in it');
    return record;
  } catch (error) {
    throw new DataError(`${file}: expected the record of an earlier run (${messageOf(error)}); take a new or empty folder`, { cause: error });
  }
}

/** Deletes what a killed writer left behind, and folders that became empty. */
async function removeLeftovers(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      await removeLeftovers(path);
      await rmdir(path).catch(() => {}); // stays when it holds anything
    }
    else if (/^\..*\.\d+\.tmp$/.test(entry.name)) await rm(path, { force: true });
  }
}

/** Whether the picture is there, whole, of this size. */
export async function isWritten(file: string, width: number, height: number): Promise<boolean> {
  const image = await readRgb(file).catch(() => undefined);
  return image?.width === width && image.height === height;
}

/** Writes a PNG beside its place and renames it; missing folders are made. */
export async function writePng(file: string, { width, height, data }: RgbImage): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeWhole(file, await sharp(data, { raw: { width, height, channels: 3 } }).png().toBuffer());
}

async function writeWhole(file: string, content: Uint8Array | string): Promise<void> {
  const temporary = join(dirname(file), `.${basename(file)}.${process.pid}.tmp`);
  try {
    await writeFile(temporary, content);
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw new DataError(`${file}: can't be written (${messageOf(error)})`, { cause: error });
  }
}
