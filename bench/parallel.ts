/**
 * The report's Experiment 2 on the CPU: one whole GAN step (report generator, conditional patch discriminator, L1 × 170, Adam) in fp32, in
 * bf16, and in bf16 by two processes that share the cores and average their gradients, at three channel rates. All ways take the
 * same number of images a step. Random pictures of 256 × 256. Speed is that of the fastest step, the one that other work disturbed least;
 * processor time is a median, and tells the same on a busy machine (waiting threads sleep, so that it counts work only).
 */
import { fork, type ChildProcess } from 'node:child_process';
import { availableParallelism, cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { groupBackends, status } from '@unshake/libtorch';
import { MissingError, UsageError, messageOf } from '../src/errors.js';

/** What a process trains. */
interface Settings { rate: number; batch: number; crop: number; precision: 'fp32' | 'bf16' }
export type ToWorker = { settings: Settings; rank: number; size: number; port: number } | { steps: number };
export type FromWorker = { port: number } | { ready: true } | Taken;
/** What steps cost: wall time, processor time of all threads, and the largest resident memory so far. */
interface Taken { seconds: number; cpuSeconds: number; peakMiB: number }

interface Way { name: string; precision: Settings['precision']; processes: number }

const ways: readonly Way[] = [
  { name: 'fp32', precision: 'fp32', processes: 1 },
  { name: 'bf16', precision: 'bf16', processes: 1 },
  { name: 'bf16, two processes', precision: 'bf16', processes: 2 },
];
/** Images a step, over all processes. */
const globalBatch = 2;

const help = `npm run bench -- parallel [--json] [--rates 16,32,64] [--rounds 5] [--memory MiB]
  --rounds N    timed steps of each way, after 2 to warm up
  --memory MiB  what "largest batch" has to fit, all processes together (default 4096); 0 leaves it out
  --crop N      another size, for a quick trial
`;

/** Prints a Markdown table. Throws UsageError, MissingError. */
export async function benchParallel(args: string[]): Promise<void> {
  let values;
  try {
    const text = { type: 'string' } as const;
    ({ values } = parseArgs({ args, options: { json: { type: 'boolean', default: false }, help: { type: 'boolean', default: false }, rates: text, rounds: text, memory: text, crop: text } }));
  } catch (error) {
    throw new UsageError(`parallel: ${messageOf(error)}`);
  }
  if (values.help) {
    process.stdout.write(help);
    return;
  }
  const count = (name: string, text: string | undefined, fallback: number, least: number): number => {
    const value = text === undefined ? fallback : Number(text);
    if (!Number.isInteger(value) || value < least) throw new UsageError(`parallel: --${name} is a whole number, ${least} or more; got ${text}`);
    return value;
  };
  const rates = (values.rates ?? '16,32,64').split(',').map((rate) => count('rates', rate, 0, 1));
  const rounds = count('rounds', values.rounds, 5, 1), memory = count('memory', values.memory, 4096, 0), crop = count('crop', values.crop, 256, 32);
  const { available, reason, version, capability } = status();
  if (!available) throw new MissingError(reason!);
  if (!groupBackends().includes('gloo')) throw new MissingError('parallel: the addon was built without Gloo: apt-get install libgloo-dev, then npm run build');

  const machine = `${cpus()[0].model.trim()}, ${availableParallelism()} cores, libtorch ${version} ${capability}, ${crop} × ${crop}, ${globalBatch} images a step, ${rounds} steps`;
  const rows: Row[] = [];
  if (!values.json) process.stdout.write(`${machine}\n\n${heading(memory)}\n`);
  for (const rate of rates) {
    for (const row of await measureRate(rate, { rounds, crop, memory })) {
      rows.push(row);
      if (!values.json) process.stdout.write(`${line(row)}\n`);
    }
  }
  if (values.json) process.stdout.write(`${JSON.stringify({ machine, memoryMiB: memory, rows })}\n`);
}

interface Row { rate: number; way: string; imagesPerSecond: number; cpuSecondsPerImage: number; peakMiB: number; largestBatch: number | null }

/** One way after the other: together they might not fit the machine. */
async function measureRate(rate: number, { rounds, crop, memory }: { rounds: number; crop: number; memory: number }): Promise<Row[]> {
  const rows: Row[] = [];
  for (const way of ways) {
    const team = await startTeam(way.processes, { rate, batch: globalBatch / way.processes, crop, precision: way.precision });
    try {
      await team.steps(2);
      const taken: Taken[] = [];
      for (let round = 0; round < rounds; round++) taken.push(await team.steps(1));
      team.end();
      const { peakMiB } = taken[rounds - 1];
      rows.push({
        rate, way: way.name, imagesPerSecond: globalBatch / Math.min(...taken.map(({ seconds }) => seconds)), cpuSecondsPerImage: median(taken.map(({ cpuSeconds }) => cpuSeconds)) / globalBatch, peakMiB,
        largestBatch: memory === 0 ? null : await largestBatch(way, { rate, crop }, peakMiB, memory),
      });
    } finally {
      team.end();
    }
  }
  return rows;
}

/** The largest number of images a step that the line through two measured sizes puts within `memory`, and that stayed within it when taken. */
async function largestBatch({ precision, processes }: Way, { rate, crop }: { rate: number; crop: number }, peakMiB: number, memory: number): Promise<number> {
  const peakOf = async (batch: number): Promise<number> => {
    const team = await startTeam(processes, { rate, batch: batch / processes, crop, precision });
    try {
      return (await team.steps(2)).peakMiB;
    } finally {
      team.end();
    }
  };
  // Two sizes near the measured one: a much larger one might not fit the machine.
  const least = processes === 1 ? { batch: 1, peak: await peakOf(1) } : { batch: globalBatch, peak: peakMiB };
  if (least.peak > memory) return 0;
  let { batch, peak } = processes === 1 ? { batch: globalBatch, peak: peakMiB } : { batch: 2 * processes, peak: await peakOf(2 * processes) };
  for (;;) {
    const fitting = processes * Math.floor((least.batch + ((memory - least.peak) * (batch - least.batch)) / (peak - least.peak)) / processes);
    batch = peak > memory ? Math.min(fitting, batch - processes) : fitting;
    if (batch <= least.batch) return least.batch;
    peak = await peakOf(batch);
    if (peak <= memory) return batch;
  }
}

/** Processes that train together. */
interface Team { steps(count: number): Promise<Taken>; end(): void }

async function startTeam(size: number, settings: Settings): Promise<Team> {
  const workers = Array.from({ length: size }, () => fork(fileURLToPath(new URL('./parallel-worker.js', import.meta.url)), { env: { TORCH_CPP_LOG_LEVEL: 'ERROR', OMP_WAIT_POLICY: 'passive', ...process.env } }));
  const send = (worker: ChildProcess, message: ToWorker): void => { worker.send(message); };
  const answer = <Key extends string>(worker: ChildProcess, key: Key): Promise<Extract<FromWorker, Record<Key, unknown>>> => new Promise((resolve, reject) => {
    const listen = (message: FromWorker): void => {
      if (!(key in message)) return;
      worker.off('message', listen).off('close', failed);
      resolve(message as Extract<FromWorker, Record<Key, unknown>>);
    };
    const failed = (code: number | null, signal: string | null): void => reject(new Error(`parallel: a process ended with ${signal ?? code}`));
    worker.on('message', listen).on('close', failed);
  });
  const ready = Promise.all(workers.map((worker) => answer(worker, 'ready')));
  const port = size === 1 ? Promise.resolve({ port: 0 }) : answer(workers[0], 'port');
  send(workers[0], { settings, rank: 0, size, port: 0 });
  const { port: chosen } = await port;
  for (const [rank, worker] of workers.entries()) if (rank > 0) send(worker, { settings, rank, size, port: chosen });
  await ready;
  return {
    async steps(count) {
      const answers = workers.map((worker) => answer(worker, 'seconds'));
      for (const worker of workers) send(worker, { steps: count });
      const each = await Promise.all(answers);
      const total = (key: keyof Taken): number => each.reduce((sum, taken) => sum + taken[key], 0);
      return { seconds: Math.max(...each.map(({ seconds }) => seconds)), cpuSeconds: total('cpuSeconds'), peakMiB: total('peakMiB') };
    },
    end: () => { for (const worker of workers) worker.kill('SIGKILL'); },
  };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b), middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

const heading = (memory: number): string => {
  const columns = ['rate', 'way', 'images/s', 'processor s an image', 'peak MiB', ...(memory > 0 ? [`largest batch in ${memory} MiB`] : [])];
  return `| ${columns.join(' | ')} |\n|${columns.map(() => '---').join('|')}|`;
};
const line = ({ rate, way, imagesPerSecond, cpuSecondsPerImage, peakMiB, largestBatch: largest }: Row): string =>
  `| ${[rate, way, imagesPerSecond.toPrecision(3), cpuSecondsPerImage.toPrecision(3), Math.round(peakMiB), ...(largest === null ? [] : [largest])].join(' | ')} |`;
