import type { Command } from 'commander';
import type { Device } from '@unshake/libtorch';
import { parseConfig, type Config } from '../src/config.js';
import { UsageError } from '../src/errors.js';
import { changeConfig, loadConfig } from '../src/experiment-file.js';
import { findModel } from '../src/model-path.js';
import { trainInProcesses } from '../src/parallel-processes.js';
import { ranksFromEnvironment } from '../src/parallel.js';
import { differences } from '../src/report/difference.js';
import { runConfig } from '../src/run-folder.js';
import { train, type TrainOptions } from '../src/train.js';
import { withInterrupt } from './interrupt.js';
import { withProgress } from './progress.js';
import { repeated } from './repeated.js';

interface Options {
  out: string; data?: string; steps?: number; minutes?: number; set: string[]; resume?: boolean; initFrom?: string; limitPairs?: number; nproc: number; device: string;
}

export const positive = (name: string, whole: boolean) => (text: string): number => {
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value)) || (whole && !Number.isSafeInteger(value))) throw new UsageError(`${name}: expected a ${whole ? 'whole ' : ''}number above 0, received ${text}`);
  return value;
};

export function deviceOption(text: string): Device | 'auto' {
  if (text === 'auto' || text === 'cpu' || text === 'cuda' || /^cuda:\d+$/.test(text)) return text as Device | 'auto';
  throw new UsageError(`--device: expected auto, cpu, cuda or cuda:N, received ${text}`);
}

/** A new run's settings: the experiment, then what the command line changes. A resumed run keeps its own, but for its length and what changeConfig() allows. */
async function settings(experiment: string, { out, data, steps, minutes, set, resume, limitPairs, initFrom }: Options, note: (line: string) => void): Promise<Config> {
  const budget = { ...(steps !== undefined && { steps }), ...(minutes !== undefined && { minutes }) };
  if (resume) {
    if (data !== undefined || limitPairs !== undefined || initFrom !== undefined) {
      throw new UsageError('--resume takes the run\'s own settings; only --steps, --minutes, --set and --device go with it');
    }
    const own = runConfig(out), named = await loadConfig(experiment);
    if (named.name !== own.name) note(`${out} was begun as ${own.name}, and goes on as it; ${experiment} changes nothing`);
    const config = parseConfig({ ...changeConfig(own, set, out), ...budget }, out);
    for (const { key, values: [was, now] } of differences([own, config])) note(`${key} was ${was ?? 'absent'} and is ${now ?? 'absent'} from here on`);
    return config;
  }
  const config = await loadConfig(experiment, { set });
  return parseConfig({
    ...config, ...budget,
    ...(limitPairs !== undefined && { limitPairs }),
    ...(data !== undefined && { data: [{ path: data }] }),
  }, experiment);
}

export function registerTrain(root: Command): void {
  root.command('train')
    .description('train an experiment into a run\'s folder')
    .argument('<experiment>', 'a name in experiments/, or a YAML file')
    .requiredOption('--out <run>', 'folder of the run: config.yaml log.jsonl samples/ checkpoints/')
    .option('--data <dir>', 'one dataset instead of the experiment\'s sources')
    .option('--steps <n>', 'length of the run', positive('--steps', true))
    .option('--minutes <m>', 'stop after this much training time; the learning rate follows the clock', positive('--minutes', false))
    .option('--set <key=value>', 'change one setting, e.g. optimizer.lr=1e-4 (repeatable)', repeated, [])
    .option('--resume', 'continue the run in --out from its newest checkpoint')
    .option('--init-from <model>', 'start from the weights of a checkpoint, a run, or a model exported from the same network')
    .option('--limit-pairs <n>', 'train on this many pairs only, drawn by the seed', positive('--limit-pairs', true))
    .option('--nproc <n>', 'processes on this machine that share each batch (docs/training.md)', positive('--nproc', true), 1)
    .option('--device <device>', 'auto, cpu, cuda or cuda:N', 'auto')
    .action(async (experiment: string, options: Options) => {
      const ranks = ranksFromEnvironment(process.env) ?? undefined;
      if (ranks && options.nproc > 1) throw new UsageError(`--nproc ${options.nproc}: a launcher started this process as one of WORLD_SIZE=${ranks.size}; leave --nproc out`);
      const talks = !ranks || ranks.rank === 0;
      const initFrom = options.initFrom === undefined ? undefined : await findModel(options.initFrom);
      const note = (line: string): void => { if (talks) process.stderr.write(`${line}\n`); };
      const config = await settings(experiment, options, note);
      const result = await withInterrupt((signal) => {
        const run = (rest: TrainOptions) => {
          const all: TrainOptions = { device: deviceOption(options.device), resume: options.resume, initFrom: initFrom?.path, signal, ...rest };
          return options.nproc > 1 ? trainInProcesses(config, options.out, options.nproc, all) : train(config, options.out, { ...all, ranks });
        };
        return talks ? withProgress((onProgress) => run({ onProgress, onNotice: note })) : run({});
      }, () => note('stopping after this step; Ctrl-C again stops at once, and loses the steps since the last checkpoint'));
      if (!talks) return;
      const best = result.best && Number.isFinite(result.best.psnr) ? `; best ${result.best.psnr.toFixed(2)} dB on the held-out pairs, at step ${result.best.step}` : '';
      process.stdout.write(`${options.out}: ${result.step} steps in ${Math.round(result.seconds)} s${best}\n`);
    });
}
