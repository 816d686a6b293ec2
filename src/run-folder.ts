/** The folder of a run: config.yaml, log.jsonl, machines.json, samples/, checkpoints/. */
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { parseConfig, type Config } from './config.js';
import { listCheckpoints } from './checkpoint.js';
import { CheckpointError, ConfigError, DataError, messageOf } from './errors.js';
import { configToYaml } from './experiment-file.js';
import { describeMachine, type Machine } from './machine.js';
import { writeWholeSync } from './write-whole.js';

/** One logged step; losses by name stand beside these. `seconds` counts training time from the start of the run, over all resumptions; `effectiveBatch`: images an update, over all processes. */
export interface LogEntry extends Record<string, number> { step: number; seconds: number; imagesPerSecond: number; effectiveBatch: number }

export interface RunFolder {
  path: string;
  checkpoints: string;
  samples: string;
  /** Throws DataError when the file can't be written. */
  log(entry: LogEntry): void;
}

function open(path: string): RunFolder {
  const logFile = join(path, 'log.jsonl');
  return {
    path, checkpoints: join(path, 'checkpoints'), samples: join(path, 'samples'),
    log: (entry) => {
      try {
        appendFileSync(logFile, `${JSON.stringify(entry)}\n`);
      } catch (error) {
        throw new DataError(`${logFile}: can't be written (${messageOf(error)})`, { cause: error });
      }
    },
  };
}

/** A new run. Throws DataError when the folder holds a run with checkpoints already, or can't be made. */
export function createRun(path: string, config: Config): RunFolder {
  const run = open(path);
  if (listCheckpoints(run.checkpoints).length > 0) throw new DataError(`${path}: there is a run with checkpoints already; --resume continues it, or choose another --out`);
  try {
    mkdirSync(run.checkpoints, { recursive: true });
    mkdirSync(run.samples, { recursive: true });
    writeWholeSync(join(path, 'config.yaml'), configToYaml(config));
    writeWholeSync(join(path, 'log.jsonl'), '');
    writeMachines(path, [describeMachine()]);
  } catch (error) {
    throw new DataError(`${path}: the run's folder can't be made (${messageOf(error)})`, { cause: error });
  }
  return run;
}

/** The configuration that a run was started with. Throws CheckpointError when the folder is no run. */
export function runConfig(path: string): Config {
  const file = join(path, 'config.yaml');
  if (!existsSync(file)) throw new CheckpointError(`${path}: there is nothing to resume: no config.yaml; train without --resume to begin anew`);
  try {
    const settings = parse(readFileSync(file, 'utf8')) as unknown;
    if (settings === null) throw new ConfigError(`${file}: expected the settings of a run; it is empty`);
    return parseConfig(settings, file);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(`${file}: not valid YAML (${messageOf(error)})`, { cause: error });
  }
}

/** Whether a run's budget of time, if it has one, was used up by what its log says: that is rounded to a thousandth of a second. */
export const timeWasUp = ({ minutes }: Pick<Config, 'minutes'>, seconds: number): boolean => minutes !== null && seconds >= minutes * 60 - 0.001;

/** Entries of a run's log, and how many lines are none: a killed process may leave the last one half written. */
export function readLogLines(path: string): { entries: LogEntry[]; damaged: number } {
  const file = join(path, 'log.jsonl');
  if (!existsSync(file)) return { entries: [], damaged: 0 };
  const lines = readFileSync(file, 'utf8').split('\n').filter((line) => line !== '');
  const entries = lines.flatMap((line): LogEntry[] => {
    try {
      const entry = JSON.parse(line) as LogEntry | null;
      return typeof entry?.step === 'number' ? [entry] : [];
    } catch {
      return [];
    }
  });
  return { entries, damaged: lines.length - entries.length };
}

/** Entries of a run's log; lines that are none are dropped. */
export const readLog = (path: string): LogEntry[] => readLogLines(path).entries;

const machinesFile = (path: string): string => join(path, 'machines.json');
const writeMachines = (path: string, machines: readonly Machine[]): void => writeWholeSync(machinesFile(path), `${JSON.stringify(machines, null, 2)}\n`);

/** Where the run was trained: more than one entry when it was resumed elsewhere or by another version. Empty when that was not noted. */
export function readMachines(path: string): Machine[] {
  try {
    const machines = JSON.parse(readFileSync(machinesFile(path), 'utf8')) as unknown;
    return Array.isArray(machines) ? (machines as Machine[]).filter((machine) => typeof machine?.cpu === 'string' && Array.isArray(machine.bf16)) : [];
  } catch {
    return [];
  }
}

/** An existing run, its log cut back to `step`. Returns the last step that it names, and the training seconds spent up to there. */
export function reopenRun(path: string, config: Config, step: number): { run: RunFolder; logged: number; seconds: number } {
  const entries = readLog(path).filter((entry) => entry.step <= step);
  mkdirSync(join(path, 'samples'), { recursive: true });
  writeWholeSync(join(path, 'log.jsonl'), entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''));
  writeWholeSync(join(path, 'config.yaml'), configToYaml(config));
  const machines = readMachines(path), machine = describeMachine();
  if (JSON.stringify(machines.at(-1)) !== JSON.stringify(machine)) writeMachines(path, [...machines, machine]);
  return { run: open(path), logged: entries.at(-1)?.step ?? 0, seconds: entries.at(-1)?.seconds ?? 0 };
}
