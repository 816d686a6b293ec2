/** `unshake experiments run`: several runs one after another, then the report. */
import type { Command } from 'commander';
import { UsageError } from '../src/errors.js';
import { runExperiments } from '../src/experiments.js';
import { commandText } from './command-text.js';
import { withInterrupt } from './interrupt.js';
import { printError } from './print-error.js';
import { withProgress } from './progress.js';
import { repeated } from './repeated.js';
import { cropOption } from './score-table.js';
import { deviceOption, positive } from './train.js';

interface Flags { output: string; steps?: number; minutes?: number; seeds?: number[]; set: string[]; data?: string; evaluate: string[]; crop?: number; exclude: string[]; nproc: number; device: string; verbose?: boolean }

function seedsOf(text: string): number[] {
  const seeds = text.split(',').map((word) => (/^\d+$/.test(word.trim()) ? Number(word) : NaN));
  if (!seeds.every(Number.isSafeInteger)) throw new UsageError(`--seeds: expected whole numbers separated by commas, such as 1,2,3, received ${text}`);
  return [...new Set(seeds)];
}

export function registerExperiments(root: Command): void {
  const experiments = root.command('experiments').description('train several experiments, and report on them');
  experiments.command('run').description("train experiments one after another, then write the report; given again, it continues where it was")
    .argument('[name...]', "names in experiments/, or YAML files (default: the report's, report-*)")
    .requiredOption('-o, --output <dir>', 'folder: runs/, report.html, table.md, loss.svg, panels/')
    .option('--steps <n>', 'length of each run', positive('--steps', true))
    .option('--minutes <m>', 'training time of each run; the learning rate follows the clock', positive('--minutes', false))
    .option('--seeds <list>', 'each experiment once with each of these seeds, e.g. 1,2,3', seedsOf)
    .option('--set <key=value>', 'change one setting of every run, e.g. generator.rate=16 (repeatable)', repeated, [])
    .option('--data <dir>', "one dataset to train on instead of the experiments' sources")
    .option('--evaluate <dir>', "a dataset for the report to measure on (repeatable; default: each run's own test split, else the pairs it held out)", repeated, [])
    .addOption(cropOption())
    .option('--exclude <file>', 'one name of a pair a line: further tables without these (repeatable)', repeated, [])
    .option('--nproc <n>', 'processes on this machine that share each batch of every run', positive('--nproc', true), 1)
    .option('--device <device>', 'auto, cpu, cuda or cuda:N', 'auto')
    .action((names: string[], _: Flags, command: Command) => run(names, command.optsWithGlobals<Flags>()));
}

async function run(names: string[], { output, evaluate, crop, exclude, device, verbose = false, ...flags }: Flags): Promise<void> {
  if (flags.steps !== undefined && flags.minutes !== undefined) throw new UsageError('--steps and --minutes: expected one of them');
  const note = (line: string): void => { process.stderr.write(`${line}\n`); };
  const { outcomes, report } = await withInterrupt((signal) => withProgress((onProgress) => runExperiments(names, output, {
    ...flags, device: deviceOption(device), report: { ...(evaluate.length > 0 && { data: evaluate }), crop, exclude, command: commandText() },
    signal, onProgress, onNotice: note,
  })), () => note('stopping; Ctrl-C again stops at once, and loses the steps since the last checkpoint'));
  for (const { name, error } of outcomes) if (error) printError({ code: error.code, message: `${name}: ${error.message}`, error }, verbose);
  const count = (outcome: string): number => outcomes.filter((other) => other.outcome === outcome).length;
  process.stdout.write(`${report.page}: ${count('trained')} trained, ${count('finished')} finished before, ${count('failed')} failed\n`);
  if (count('failed') > 0) process.exitCode = 1;
}
