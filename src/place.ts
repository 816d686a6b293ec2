/** What lies where on disk, whatever links lead there. */
import type { Dirent, Stats } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

/** What is at a path; undefined when nothing is. Other errors are thrown: a folder that may not be entered is not "no such file". */
export async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

/** Where a file is or would be written, the same for every path that leads there: two files of one place overwrite each other. */
export async function placeOf(path: string): Promise<string> {
  return join(await realFolder(dirname(path)), basename(path));
}

/** The places that may not be written to if a file is to stay: its own and, of a link, that of what it leads to. */
export async function placesOf(path: string): Promise<string[]> {
  const place = await placeOf(path);
  return [place, await realpath(path).catch(() => place)];
}

/** Of folders that are still to be made, the nearest one that is there counts. */
async function realFolder(folder: string): Promise<string> {
  try {
    return await realpath(folder);
  } catch {
    const parent = dirname(folder);
    return parent === folder ? resolve(folder) : join(await realFolder(parent), basename(folder));
  }
}

/**
 * What an entry of a folder is, links followed. A dangling link counts as a file, so that reading it names it; pipes and devices
 * are neither, as reading one may never end.
 */
export async function kindOf(entry: Dirent, path: string): Promise<'file' | 'folder' | undefined> {
  const target = entry.isSymbolicLink() ? await stat(path).catch(() => undefined) : entry;
  if (target?.isDirectory()) return 'folder';
  return !target || target.isFile() ? 'file' : undefined;
}
