/** Several experiments, one after another, each into its own run; a command that was stopped goes on where it was when it is given again. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Device } from '@unshake/libtorch';
import { newestCheckpoint, listCheckpoints } from './checkpoint.js';
import { experimentName, parseConfig, type Config } from './config.js';
import { AbortedError, ConfigError, UnshakeError, UsageError, messageOf } from './errors.js';
import { experimentNames, loadConfig } from './experiment-file.js';
import { trainInProcesses } from './parallel-processes.js';
import type { LongWork } from './progress.js';
import { checkInputs, report, type Report, type ReportOptions } from './report.js';
import { differences } from './report/difference.js';
import { readLog, runConfig, timeWasUp } from './run-folder.js';
import { train, type TrainOptions } from './train.js';

export interface ExperimentsOptions extends LongWork {
  /** Budget of each run. Default: what its experiment says. */
  steps?: number;
  /** Or a budget of training time for each run; the learning rate then follows the clock. */
  minutes?: number;
  /** Each experiment once with each seed. Default: what its experiment says. */
  seeds?: readonly number[];
  /** `key=value`, for every run. */
  set?: readonly string[];
  /** One dataset to train on, instead of the experiments' sources. */
  data?: string;
  device?: Device | 'auto';
  /** Processes that share each batch of every run. Default 1. */
  nproc?: number;
  /** How the report at the end measures. */
  report?: Pick<ReportOptions, 'data' | 'crop' | 'exclude' | 'command'>;
  /** One line a time, for a person. */
  onNotice?: (line: string) => void;
}

/** What became of a run; `finished` was complete before. */
export interface RunOutcome { name: string; path: string; outcome: 'trained' | 'finished' | 'failed'; error?: UnshakeError }

interface Planned { name: string; path: string; config: Config }

/** The experiments of the report, in the order of their names. */
export const reportExperiments = (): string[] => experimentNames().filter((name) => name.startsWith('report-'));

/**
 * Trains NAME (default: all of the report's) into OUT/runs/NAME-seedN, with every seed in turn, then writes the report into OUT. A run that fails is passed over
 * and named in the report; runs that are complete are left as they are, begun ones are continued from their newest checkpoint.
 * @throws ConfigError for an experiment or a setting, DataError for what the report is to read, before anything is trained; AbortedError, with the current run saved, when the signal fires
 */
export async function runExperiments(names: readonly string[], out: string, options: ExperimentsOptions = {}): Promise<{ outcomes: RunOutcome[]; report: Report }> {
  const { onNotice = () => {}, signal } = options;
  const planned = await plan(names, out, options);
  await checkInputs(options.report);
  const outcomes: RunOutcome[] = [];
  for (const [index, run] of planned.entries()) {
    const { name, path } = run;
    try {
      const finished = isFinished(run);
      onNotice(`${index + 1} of ${planned.length}: ${name}${finished ? ' is finished' : ''}`);
      if (!finished) await trainOne(run, { done: index, total: planned.length }, options);
      outcomes.push({ name, path, outcome: finished ? 'finished' : 'trained' });
    } catch (error) {
      if (error instanceof AbortedError) throw new AbortedError(`${name}: ${error.message.replace(/, and --resume continues$/, '')}; the same command again continues`, { cause: error });
      if (!(error instanceof UnshakeError)) throw error;
      outcomes.push({ name, path, outcome: 'failed', error });
      onNotice(`${name} failed: ${messageOf(error)}`);
    }
  }
  const failed = outcomes.flatMap(({ name, error }) => (error ? [{ name, message: error.message }] : []));
  const begun = planned.filter(({ path }) => existsSync(join(path, 'config.yaml'))).map(({ path }) => path);
  return { outcomes, report: await report(begun, out, { ...options.report, failed, signal, onNotice, onProgress: options.onProgress }) };
}

async function plan(names: readonly string[], out: string, { steps, minutes, seeds, set = [], data }: ExperimentsOptions): Promise<Planned[]> {
  if (steps !== undefined && minutes !== undefined) throw new UsageError('steps and minutes: expected one budget, got both');
  const chosen = names.length > 0 ? [...new Set(names)] : reportExperiments();
  if (chosen.length === 0) throw new ConfigError(`expected experiments whose names begin with report-, found ${experimentNames().join(', ')}; name those to run`);
  const configs = await Promise.all(chosen.map(async (experiment) => {
    const config = await loadConfig(experiment, { set });
    return parseConfig({ ...config, ...(steps !== undefined && { steps }), ...(minutes !== undefined && { minutes }), ...(data !== undefined && { data: [{ path: data }] }) }, experiment);
  }));
  const twice = configs.find((config, i) => configs.findIndex((other) => experimentName(other) === experimentName(config)) < i);
  if (twice) throw new ConfigError(`name: two of the experiments call themselves ${twice.name}; their runs need different names`);
  // Seed by seed, so that every experiment has its first run before any has its second.
  const drawn = seeds ? seeds.flatMap((seed) => configs.map((config) => ({ ...config, seed }))) : configs;
  return drawn.map((config) => {
    const name = `${experimentName(config)}-seed${config.seed}`;
    return { name, path: join(out, 'runs', name), config };
  });
}

const isBegun = ({ path }: Planned): boolean => listCheckpoints(join(path, 'checkpoints')).length > 0;

/** Whether a run has used its budget. Throws ConfigError when it was begun with other settings. */
function isFinished(run: Planned): boolean {
  if (!isBegun(run)) return false;
  const { path, config } = run;
  const own = runConfig(path);
  const changed = differences([{ ...own, steps: 0, minutes: null }, { ...config, steps: 0, minutes: null }]);
  if (changed.length > 0) {
    const list = changed.slice(0, 3).map(({ key, values: [was, now] }) => `${key} was ${was ?? 'absent'} and is ${now ?? 'absent'} now`).join(', ');
    throw new ConfigError(`${path}: begun with other settings (${list}${changed.length > 3 ? ' and more' : ''}); choose another -o, or delete it`);
  }
  const { step } = newestCheckpoint(join(path, 'checkpoints')).info;
  const seconds = readLog(path).findLast((entry) => entry.step <= step)?.seconds ?? 0;
  return step >= config.steps || timeWasUp(config, seconds);
}

async function trainOne(run: Planned, { done, total }: { done: number; total: number }, { device, nproc = 1, signal, onNotice, onProgress }: ExperimentsOptions): Promise<void> {
  const { name, path, config } = run;
  const resume = isBegun(run);
  const settings = resume ? { ...runConfig(path), steps: config.steps, minutes: config.minutes } : config;
  const options: TrainOptions = {
    device, resume, signal, onNotice,
    onProgress: (progress) => onProgress?.({ ...progress, label: `${done + 1} of ${total}: ${name} · ${progress.label ?? ''}` }),
  };
  await (nproc > 1 ? trainInProcesses(settings, path, nproc, options) : train(settings, path, options));
}
