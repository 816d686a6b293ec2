/** Files or folders of pictures against their references: scores of each pair, means, and means of each GoPro sequence. */
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { measurePair } from './compare/measure-pair.js';
import type { Measured, MeasureTask } from './compare/messages.js';
import { openMeasurePool } from './compare/pool.js';
import { listImages, stemOf } from './data/folders.js';
import { bySequence } from './data/pair.js';
import { DataError, messageOf, throwIfAborted, UsageError } from './errors.js';
import { fittingMetrics } from './fitting-metrics.js';
import { conventions, measureDefaults, protocolText, summarise, type MetricName, type Protocol, type Scores, type Summary } from './metrics/index.js';
import { statOf } from './place.js';
import type { LongWork } from './progress.js';

export interface CompareOptions extends LongWork {
  /** Default: those of the six that all pictures are large enough for. */
  metrics?: readonly MetricName[];
  /** Default `clean`. */
  protocol?: Protocol;
  /** Compare only the centred window of so many pixels squared. Default: the whole picture. */
  crop?: number;
  /** Threads; 1 measures in the calling one. The numbers don't depend on it. Default: one for each core, no more than pairs. */
  workers?: number;
}

/** A pair's name is its path below the folders, without extension. */
export type ComparedPair = { name: string } & Scores;

export interface Comparison extends Summary {
  protocol: Protocol;
  crop: number | null;
  pairs: ComparedPair[];
  /** By GoPro sequence (`GOPR0384_11_00`) where names contain one; pairs without one are in none. */
  sequences: Record<string, { pairs: number } & Summary>;
  /** What the protocol and each metric computed, in words. */
  conventions: { protocol: string } & Partial<Record<MetricName, string>>;
  /** What was done to files before they were compared, such as ignoring an alpha channel; which metrics were left out, and why. */
  notes: string[];
}

/**
 * Compares a file with a file, or each picture of a folder with that of the same stem in another (subfolders included). Both
 * pictures of a pair must have one size. Throws UsageError when one is a file and the other a folder, DataError naming what is
 * missing, without partner or of another size, ImageError naming an unreadable file, MetricError naming the pair; AbortedError.
 */
export async function compare(test: string, reference: string, options: CompareOptions = {}): Promise<Comparison> {
  const { crop, protocol = measureDefaults.protocol, onProgress, signal } = options;
  const tasks = await findPairs(test, reference);
  const { metrics, notes } = await fittingMetrics(tasks.map(({ name, files }) => ({ name, sharp: { file: files.reference } })), { asked: options.metrics, crop });
  const workers = options.workers ?? Math.min(availableParallelism(), tasks.length);
  let done = 0;
  const finished = (task: MeasureTask, measured: Measured): Measured => {
    throwIfAborted(signal);
    onProgress?.({ done: ++done, total: tasks.length, label: task.name });
    return measured;
  };
  throwIfAborted(signal);
  onProgress?.({ done, total: tasks.length });
  const results = await measureAll(tasks, { metrics, protocol, crop }, workers, finished);
  const pairs = tasks.map(({ name }, i) => ({ name, ...results[i].scores }));
  const summaryOf = (which: readonly number[]): Summary => summarise(which.map((i) => results[i].scores));
  return {
    protocol, crop: crop ?? null, pairs, ...summaryOf([...results.keys()]),
    sequences: Object.fromEntries(bySequence(tasks.map(({ name }) => name)).map(([name, which]) => [name, { pairs: which.length, ...summaryOf(which) }])),
    conventions: { protocol: protocolText[protocol], ...Object.fromEntries(metrics.map((metric) => [metric, conventions[metric]])) },
    notes: [...notes, ...results.flatMap((result) => result.notes)],
  };
}

async function measureAll(
  tasks: MeasureTask[], settings: { metrics: readonly MetricName[]; protocol: Protocol; crop?: number }, workers: number,
  finished: (task: MeasureTask, measured: Measured) => Measured,
): Promise<Measured[]> {
  if (workers <= 1) {
    const results: Measured[] = [];
    for (const task of tasks) results.push(finished(task, await measurePair(task, settings)));
    return results;
  }
  const pool = openMeasurePool(workers, settings);
  try {
    return await Promise.all(tasks.map(async (task) => finished(task, await pool.measure(task))));
  } finally {
    await pool.close();
  }
}

type FilesTask = Extract<MeasureTask, { files: unknown }>;

async function findPairs(test: string, reference: string): Promise<FilesTask[]> {
  const [testIsFolder, referenceIsFolder] = await Promise.all([test, reference].map(isFolder));
  if (testIsFolder !== referenceIsFolder) {
    throw new UsageError(`expected two files or two folders, got ${test} (a ${testIsFolder ? 'folder' : 'file'}) and ${reference} (a ${referenceIsFolder ? 'folder' : 'file'})`);
  }
  if (!testIsFolder) return [{ name: stemOf(basename(test)), files: { test, reference } }];
  const [tests, references] = await Promise.all([test, reference].map(byStem));
  const alone = [missing(tests, references, reference), missing(references, tests, test)].filter((text) => text !== '');
  if (alone.length > 0) throw new DataError(alone.join('; '));
  return [...tests].map(([name, file]) => ({ name, files: { test: file, reference: references.get(name) as string } }));
}

async function isFolder(path: string): Promise<boolean> {
  const found = await statOf(path).catch((error: unknown) => { throw new DataError(`${path}: can't be read (${messageOf(error)})`, { cause: error }); });
  if (!found) throw new DataError(`${path}: expected a picture or a folder of pictures, found nothing`);
  return found.isDirectory();
}

async function byStem(folder: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const path of await listImages(folder)) {
    const stem = stemOf(path), other = files.get(stem);
    if (other) throw new DataError(`${join(folder, path)}: ${other} has the same stem; expected one picture for each`);
    files.set(stem, join(folder, path));
  }
  if (files.size === 0) throw new DataError(`${folder}: expected pictures, found none`);
  return files;
}

function missing(files: ReadonlyMap<string, string>, partners: ReadonlyMap<string, string>, folder: string): string {
  const names = [...files.keys()].filter((name) => !partners.has(name));
  if (names.length === 0) return '';
  const listed = names.slice(0, 5).join(', ') + (names.length > 5 ? ` and ${names.length - 5} more` : '');
  return `${folder}: no partner${names.length > 1 ? 's' : ''} for ${listed}`;
}
