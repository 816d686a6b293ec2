/** Which picture file becomes which, before the first one is touched. */
import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { ImageError, messageOf, UsageError, type UnshakeError } from './errors.js';
import { isOtherPicture, heicResultExtension, originalsOf, pairSuffix, picturesIn, picturesMatching, resultSuffix, type Finds, type Found } from './find-pictures.js';
import { imageExtensions, isHeicName, isImageName, readableExtensions } from './image/codec-node.js';
import { placeOf, placesOf, statOf } from './place.js';

/** A picture to deblur and the file it becomes. `-` is the standard input or output. With `beforeAfter`, both are written there side by side. */
export interface Job { input: string; output: string; beforeAfter?: string }

/** One file that could not be deblurred. `error`, for its stack, isn't enumerable: JSON and copies have the other three. */
export interface FailedFile { input: string; code: string; message: string; readonly error: UnshakeError }

/** The jobs, the inputs that are missing or hold no picture, with `skipExisting` those that are there already, and what was passed over, in words. */
export interface Plan { jobs: Job[]; failed: FailedFile[]; skipped: Job[]; notes: string[] }

/** Settings of planJobs. */
export interface PlanOptions {
  /** Pass over pictures whose result is there, and with `beforeAfter` that picture too. Default false. */
  skipExisting?: boolean;
  /** Plan NAME.before-after.EXT beside each result. Default false. */
  beforeAfter?: boolean;
}

/** The error as a list entry; the message names the input. */
export function failureOf(input: string, error: UnshakeError): FailedFile {
  const { code, message } = error;
  const file = { input, code, message: message.includes(input) ? message : `${input}: ${message}` };
  return Object.defineProperty(file, 'error', { value: error }) as FailedFile;
}

/**
 * Plans the work. No result is planned over an input, by whatever path or link it is named.
 * @param inputs files, folders (with their folders), patterns with * ? and ** (for shells that don't expand them), or `-`
 * @param output a file (for one picture) or a folder, in which names and folders are kept; default: NAME.deblurred.EXT beside each input, `-` for `-`. EXT is the input's, .jpg for HEIC, which is read only
 * @throws UsageError when the outputs make no sense together
 */
export async function planJobs(inputs: readonly string[], output?: string, { skipExisting = false, beforeAfter = false }: PlanOptions = {}): Promise<Plan> {
  if (inputs.filter((input) => input === '-').length > 1) throw new UsageError('the standard input can be read once, but - is named twice');
  const plan: Plan = { jobs: [], failed: [], skipped: [], notes: [] };
  const fail = (input: string, reason: string): void => { plan.failed.push(failureOf(input, new ImageError(`${input}: ${reason}`))); };
  const { pictures, others, several } = await gather(inputs, output, fail);
  if (others.length > 0) plan.notes.push(`${countOf(others.length, 'file')} of kinds that aren't read ${others.length === 1 ? 'was' : 'were'} passed over (${kindsOf(others)})`);
  const sources = await distinct(pictures, plan.notes);

  const target = await targetOf(output, several);
  const guarded = new Map<string, string>(), taken = new Map<string, string>();
  for (const { path } of sources) if (path !== '-') for (const place of await placesOf(path)) guarded.set(place, path);
  const claim = async (result: string, input: string): Promise<void> => {
    const place = await placeOf(result);
    if (guarded.has(place)) throw new UsageError(`the result of ${input} would overwrite the input ${guarded.get(place)}: name another file or folder with -o`);
    if (taken.has(place)) throw new UsageError(`${taken.get(place)} and ${input} would both become ${result}: deblur them into different folders`);
    taken.set(place, input);
  };
  // A HEIC yields to a JPEG of its name, which phones keep beside it.
  for (const { path: input, below } of sources.toSorted((a, b) => Number(isHeicName(a.path)) - Number(isHeicName(b.path)))) {
    if (isOtherPicture(input)) {
      fail(input, `expected a picture of a kind that is read (${readableExtensions.join(' ')}): convert it to JPEG or TIFF first`);
      continue;
    }
    const result = outputOf(input, below, target);
    if (result === '-') {
      if (beforeAfter) throw new UsageError('the picture before and after has no name beside the standard output: name the result with -o FILE');
      plan.jobs.push({ input, output: result });
      continue;
    }
    if (!isImageName(result)) {
      const kinds = `has an extension that isn't read ('${extname(input)}'; those that are: ${readableExtensions.join(' ')})`;
      fail(input, `${kinds}: convert it, or if it is one of these under another name, name the result with -o FILE`);
      continue;
    }
    const job: Job = { input, output: result, ...(beforeAfter ? { beforeAfter: pairName(result) } : {}) };
    const other = isHeicName(input) ? taken.get(await placeOf(result)) : undefined;
    if (other !== undefined) {
      fail(input, `its result would be ${result}, which is that of ${other}: name it with -o FILE`);
      continue;
    }
    await claim(job.output, input);
    if (job.beforeAfter) await claim(job.beforeAfter, input);
    (skipExisting && await allThere(job) ? plan.skipped : plan.jobs).push(job);
  }
  return plan;
}

