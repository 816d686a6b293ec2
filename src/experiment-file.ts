/** Experiments as files: small YAML files that change some settings, of the defaults or of the experiment that they `extend`; `--set key=value` changes one more. */
import { existsSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { distance } from 'fastest-levenshtein';
import { parse, stringify } from 'yaml';
import { parseConfig, type Config } from './config.js';
import { ConfigError, UsageError, messageOf } from './errors.js';
import { experimentsFolder } from './paths.js';
import { assign, isGroup, merge, type Group } from './settings.js';

/** Names of the experiments that come with the package. */
export function experimentNames(): string[] {
  return readdirSync(fileURLToPath(experimentsFolder)).filter((name) => name.endsWith('.yaml')).map((name) => name.slice(0, -'.yaml'.length)).sort();
}

/** The settings of a YAML file over those of the experiment that it extends. `readers` are the files that led here. */
async function readSettings(experiment: string, readers: readonly string[]): Promise<Group> {
  const shipped = join(fileURLToPath(experimentsFolder), `${experiment}.yaml`);
  const beside = resolve(readers.length > 0 ? dirname(readers[readers.length - 1]) : '.', experiment);
  const path = existsSync(shipped) && !experiment.includes('/') ? shipped : beside;
  if (readers.includes(path)) throw new ConfigError(`${path}: extends itself, by way of ${readers.join(', ')}`);
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    const names = experimentNames();
    const near = names.find((name) => distance(name, experiment) <= 2);
    const by = readers.length > 0 ? `, which ${readers[readers.length - 1]} extends` : '';
    throw new ConfigError(`${experiment}${by}: no such experiment (${messageOf(error)}); ${near ? `did you mean ${near}? ` : ''}expected a YAML file or one of ${names.join(', ')}`);
  });
  let settings: unknown;
  try {
    settings = parse(text) ?? {};
  } catch (error) {
    throw new ConfigError(`${path}: not valid YAML (${messageOf(error)})`, { cause: error });
  }
  if (!isGroup(settings)) throw new ConfigError(`${path}: expected a mapping of settings`);
  const { extends: parent, ...own }: Group = { name: basename(path).replace(/\.ya?ml$/, '').replace(/[^\w.-]/g, '-'), ...settings };
  if (parent === undefined) return own;
  if (typeof parent !== 'string') throw new ConfigError(`${path}: extends: expected the name of an experiment, or a YAML file, received ${JSON.stringify(parent)}`);
  return merge(await readSettings(parent, [...readers, path]), own);
}

/** Reads an experiment (a name in experiments/, or a YAML path), what it `extends` first, and applies `key=value` assignments. Throws ConfigError. */
export async function loadConfig(experiment: string, { set = [] }: { set?: readonly string[] } = {}): Promise<Config> {
  return parseConfig(set.reduce(assign, await readSettings(experiment, [])), experiment);
}

/** What `--resume --set` may change: nothing that the weights, or the examples so far and their order, follow from. */
const changeable = ['optimizer', 'discriminatorOptimizer', 'schedule', 'gradientClip', 'progressive', 'precision', 'threads', 'workers', 'logEvery', 'checkpointEvery', 'keepCheckpoints', 'validateEvery'];

/** A begun run's settings with `key=value` assignments applied. Throws UsageError for a key that makes it another run. */
export function changeConfig(config: Config, set: readonly string[], where: string): Config {
  const fixed = set.find((assignment) => !changeable.includes(assignment.split(/[.=]/)[0]));
  if (fixed !== undefined) throw new UsageError(`--resume --set ${fixed}: a run keeps it; expected a key under ${changeable.join(', ')}. For anything else begin a new run with --init-from ${where}`);
  return parseConfig(set.reduce(assign, config as Group), where);
}

/** The YAML of a resolved configuration. */
export const configToYaml = (config: Config): string => stringify(config);
