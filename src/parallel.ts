/**
 * Several processes that train one network, each on its share of every batch. What they do together stands here; train.ts calls it.
 * Rank 0 writes the run's folder. Started by parallel-processes.ts on one machine, or by anyone's launcher through torchrun's variables.
 */
import { availableParallelism } from 'node:os';
import { GroupError, LibtorchMissingError, chooseDevice, groupBackends, joinGroup, manualSeed, version, type Device, type ProcessGroup } from '@unshake/libtorch';
import type { Config } from './config.js';
import { ConfigError, MissingError, ParallelError, UsageError, throwIfAborted } from './errors.js';
import type { Losses, Players } from './players.js';
import { hashText, randomAt } from './random.js';

/** One process's place among all. */
export interface Ranks {
  rank: number;
  size: number;
  /** Among the processes of this machine: chooses the GPU, and shares out the cores. */
  localRank: number;
  localSize: number;
  /** Where rank 0's store listens; port 0 lets it choose (see onPort). */
  host: string;
  port: number;
  /** Whether somebody else runs the store already, as torchrun's agent does. */
  storeRuns?: boolean;
  prefix?: string;
  /** Told the chosen port, on rank 0. */
  onPort?: (port: number) => void;
}

/** The place that a launcher gave this process in torchrun's variables; null without a launcher. Throws UsageError when some are missing. */
export function ranksFromEnvironment(env: NodeJS.ProcessEnv): Ranks | null {
  if (env.WORLD_SIZE === undefined || env.WORLD_SIZE === '1') return null;
  const whole = (name: string, least: number, fallback?: number): number => {
    const text = env[name] ?? fallback?.toString();
    const value = Number(text);
    if (text === undefined || text === '' || !Number.isSafeInteger(value) || value < least) {
      throw new UsageError(`WORLD_SIZE=${env.WORLD_SIZE} says that a launcher started this process; expected a whole number of at least ${least} in ${name}, found ${text ?? 'nothing'}`);
    }
    return value;
  };
  const size = whole('WORLD_SIZE', 1), rank = whole('RANK', 0);
  if (rank >= size) throw new UsageError(`RANK=${rank}: expected less than WORLD_SIZE=${size}`);
  if (!env.MASTER_ADDR) throw new UsageError(`WORLD_SIZE=${size} says that a launcher started this process; expected rank 0's host name in MASTER_ADDR`);
  const agent = env.TORCHELASTIC_USE_AGENT_STORE === 'True';
  return {
    rank, size, localRank: whole('LOCAL_RANK', 0, 0), localSize: whole('LOCAL_WORLD_SIZE', 1, 1), host: env.MASTER_ADDR, port: whole('MASTER_PORT', 1),
    storeRuns: agent, prefix: agent ? `unshake/attempt_${env.TORCHELASTIC_RESTART_COUNT ?? 0}` : 'unshake',
  };
}

/** The device of this process: `auto` and `cuda` take the GPU of its local rank, or the only one that the launcher shows it. */
export function deviceOf(wanted: Device | 'auto', ranks: Ranks | undefined): Device {
  const { cudaDevices } = version();
  if (!ranks || cudaDevices < 2 || (wanted !== 'auto' && wanted !== 'cuda')) return chooseDevice(wanted);
  return chooseDevice(`cuda:${ranks.localRank}`);
}

/** libtorch's CPU threads of this process: what the configuration says, else its share of the cores. */
export const threadsOf = (config: Config, ranks: Ranks | undefined): number => config.threads || Math.max(1, Math.floor(availableParallelism() / (ranks?.localSize ?? 1)));

/** Waits for the others. Throws ConfigError when their settings differ; explainLoss() explains the rest. */
export async function joinRanks({ rank, size, host, port, storeRuns = false, prefix, onPort }: Ranks, config: Config, device: Device, signal: AbortSignal | undefined): Promise<ProcessGroup> {
  throwIfAborted(signal);
  const backend = device !== 'cpu' && groupBackends().includes('nccl') ? 'nccl' : 'gloo';
  const group = await joinGroup({ rank, size, host, port, server: rank === 0 && !storeRuns, onPort, backend, device, prefix, signal }).catch((error: unknown) => {
    throwIfAborted(signal);
    throw error;
  });
  try {
    checkAlike(group, JSON.stringify(config), 'settings', 'start all processes with the same experiment, options and version');
  } catch (error) {
    group.close();
    throw error;
  }
  return group;
}

/** Throws ConfigError where this process's `text` is not rank 0's. */
export function checkAlike(group: ProcessGroup, text: string, what: string, cure: string): void {
  const own = hashText(text);
  if (group.share([own])[0] !== own) throw new ConfigError(`rank ${group.rank} has other ${what} than rank 0: ${cure}`);
}

/** Rank 0's weights, optimizers, averages and numbers, on every rank. Returns the numbers. */
export function shareState(group: ProcessGroup, { generator, discriminator, optimizer, discriminatorOptimizer, ema, scaler }: Players, numbers: number[]): number[] {
  for (const network of [generator, discriminator]) if (network) group.broadcast([...network.stateDict().values()]);
  for (const each of [optimizer, discriminatorOptimizer]) {
    if (!each) continue;
    const state = each.state();
    group.broadcast([...state.values()]);
    each.load(state);
    state.get('steps')!.release(); // the only one made for this call
  }
  group.broadcast([...ema.average.values()]);
  if (scaler) {
    const [scale, goodSteps] = group.share([scaler.scale, scaler.state().goodSteps]);
    scaler.load({ scale, goodSteps });
  }
  return group.share(numbers);
}

/** Dropout's and other random numbers of a step, different on every rank, with no state to save. */
export function seedStep(group: ProcessGroup, seed: number, step: number): void {
  manualSeed(randomAt(seed, step, group.rank, hashText('rank')).integer(2 ** 32));
}

/** What is known after a step: mean losses, the run's clock, whether somebody wants to stop. */
export interface Meeting { losses: Losses; seconds: number; stop: boolean }

/** Brings the ranks' own together: losses are averaged, the clock is rank 0's, and one that wants to stop stops all at the same step. */
export function meet(group: ProcessGroup | null, { losses, seconds, stop }: Meeting): Meeting {
  if (!group) return { losses, seconds, stop };
  const names = Object.keys(losses);
  const [stopping, clock, ...sums] = group.sum([Number(stop), group.rank === 0 ? seconds : 0, ...Object.values(losses)]);
  return { losses: Object.fromEntries(names.map((name, i) => [name, sums[i] / group.size])), seconds: clock, stop: stopping > 0 };
}

/** Turns the loss of the group, or the lack of one, into an error for people. */
export function explainLoss(error: unknown): unknown {
  if (error instanceof LibtorchMissingError) return new MissingError(error.message, { cause: error });
  if (!(error instanceof GroupError)) return error;
  return new ParallelError(`${error.message.split('\n')[0]}; the lost process's own output says why. Saved checkpoints are whole: --resume continues`, { cause: error });
}
