/** Finds picture files: in a folder with all that is in it, and by a pattern. */
import { readdir } from 'node:fs/promises';
import { basename, dirname, extname, join, relative, sep } from 'node:path';
import { isVideoName } from './deblur-video.js';
import { messageOf } from './errors.js';
import { isReadableName } from './image/codec-node.js';
import { heicExtensions } from './image/heic.js';
import { kindOf, placeOf } from './place.js';

export const resultSuffix = '.deblurred', pairSuffix = '.before-after';

/** A picture found: `below` is its place in the folder that was named, or just its name. */
export interface Found { path: string; below: string }

/** What was found, in order; the folders that can't be listed; pictures and videos of kinds that aren't read in folders. */
export interface Finds { pictures: Found[]; closed: { path: string; reason: string }[]; others: string[] }

/** Pictures that people have and that we don't read, lower case: of phones and the web, of cameras, of programs. */
const otherPictures = [
  '.jxl', '.jp2', '.j2k',
  '.dng', '.raw', '.cr2', '.cr3', '.nef', '.nrw', '.arw', '.sr2', '.raf', '.orf', '.rw2', '.pef', '.srw',
  '.bmp', '.tga', '.psd', '.exr', '.hdr',
];

/** Whether the extension is that of a kind of picture that isn't read. */
export const isOtherPicture = (name: string): boolean => otherPictures.includes(extname(name).toLowerCase());

/** What a HEIC becomes. */
export const heicResultExtension = '.jpg';

/** The pictures that a file may have been made of by an earlier run, by its name; none for other names. */
export function originalsOf(path: string): string[] {
  const extension = extname(path), stem = basename(path, extension);
  const suffix = [resultSuffix, pairSuffix].find((each) => stem.endsWith(each));
  if (suffix === undefined) return [];
  const heic = extension === heicResultExtension ? heicExtensions.flatMap((each) => [each, each.toUpperCase()]) : [];
  return [extension, ...heic].map((each) => join(dirname(path), stem.slice(0, -suffix.length) + each));
}

/** Pictures in a folder and its folders, sorted; without hidden ones, what earlier runs wrote, and what lies at the place `output`. */
export function picturesIn(folder: string, output: string | undefined): Promise<Finds> {
  return search(folder, output, () => true);
}

/** Pictures that a pattern means, likewise; their places count from its last folder without * or ?. */
export function picturesMatching(pattern: string, output: string | undefined): Promise<Finds> {
  const parts = pattern.split(/[/\\]/), fixed = parts.findIndex((part) => /[*?]/.test(part));
  const root = parts.slice(0, fixed).join(sep) || (fixed > 0 ? sep : '.');
  const steps = parts.slice(fixed).map((part): Step => (part === '**' ? part : new RegExp(
    `^${part.replace(/[.+^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*').replaceAll('?', '.')}$`, 's')));
  return search(root, output, (below, isFolder) => matches(below.split(sep), steps, isFolder));
}

/** One part of a pattern: a name, or `**`, any number of folders. */
type Step = RegExp | '**';

/** Whether a file's names match the steps; for a folder, whether something in it could. */
function matches([name, ...inside]: string[], [step, ...rest]: Step[], isFolder: boolean): boolean {
  if (name === undefined || step === undefined) return name === undefined && (isFolder ? step !== undefined : step === undefined);
  if (step !== '**') return step.test(name) && matches(inside, rest, isFolder);
  return rest.length === 0 || matches([name, ...inside], rest, isFolder) || matches(inside, [step, ...rest], isFolder);
}

async function search(root: string, output: string | undefined, wanted: (below: string, isFolder: boolean) => boolean): Promise<Finds> {
  const finds: Finds = { pictures: [], closed: [], others: [] };
  const walk = async (folder: string): Promise<void> => {
    const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
      finds.closed.push({ path: folder, reason: messageOf(error) });
      return [];
    });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(folder, entry.name), below = relative(root, path), { name } = entry;
      if (name.startsWith('.') || !wanted(below, entry.isDirectory())) continue;
      // A link to a folder is not followed: it may lead back.
      if (entry.isDirectory()) {
        if (output === undefined || await placeOf(path) !== output) await walk(path);
      } else if (isReadableName(name) && originalsOf(name).length === 0) {
        if (await kindOf(entry, path) === 'file') finds.pictures.push({ path, below });
      } else if (isOtherPicture(name) || isVideoName(name)) finds.others.push(path);
    }
  };
  await walk(root);
  return finds;
}
