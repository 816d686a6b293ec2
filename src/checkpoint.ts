/**
 * Checkpoints: weights, optimizers, averaged weights, step, random state and configuration in one safetensors file, written atomically.
 * Data order needs no state: it follows from the seed and the step. Two runs that did the same write the same bytes.
 */
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import {
  SafetensorsError, loadSafetensors, noGrad, copy_, numThreads, outsideScopes, readSafetensorsHeader, rngState, saveSafetensors, scope, setRngState, version, type Device, type Tensor,
} from '@unshake/libtorch';
import { parseConfig, type Config } from './config.js';
import { CheckpointError, messageOf, UsageError } from './errors.js';
import { makeGenerator, type Generator } from './models/index.js';
import type { Players } from './players.js';
import { assign, type Group } from './settings.js';
import { version as unshakeVersion } from './version.js';
import { readNafnet } from './weights/nafnet.js';

const format = 'unshake-checkpoint-1';

/** The best validation so far. */
export interface Best { step: number; psnr: number }

/** What bit-identical continuation depends on besides the file. */
export type Environment = Record<'threads' | 'processes' | 'instructionSet' | 'libtorch' | 'unshake' | 'device' | 'precision' | 'pairs', string>;

export interface CheckpointInfo { step: number; config: Config; best: Best | null; environment: Environment }

export function environmentOf({ device, precision, group, pairs }: Players): Environment {
  const { libtorch, capability, isa } = version();
  return { threads: String(numThreads()), processes: String(group?.size ?? 1), instructionSet: `${capability}, ${isa}`, libtorch, unshake: unshakeVersion, device, precision, pairs };
}

const prefixed = (prefix: string, tensors: Map<string, Tensor>): [string, Tensor][] => [...tensors].map(([name, value]) => [`${prefix}.${name}`, value]);
const under = (prefix: string, tensors: Map<string, Tensor>): Map<string, Tensor> =>
  new Map([...tensors].filter(([name]) => name.startsWith(`${prefix}.`)).map(([name, value]) => [name.slice(prefix.length + 1), value]));

function metadata(step: number, players: Players, best: Best | null): Record<string, string> {
  return {
    format, step: String(step), config: JSON.stringify(players.config), best: JSON.stringify(best),
    scaler: JSON.stringify(players.scaler?.state() ?? null), environment: JSON.stringify(environmentOf(players)),
  };
}

function save(path: string, tensors: [string, Tensor][], meta: Record<string, string>): void {
  try {
    saveSafetensors(path, new Map(tensors), meta);
  } catch (error) {
    throw new CheckpointError(`${path}: the checkpoint can't be written (${messageOf(error)}); earlier ones are untouched`, { cause: error });
  }
}

/** Everything that --resume needs. */
export function saveCheckpoint(path: string, step: number, players: Players, best: Best | null): void {
  const { generator, discriminator, optimizer, discriminatorOptimizer, ema, device } = players;
  scope(() => save(path, [
    ...prefixed('generator', generator.stateDict()),
    ...prefixed('ema', ema.average),
    ...prefixed('optimizer.generator', optimizer.state()),
    ...(discriminator ? prefixed('discriminator', discriminator.stateDict()) : []),
    ...(discriminatorOptimizer ? prefixed('optimizer.discriminator', discriminatorOptimizer.state()) : []),
    ...(['cpu', ...(device === 'cpu' ? [] : [device])] as Device[]).map((where): [string, Tensor] => [`rng.${where === 'cpu' ? 'cpu' : 'cuda'}`, rngState(where)]),
  ], metadata(step, players, best)));
}

/** The averaged weights alone: what evaluate, export and --init-from need. */
export function saveBest(path: string, step: number, players: Players, best: Best): void {
  save(path, prefixed('ema', players.ema.average), metadata(step, players, best));
}

function read(path: string): { tensors: Map<string, Tensor>; metadata: Record<string, string> } {
  try {
    return loadSafetensors(path);
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new CheckpointError(missing ? `${path}: no such checkpoint` : messageOf(error), { cause: error });
  }
}

function infoOf(path: string, meta: Record<string, string>): CheckpointInfo {
  if (meta.format !== format) throw new CheckpointError(`${path}: expected a checkpoint of unshake (${format}), found ${meta.format ?? 'another kind of safetensors file'}`);
  return { step: Number(meta.step), config: parseConfig(JSON.parse(meta.config), path), best: JSON.parse(meta.best) as Best | null, environment: { processes: '1', ...JSON.parse(meta.environment) } as Environment };
}

/** What a checkpoint says about itself, without its tensors. Throws CheckpointError. */
export function readCheckpointInfo(path: string): CheckpointInfo {
  try {
    return infoOf(path, readSafetensorsHeader(readFileSync(path), path).metadata);
  } catch (error) {
    if (error instanceof CheckpointError) throw error;
    throw new CheckpointError(messageOf(error), { cause: error });
  }
}

