/**
 * Images a second of one whole GAN training step (generator and conditional patch discriminator, BCE on logits, L1 × 170, Adam) on the CPU:
 * unshake's trainStep, and the same step in plain PyTorch (bench/peers/train_step_torch.py) in fp32 with contiguous memory and in bf16
 * autocast with channels-last memory. A process each, with the same number of threads; they take turns, a step each, so that noise
 * hits all alike. Random 8-bit pictures; losses must be finite, they aren't compared (weights and pictures are each side's own).
 */
import { availableParallelism, cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { status } from '@unshake/libtorch';
import { cpuFlags } from '../src/cpu.js';
import { DivergedError, MissingError, UsageError, messageOf } from '../src/errors.js';
import { findPython, pythons, startWorker, type Worker } from './worker.js';

/** What every side is told. */
export interface CaseSettings {
  variant: 'report' | 'paper';
  rate: number; //         channels
  batch: number; //        images a step
  crop: number; //         side, pixels
  ndf: number; //          channels of the discriminator
  pixelWeight: number;
  lr: number;
  betas: readonly [number, number];
  threads: number;
}

type Case = Pick<CaseSettings, 'variant' | 'rate' | 'batch'>;

const cases: readonly Case[] = [{ variant: 'report', rate: 32, batch: 2 }, { variant: 'paper', rate: 64, batch: 1 }];
const common = { ndf: 48, pixelWeight: 170, lr: 2e-4, betas: [0.5, 0.999] } as const;
const warmUps = 2, leastSteps = 5;
/** The peers, by their `mode`. */
const peers = { pytorchFp32: 'fp32', pytorchBf16ChannelsLast: 'bf16' } as const;
type Peer = keyof typeof peers;
const peerNames = Object.keys(peers) as Peer[];

const nameOf = ({ variant, rate, batch }: Case): string => `${variant}-${rate}-b${batch}`;

const help = `npm run bench -- train-step [--json] [--cases ${cases.map(nameOf).join(',')}] [--steps N] [--threads N]
  --steps N           timed steps, ${leastSteps} or more, after ${warmUps} to warm up (default ${leastSteps})
  --threads N         CPU threads of every process (default: all cores)
  --rate N, --crop N  other sizes, for a quick trial
`;

interface Options { json: boolean; chosen: Case[]; steps: number; threads: number; crop: number }

/** What a worker says first, then for each step. */
interface Hello { version: string; precision: string; parameters: number; unavailable?: string }
interface Step { seconds: number; losses: Record<string, number | null> } // null: NaN or infinite, which JSON can't say
interface Measured extends Hello { imagesPerSecond: number; peakMiB: number; convolutionTflops?: number }

/**
 * Images a second; largest resident memory of a process; `ratio` is unshake over the faster peer. Null where there is no PyTorch, or none that computes in bf16 here.
 * `tflops`: arithmetic of the convolutions, forward and backward, over unshake's time; `convolutionTflops`: the best single convolution of the same process.
 */
interface Result {
  name: string; unshake: number; pytorchFp32: number | null; pytorchBf16ChannelsLast: number | null; ratio: number | null;
  peakMiB: number; pytorchPeakMiB: number | null; tflops: number; convolutionTflops: number;
}

/** Measures and prints. Throws UsageError, MissingError (no libtorch; or, after printing unshake's side, no PyTorch), DivergedError. */
export async function benchTrainStep(args: string[]): Promise<void> {
  const options = parseOptions(args);
  if (!options) {
    process.stdout.write(help);
    return;
  }
  const { available, reason } = status();
  if (!available) throw new MissingError(reason!);
  const python = findPython();
  const measured: { name: string; unshake: Measured; others: Partial<Record<Peer, Measured>> }[] = [];
  for (const each of options.chosen) measured.push(await measureCase(each, options, python));
  const { unshake, others } = measured[0];
  const report = {
    cases: measured.map(({ name, ...sides }, i) => resultOf(name, sides.unshake, sides.others, flopsAnImage({ ...options.chosen[i], ...common, crop: options.crop }))),
    machine: `${cpus()[0].model.trim()} (${cpuFlags().filter((flag) => ['avx2', 'avx512f', 'avx512_bf16', 'amx_bf16'].includes(flag)).join(' ')}), threads: ${options.threads}, crops: ${options.crop}×${options.crop}, steps: ${options.steps}`,
    unshake: `libtorch ${unshake.version}, ${unshake.precision}`,
    pytorch: others.pytorchFp32?.version ?? null,
  };
  process.stdout.write(options.json ? `${JSON.stringify(report)}\n` : textOf(report));
  if (python === null) throw new MissingError(`no PyTorch in ${pythons().join(' or ')} to compare with: apt-get install python3-torch, or name a Python that has it in UNSHAKE_PYTHON`);
}

function parseOptions(args: string[]): Options | null {
  let values;
  try {
    const text = { type: 'string' } as const, flag = { type: 'boolean', default: false } as const;
    ({ values } = parseArgs({ args, options: { json: flag, help: flag, cases: text, steps: text, threads: text, rate: text, crop: text } }));
  } catch (error) {
    throw new UsageError(`train-step: ${messageOf(error)}`);
  }
  if (values.help) return null;
  const count = (key: 'steps' | 'threads' | 'rate' | 'crop', fallback: number, least: number): number => {
    const value = values[key] === undefined ? fallback : Number(values[key]);
    if (!Number.isInteger(value) || value < least) throw new UsageError(`train-step: --${key} is a whole number, ${least} or more; got ${values[key]}`);
    return value;
  };
  const chosen = (values.cases?.split(',') ?? cases.map(nameOf)).map((name) => {
    const found = cases.find((each) => nameOf(each) === name);
    if (!found) throw new UsageError(`train-step: --cases is some of ${cases.map(nameOf).join(',')}; got ${name}`);
    return { ...found, rate: count('rate', found.rate, 1) };
  });
  return { json: values.json, chosen, steps: count('steps', leastSteps, leastSteps), threads: count('threads', availableParallelism(), 1), crop: count('crop', 256, 32) };
}

/** All sides of a case, a step each in turns; who begins changes from round to round. */
async function measureCase(each: Case, { steps, threads, crop }: Options, python: string | null): Promise<{ name: string; unshake: Measured; others: Partial<Record<Peer, Measured>> }> {
  const settings: CaseSettings = { ...each, ...common, crop, threads };
  const env = { ...process.env, OMP_NUM_THREADS: String(threads) };
  const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
  const start = (mode: string): Worker => mode === 'unshake'
    ? startWorker(process.execPath, [file('train-step-unshake.js'), JSON.stringify(settings)], env)
    : startWorker(python!, [file('../../bench/peers/train_step_torch.py'), JSON.stringify({ ...settings, mode })], env);
  const names = ['unshake', ...(python === null ? [] : peerNames)] as const;
  const started = names.map((name) => ({ name, worker: start(name === 'unshake' ? name : peers[name as Peer]), seconds: [] as number[] }));
  try {
    const greetings = await Promise.all(started.map(async (side) => ({ side, hello: await side.worker.next() as Hello })));
    for (const { side, hello: { unavailable } } of greetings) if (unavailable) process.stderr.write(`${nameOf(each)}: without ${side.name}: ${unavailable}\n`);
    const taking = greetings.filter(({ hello }) => !hello.unavailable), sides = taking.map(({ side }) => side), hellos = taking.map(({ hello }) => hello);
    if (hellos.some(({ parameters }) => parameters !== hellos[0].parameters)) throw new Error(`${nameOf(each)}: the networks differ: ${hellos.map(({ parameters }) => parameters).join(', ')} parameters`);
    for (let round = -warmUps; round < steps; round++) {
      for (let turn = 0; turn < sides.length; turn++) {
        const { name, worker, seconds } = sides[(turn + round + warmUps) % sides.length];
        const step = await worker.ask('step') as Step;
        checkFinite(`${nameOf(each)}, ${name}`, step.losses);
        if (round >= 0) seconds.push(step.seconds);
        if (process.stderr.isTTY) process.stderr.write(`${nameOf(each)} ${round < 0 ? 'warm-up' : `step ${round + 1} of ${steps}`} ${name} ${step.seconds.toFixed(2)} s\x1b[K\r`);
      }
    }
    if (process.stderr.isTTY) process.stderr.write('\x1b[K');
    const measured = await Promise.all(sides.map(async ({ worker, seconds }, i) => {
      worker.end();
      const { peakMiB, convolutionTflops } = await worker.next() as { peakMiB: number; convolutionTflops?: number };
      return { ...hellos[i], imagesPerSecond: each.batch / median(seconds), peakMiB: Math.round(peakMiB), convolutionTflops };
    }));
    return { name: nameOf(each), unshake: measured[0], others: Object.fromEntries(sides.slice(1).map(({ name }, i) => [name, measured[i + 1]])) };
  } finally {
    for (const { worker } of started) worker.kill();
  }
}

function checkFinite(where: string, losses: Step['losses']): void {
  const bad = Object.entries(losses).find(([, value]) => value === null);
  if (bad) throw new DivergedError(`train-step ${where}: the loss ${bad[0]} is NaN or infinite`);
}

/** Of all convolutions of one step, an image: two a multiply-add; a backward pass is two forward ones, or one where only the input's gradient is wanted. */
function flopsAnImage({ variant, rate, ndf, crop }: Omit<CaseSettings, 'batch' | 'threads' | 'pixelWeight' | 'lr' | 'betas'>): number {
  const width = 4 * rate, layers = Array.from({ length: 10 }, (_, k) => (width + k * rate) * width + 9 * width * rate).reduce((total, layer) => total + layer);
  const ends = variant === 'paper' ? width * (width + 10 * rate) + 9 * width * rate : rate * rate + 9 * (width + rate) * rate; // tail and o1
  const generator = (9 * 3 * width + layers + ends + 9 * 3 * rate) * crop ** 2;
  const channels = [6, ndf, 2 * ndf, 4 * ndf, 8 * ndf];
  const discriminator = [1, 2, 3, 4].reduce((total, i) => total + 16 * channels[i - 1] * channels[i] * (crop / 2 ** i) ** 2, 16 * channels[4] * (crop / 16 - 1) ** 2);
  return 2 * (3 * generator + (2 * 3 + 2) * discriminator); // the discriminator learns from two pictures, then passes one gradient on
}

function resultOf(name: string, unshake: Measured, others: Partial<Record<Peer, Measured>>, flops: number): Result {
  const { pytorchFp32: fp32, pytorchBf16ChannelsLast: bf16 } = others;
  const faster = [fp32, bf16].reduce((best, peer) => peer && (!best || peer.imagesPerSecond > best.imagesPerSecond) ? peer : best, undefined);
  return {
    name, unshake: round(unshake.imagesPerSecond), pytorchFp32: fp32 ? round(fp32.imagesPerSecond) : null, pytorchBf16ChannelsLast: bf16 ? round(bf16.imagesPerSecond) : null,
    ratio: faster ? round(unshake.imagesPerSecond / faster.imagesPerSecond) : null, peakMiB: unshake.peakMiB, pytorchPeakMiB: faster?.peakMiB ?? null,
    tflops: round(flops * unshake.imagesPerSecond / 1e12), convolutionTflops: round(unshake.convolutionTflops!),
  };
}

/** Four digits. */
const round = (value: number): number => Number(value.toPrecision(4));

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b), middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function textOf({ machine, unshake, pytorch, cases: results }: { machine: string; unshake: string; pytorch: string | null; cases: Result[] }): string {
  const cell = (value: number | null): string => (value === null ? '–' : String(value)).padStart(10);
  const heads = ['unshake', 'fp32', 'bf16 c.l.', 'ratio', 'MiB', 'peer MiB', 'TFLOP/s', 'of conv.'].map((head) => head.padStart(10)).join('');
  const rows = results.map(({ name, unshake: ours, pytorchFp32, pytorchBf16ChannelsLast, ratio, peakMiB, pytorchPeakMiB, tflops, convolutionTflops }) =>
    name.padEnd(14) + [ours, pytorchFp32, pytorchBf16ChannelsLast, ratio, peakMiB, pytorchPeakMiB, tflops, convolutionTflops].map(cell).join(''));
  return [
    machine, `unshake: ${unshake}; PyTorch: ${pytorch ?? 'none'} (fp32 contiguous, bf16 autocast channels-last)`,
    'images a second of a whole GAN step; ratio = unshake / faster peer; MiB = largest resident memory; TFLOP/s of unshake, and of the best single convolution it ran', `${''.padEnd(14)}${heads}`, ...rows, '',
  ].join('\n');
}
