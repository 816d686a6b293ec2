/** What the folders of runs say, for the report: settings, log, checkpoint, machine, and what the network costs. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { loadGenerator, readCheckpointInfo, listCheckpoints, newestCheckpoint, type CheckpointInfo } from './checkpoint.js';
import { experimentName, type Config } from './config.js';
import { CheckpointError, ModelError, messageOf } from './errors.js';
import type { Machine } from './machine.js';
import { makeDiscriminator } from './models/index.js';
import { complexityOf, type Complexity } from './report/complexity.js';
import { differences } from './report/difference.js';
import { readLogLines, readMachines, runConfig, timeWasUp, type LogEntry } from './run-folder.js';

export interface ReportRun {
  path: string;
  /** Unique among the runs of a report. */
  label: string;
  /** The same for runs that differ by their seed alone. */
  experiment: string;
  config: Config;
  log: LogEntry[];
  /** Lines of the log that could not be read. */
  damagedLines: number;
  machines: Machine[];
  /** The newest step that is saved or logged. */
  step: number;
  /** The step that it was to reach: the one it came to, when its time was up. */
  planned: number;
  /** Training time, without interruptions. */
  seconds: number;
  /** Median of what was logged: validation and interruptions don't count. Null when nothing was. */
  imagesPerSecond: number | null;
  /** The best checkpoint; null when there is none that can be read, `problem` says why. */
  checkpoint: { path: string; sha256: string; info: CheckpointInfo } | null;
  problem?: string;
  /** Null without libtorch or checkpoint. */
  complexity: (Complexity & { discriminatorParameters: number }) | null;
}

/** Settings that do not make another experiment of a run. */
const withoutSeed = ({ seed: _, ...rest }: Config): Omit<Config, 'seed'> => rest;

/** Reads the runs. Throws ModelError or ConfigError naming a folder that is no run; what a run lacks beside that is said in its fields. */
export function readRuns(paths: readonly string[]): ReportRun[] {
  const runs = [...new Map(paths.map((path) => [resolve(path), path])).values()].map(readRun);
  nameExperiments(runs);
  labelRuns(runs);
  return runs;
}

function readRun(path: string): ReportRun {
  if (!existsSync(join(path, 'config.yaml'))) {
    const what = !existsSync(path) ? 'no such folder' : statSync(path).isDirectory() ? 'a folder without config.yaml' : 'a file';
    throw new ModelError(`${path}: expected the folder of a run (config.yaml, log.jsonl, checkpoints/), found ${what}`);
  }
  const config = runConfig(path);
  const { entries, damaged } = readLogLines(path);
  const last = entries.at(-1);
  const speeds = entries.map(({ imagesPerSecond }) => imagesPerSecond).filter(Number.isFinite).sort((a, b) => a - b);
  const step = Math.max(last?.step ?? 0, savedStep(path)), seconds = last?.seconds ?? 0;
  const run: ReportRun = {
    path, label: '', experiment: '', config, log: entries, damagedLines: damaged, machines: readMachines(path),
    step, seconds, planned: timeWasUp(config, seconds) ? step : config.steps, imagesPerSecond: speeds.length > 0 ? speeds[Math.floor(speeds.length / 2)] : null,
    checkpoint: null, complexity: null,
  };
  try {
    run.checkpoint = readBest(path);
    run.complexity = measureComplexity(run.checkpoint.path);
  } catch (error) {
    run.problem = messageOf(error);
  }
  return run;
}

/** The step of the newest checkpoint that reads; 0 without any. */
function savedStep(path: string): number {
  try {
    return newestCheckpoint(join(path, 'checkpoints')).info.step;
  } catch (error) {
    if (error instanceof CheckpointError) return 0;
    throw error;
  }
}

function readBest(path: string): NonNullable<ReportRun['checkpoint']> {
  const best = join(path, 'checkpoints', 'best.safetensors');
  if (!existsSync(best)) {
    const saved = listCheckpoints(join(path, 'checkpoints')).length;
    throw new ModelError(`no checkpoints/best.safetensors: the run ${saved > 0 ? 'has not validated yet' : 'has saved nothing yet'}`);
  }
  return { path: best, sha256: createHash('sha256').update(readFileSync(best)).digest('hex'), info: readCheckpointInfo(best) };
}

function measureComplexity(checkpoint: string): NonNullable<ReportRun['complexity']> {
  const { generator, config } = loadGenerator(checkpoint);
  const discriminator = config.discriminator && makeDiscriminator(config.discriminator);
  try {
    return { ...complexityOf(generator), discriminatorParameters: discriminator?.parameterCount ?? 0 };
  } finally {
    generator.release();
    discriminator?.release();
  }
}

/** Runs of one name whose settings differ in more than the seed are told apart by what differs, the later ones from the first; else by number. */
function nameExperiments(runs: ReportRun[]): void {
  const kinds: { name: string; settings: object; experiment: string }[] = [];
  for (const run of runs) {
    const settings = withoutSeed(run.config), name = experimentName(run.config);
    const known = kinds.find((kind) => kind.name === name && isDeepStrictEqual(kind.settings, settings));
    if (!known) {
      const same = kinds.filter((kind) => kind.name === name);
      const telling = same.length === 0 ? name : [name, ...tellingDifferences(same[0].settings, settings)].join(', ');
      const taken = kinds.some(({ experiment }) => experiment === telling);
      kinds.push({ name, settings, experiment: taken ? `${name} (${same.length + 1})` : telling });
    }
    run.experiment = (known ?? kinds[kinds.length - 1]).experiment;
  }
}

/** Settings that say what was trained and for how long, most telling first; the others are paths, and how a run saves and logs. */
const tellingSettings = ['generator', 'discriminator', 'losses', 'diffAugment', 'augment', 'data.0.blur', 'batchSize', 'accumulate', 'crop', 'progressive', 'limitPairs', 'optimizer', 'schedule', 'steps', 'minutes'];

/** The two most telling of the settings that `other` has another value of. */
function tellingDifferences(first: object, other: object): string[] {
  const differing = differences([first, other]).filter(({ key }) => !/\.(backbone|heads)$/.test(key));
  return tellingSettings.flatMap((setting) => differing.filter(({ key }) => key === setting || key.startsWith(`${setting}.`))).slice(0, 2).map(({ key, values }) => `${key} ${values[1] ?? 'unset'}`);
}

function labelRuns(runs: ReportRun[]): void {
  for (const run of runs) {
    const alone = !runs.some((other) => other !== run && other.experiment === run.experiment);
    run.label = alone ? run.experiment : `${run.experiment} seed ${run.config.seed}`;
  }
  for (const label of new Set(runs.map((run) => run.label))) {
    const same = runs.filter((run) => run.label === label);
    const short = new Set(same.map(({ path }) => basename(path))).size === same.length;
    if (same.length > 1) for (const run of same) run.label = `${label} (${short ? basename(run.path) : run.path})`;
  }
}
