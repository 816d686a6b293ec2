/** The folder of a run: config.yaml, log.jsonl, samples/, checkpoints/. */
import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { configToYaml, parseConfig, type Config } from './config.js';
import { listCheckpoints } from './checkpoint.js';
import { CheckpointError, ConfigError, DataError, messageOf } from './errors.js';

/** One logged step; losses by name stand beside these. `seconds` counts training time from the start of the run, over all resumptions. */
export interface LogEntry extends Record<string, number> { step: number; seconds: number; imagesPerSecond: number }

export interface RunFolder {
  path: string;
  checkpoints: string;
  samples: string;
  log(entry: LogEntry): void;
}

function writeAtomically(path: string, text: string): void {
  writeFileSync(`${path}.tmp`, text);
  renameSync(`${path}.tmp`, path);
}

function open(path: string): RunFolder {
  const logFile = join(path, 'log.jsonl');
  return {
    path, checkpoints: join(path, 'checkpoints'), samples: join(path, 'samples'),
    log: (entry) => appendFileSync(logFile, `${JSON.stringify(entry)}\n`),
  };
}

/** A new run. Throws DataError when the folder holds a run with checkpoints already, or can't be made. */
export function createRun(path: string, config: Config): RunFolder {
  const run = open(path);
  if (listCheckpoints(run.checkpoints).length > 0) throw new DataError(`${path}: there is a run with checkpoints already; --resume continues it, or choose another --out`);
  try {
    mkdirSync(run.checkpoints, { recursive: true });
    mkdirSync(run.samples, { recursive: true });
    writeAtomically(join(path, 'config.yaml'), configToYaml(config));
    writeAtomically(join(path, 'log.jsonl'), '');
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
    return parseConfig(parse(readFileSync(file, 'utf8')), file);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(`${file}: not valid YAML (${messageOf(error)})`, { cause: error });
  }
}

/** Entries of a run's log; a last line that a killed process left half written is dropped. */
export function readLog(path: string): LogEntry[] {
  const file = join(path, 'log.jsonl');
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8').split('\n').flatMap((line) => {
    try {
      return line === '' ? [] : [JSON.parse(line) as LogEntry];
    } catch {
      return [];
    }
  });
}

/** An existing run, its log cut back to `step`. Returns the training seconds spent up to there. */
export function reopenRun(path: string, config: Config, step: number): { run: RunFolder; seconds: number } {
  const entries = readLog(path).filter((entry) => entry.step <= step);
  mkdirSync(join(path, 'samples'), { recursive: true });
  writeAtomically(join(path, 'log.jsonl'), entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''));
  writeAtomically(join(path, 'config.yaml'), configToYaml(config));
  return { run: open(path), seconds: entries.at(-1)?.seconds ?? 0 };
}