/** Restores players to where a checkpoint left them; returns what it says. Throws CheckpointError when it doesn't fit. */
export function loadCheckpoint(path: string, players: Players): CheckpointInfo {
  return scope(() => {
    const { tensors, metadata: meta } = read(path);
    const info = infoOf(path, meta);
    const { generator, discriminator, optimizer, discriminatorOptimizer, ema, scaler, device } = players;
    try {
      generator.loadStateDict(under('generator', tensors));
      discriminator?.loadStateDict(under('discriminator', tensors));
      optimizer.load(under('optimizer.generator', tensors));
      discriminatorOptimizer?.load(under('optimizer.discriminator', tensors));
      const averages = under('ema', tensors);
      noGrad(() => ema.average.forEach((value, name) => copy_(value, averages.get(name)!)));
    } catch (error) {
      throw new CheckpointError(`${path}: ${messageOf(error)}`, { cause: error });
    }
    const scalerState = JSON.parse(meta.scaler) as { scale: number; goodSteps: number } | null;
    if (scaler && scalerState) scaler.load(scalerState);
    setRngState(tensors.get('rng.cpu')!, 'cpu');
    const cuda = tensors.get('rng.cuda');
    if (cuda && device !== 'cpu') setRngState(cuda, device);
    return info;
  });
}

/** What a file says of its network: of our checkpoints the averaged weights; of a .pth those that NAFNet's authors publish, without a step. */
function readNetwork(path: string): { config: Config; step: number | null; weights: Map<string, Tensor> } {
  if (!path.endsWith('.pth')) {
    const { tensors, metadata: meta } = read(path);
    const { config, step } = infoOf(path, meta);
    return { config, step, weights: under('ema', tensors) };
  }
  try {
    const { settings, weights } = readNafnet(path);
    return { config: parseConfig({ name: basename(path, '.pth').replace(/[^\w.-]+/g, '-'), generator: { type: 'nafnet', ...settings } }, path), step: null, weights };
  } catch (error) {
    throw new CheckpointError(messageOf(error), { cause: error });
  }
}

/**
 * The network of a checkpoint, or of a .pth, in eval mode, on the CPU, and what made it. Release it when done.
 * @param set `generator.key=value` for settings that the weights don't depend on, such as a diffusion model's steps
 * @throws CheckpointError; ConfigError, UsageError for what `set` can't
 */
export function loadGenerator(path: string, { set = [] }: { set?: readonly string[] } = {}): { generator: Generator; config: Config; step: number | null } {
  const other = set.find((assignment) => !/^generator\.(?!type=)/.test(assignment));
  if (other !== undefined) throw new UsageError(`--set ${other}: expected a setting of the network that its weights don't depend on, generator.key=value`);
  return scope(() => {
    const { config: trained, step, weights } = readNetwork(path);
    const config = set.length === 0 ? trained : parseConfig(set.reduce(assign, trained as Group), path);
    const generator = outsideScopes(() => makeGenerator(config.generator));
    try {
      generator.loadStateDict(weights);
    } catch (error) {
      generator.release();
      throw new CheckpointError(`${path}: ${messageOf(error)}`, { cause: error });
    }
    return { generator: generator.eval() as Generator, config, step };
  });
}

const stepName = /^step-(\d{8})\.safetensors$/;
/** What a process leaves that is killed while saveSafetensors() writes. */
const leftover = /\.safetensors\.\d+\.tmp$/;

export const checkpointPath = (folder: string, step: number): string => join(folder, `step-${String(step).padStart(8, '0')}.safetensors`);

/** Paths of the step checkpoints in a folder, oldest first. */
export function listCheckpoints(folder: string): string[] {
  let names: string[] = [];
  try {
    names = readdirSync(folder);
  } catch {
    return []; // no folder yet
  }
  return names.filter((name) => stepName.test(name)).sort().map((name) => join(folder, name));
}

/** Deletes all but the newest `keep` step checkpoints, and what killed processes left half written. */
export function pruneCheckpoints(folder: string, keep: number): void {
  const torn = readdirSync(folder).filter((name) => leftover.test(name)).map((name) => join(folder, name));
  for (const path of [...torn, ...listCheckpoints(folder).slice(0, -keep)]) rmSync(path, { force: true });
}

/** The newest checkpoint that reads; `skipped` names damaged ones. Throws CheckpointError when there is none. */
export function newestCheckpoint(folder: string): { path: string; info: CheckpointInfo; skipped: string[] } {
  const skipped: string[] = [];
  for (const path of listCheckpoints(folder).reverse()) {
    try {
      return { path, info: readCheckpointInfo(path), skipped };
    } catch (error) {
      if (!(error instanceof CheckpointError || error instanceof SafetensorsError)) throw error;
      skipped.push(messageOf(error));
    }
  }
  throw new CheckpointError(`${folder}: there is nothing to resume${skipped.length > 0 ? ` (damaged: ${skipped.join('; ')})` : ': no step-*.safetensors'}; train without --resume to begin anew`);
}
