/** Which picture file becomes which, before the first one is touched: files, folders with all that is in them, patterns. */
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, extname, join, relative, resolve, sep } from 'node:path';
import { ImageError, UsageError } from './errors.js';
import { imageExtensions, isImageName } from './image/codec-node.js';

/** A picture to deblur and the file it becomes. `-` is the standard input or output. */
export interface Job { input: string; output: string }

/** One file that could not be deblurred. */
export interface FailedFile { input: string; code: string; message: string }

/** The jobs, the inputs that are missing or hold no picture, and with `skipExisting` those that are there already. */
export interface Plan { jobs: Job[]; failed: FailedFile[]; skipped: Job[] }

const resultSuffix = '.deblurred', pairSuffix = '.before-after';

/** The error as a list entry; the message names the input. */
export function failureOf(input: string, { code, message }: { code: string; message: string }): FailedFile {
  return { input, code, message: message.includes(input) ? message : `${input}: ${message}` };
}

/** A picture found: `below` is its place in the folder that was named, or just its name. */
interface Found { path: string; below: string }

/**
 * Plans the work.
 * @param inputs files, folders (with their folders), patterns with * ? and ** (for shells that don't expand them), or `-`
 * @param output a file (for one picture) or a folder, in which names and folders are kept; default: NAME.deblurred.EXT beside each input, `-` for `-`
 * @throws UsageError when the outputs make no sense together
 */
export async function planJobs(inputs: readonly string[], output?: string, { skipExisting = false }: { skipExisting?: boolean } = {}): Promise<Plan> {
  const plan: Plan = { jobs: [], failed: [], skipped: [] };
  const fail = (input: string, reason: string): void => { plan.failed.push(failureOf(input, new ImageError(`${input}: ${reason}`))); };
  const pictures: Found[] = [];
  let several = inputs.length > 1;
  for (const input of inputs) {
    const found = input === '-' ? undefined : await stat(input).catch(() => undefined);
    if (found?.isDirectory()) {
      several = true;
      const inside = await picturesIn(input, output === undefined ? undefined : resolve(output));
      if (inside.length === 0) fail(input, `the folder holds no picture (${imageExtensions.join(' ')})`);
      pictures.push(...inside);
    } else if (found || input === '-') pictures.push({ path: input, below: basename(input) });
    else if (/[*?]/.test(input)) {
      several = true;
      const matches = await picturesMatching(input);
      if (matches.length === 0) fail(input, `no picture matches (${imageExtensions.join(' ')})`);
      pictures.push(...matches);
    } else fail(input, `can't be read as an image (no such file)`);
  }

  const target = await targetOf(output, several);
  const taken = new Map<string, string>();
  const sources = new Set(pictures.map(({ path }) => resolve(path)));
  for (const { path: input, below } of pictures) {
    const result = outputOf(input, below, target), path = resolve(result);
    if (result !== '-') {
      if (!isImageName(result)) {
        fail(input, `can't be written back with the extension '${extname(input)}': name the result with -o FILE (${imageExtensions.join(' ')})`);
        continue;
      }
      if (sources.has(path)) throw new UsageError(`the result of ${input} would overwrite the input ${result}: name another file or folder with -o`);
      if (taken.has(path)) throw new UsageError(`${taken.get(path)} and ${input} would both become ${result}: deblur them into different folders`);
      taken.set(path, input);
    }
    const exists = skipExisting && result !== '-' && await stat(result).catch(() => undefined);
    (exists ? plan.skipped : plan.jobs).push({ input, output: result });
  }
  return plan;
}

/** Where the side-by-side picture of a result goes. */
export function pairName(output: string): string {
  const extension = extname(output), name = basename(output, extension);
  return join(dirname(output), `${name.endsWith(resultSuffix) ? name.slice(0, -resultSuffix.length) : name}${pairSuffix}${extension}`);
}

/** Pictures in a folder and its folders, sorted; without hidden ones, what earlier runs wrote, and the folder that the results go to. */
async function picturesIn(folder: string, output: string | undefined): Promise<Found[]> {
  const found: Found[] = [];
  const walk = async (path: string): Promise<void> => {
    for (const entry of (await readdir(path, { withFileTypes: true })).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const inside = join(path, entry.name);
      if (entry.name.startsWith('.') || resolve(inside) === output) continue;
      // A link to a folder is not followed: it may lead back.
      if (entry.isDirectory()) await walk(inside);
      else if (isPicture(entry.name)) found.push({ path: inside, below: relative(folder, inside) });
    }
  };
  await walk(folder);
  return found;
}

/** Pictures that a pattern means, sorted; their places count from its last folder without * or ?. */
async function picturesMatching(pattern: string): Promise<Found[]> {
  const parts = pattern.split(/[/\\]/), fixed = parts.findIndex((part) => /[*?]/.test(part));
  const root = parts.slice(0, fixed).join(sep) || (fixed > 0 ? sep : '.');
  const expression = new RegExp(`^${parts.slice(fixed).map((part, index, all) => {
    if (part === '**') return index === all.length - 1 ? '.*' : '(?:[^/]+/)*';
    const text = part.replace(/[.+^${}()|[\]\\]/g, '\\$&').replaceAll('*', '[^/]*').replaceAll('?', '[^/]');
    return index === all.length - 1 ? text : `${text}/`;
  }).join('')}$`);
  const isFolder = (await stat(root).catch(() => undefined))?.isDirectory();
  return isFolder ? (await picturesIn(root, undefined)).filter(({ below }) => expression.test(below.split(sep).join('/'))) : [];
}

/** Whether a file in a folder is a picture, and not what an earlier run wrote beside its input. */
function isPicture(name: string): boolean {
  const stem = basename(name, extname(name));
  return isImageName(name) && !stem.endsWith(resultSuffix) && !stem.endsWith(pairSuffix);
}

type Target = { kind: 'beside' } | { kind: 'file' | 'folder'; path: string };

async function targetOf(output: string | undefined, several: boolean): Promise<Target> {
  if (output === undefined) return { kind: 'beside' };
  if (output === '-') {
    if (several) throw new UsageError('-o - (the standard output) takes one picture, but there are several');
    return { kind: 'file', path: '-' };
  }
  const found = await stat(output).catch(() => undefined);
  if (found?.isDirectory() || (!found && (/[/\\]$/.test(output) || extname(output) === ''))) return { kind: 'folder', path: output };
  if (several) {
    if (!found && !isImageName(output)) return { kind: 'folder', path: output };
    throw new UsageError(`-o should be a folder for several pictures, but ${output} is a file's name`);
  }
  if (!isImageName(output)) throw new UsageError(`-o should end in ${imageExtensions.join(', ')} or be a folder, but is ${output}`);
  return { kind: 'file', path: output };
}

function outputOf(input: string, below: string, target: Target): string {
  if (target.kind === 'file') return target.path;
  if (input === '-') {
    if (target.kind === 'folder') throw new UsageError('the picture from the standard input has no name: name the result with -o FILE');
    return '-';
  }
  if (target.kind === 'folder') return join(target.path, below);
  const extension = extname(input);
  return join(dirname(input), `${basename(input, extension)}${resultSuffix}${extension}`);
}