async function allThere({ output, beforeAfter = output }: Job): Promise<boolean> {
  for (const path of [output, beforeAfter]) if (!await stat(path).catch(() => undefined)) return false;
  return true;
}

/** Where the side-by-side picture of a result goes. */
function pairName(output: string): string {
  const extension = extname(output), name = basename(output, extension);
  return join(dirname(output), `${name.endsWith(resultSuffix) ? name.slice(0, -resultSuffix.length) : name}${pairSuffix}${extension}`);
}

/** All pictures that the inputs stand for, and files of kinds that aren't read; `several` if there could be more than one picture. */
interface Gathered { pictures: Found[]; others: string[]; several: boolean }

async function gather(inputs: readonly string[], output: string | undefined, fail: (input: string, reason: string) => void): Promise<Gathered> {
  const pictures: Found[] = [], others = new Set<string>();
  const outputPlace = output === undefined ? undefined : await realpath(output).catch(() => undefined);
  let several = inputs.length > 1;
  const take = (input: string, finds: Finds, none: string): void => {
    several = true;
    for (const { path, reason } of finds.closed) fail(path, `can't be listed (${reason})`);
    if (finds.pictures.length === 0 && finds.closed.length === 0) fail(input, `${none} (${readableExtensions.join(' ')})`);
    finds.pictures.forEach((picture) => pictures.push(picture));
    finds.others.forEach((path) => others.add(path));
  };
  for (const input of inputs) {
    try {
      const found = input === '-' ? undefined : await statOf(input);
      if (found?.isDirectory()) take(input, await picturesIn(input, outputPlace), 'the folder holds no picture');
      else if (found || input === '-') pictures.push({ path: input, below: basename(input) });
      else if (/[*?]/.test(input)) take(input, await picturesMatching(input, outputPlace), 'no picture matches');
      else fail(input, 'can\'t be read as an image (no such file)');
    } catch (error) {
      fail(input, `can't be read as an image (${messageOf(error)})`);
    }
  }
  return { pictures, others: [...others], several };
}

/** The pictures, each once, without what an earlier run made of another one that is named too: a shell's *.jpg means both. */
async function distinct(pictures: readonly Found[], notes: string[]): Promise<Found[]> {
  const byPlace = new Map<string, Found>();
  for (const picture of pictures) {
    const place = picture.path === '-' ? '-' : await placeOf(picture.path);
    if (!byPlace.has(place)) byPlace.set(place, picture);
  }
  const results = [...byPlace.keys()].filter((place) => originalsOf(place).some((original) => byPlace.has(original)));
  results.forEach((place) => byPlace.delete(place));
  if (results.length > 0) notes.push(`${countOf(results.length, 'result')} of earlier runs ${results.length === 1 ? 'was' : 'were'} passed over`);
  return [...byPlace.values()];
}

const countOf = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

const kindsOf = (files: readonly string[]): string => [...new Set(files.map((file) => extname(file).toLowerCase()))].sort().join(', ');

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
  const extension = extname(input), written = isHeicName(input) ? heicResultExtension : extension;
  if (target.kind === 'folder') return join(target.path, dirname(below), basename(below, extension) + written);
  return join(dirname(input), `${basename(input, extension)}${resultSuffix}${written}`);
}
