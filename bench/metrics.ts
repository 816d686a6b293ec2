/**
 * Metrics against the same metrics written with PyTorch tensor operations as piq 0.8 does (bench/peers/metrics_torch.py), one
 * thread each, both warmed, taking turns; fresh random pictures; values compared in the same run. Needs a Python with PyTorch
 * (and scikit-image for a second SSIM): UNSHAKE_PYTHON, else python3, else Debian's /usr/bin/python3.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MissingError } from '../src/errors.js';
import { fsim, msSsim, psnr, ssim, useKernels, vif, type MetricName, type Planes } from '../src/metrics/index.js';
import { randomAt } from '../src/random.js';
import { findPython, pythons, startWorker, type Worker } from './worker.js';

const sizes = [[256, 256], [1280, 720]] as const;
const warmUps = 3, runs = 7;

const metrics: Record<MetricName, (x: Planes, y: Planes) => number> = {
  psnr, ssim, msssim: msSsim, fsim, fsimc: (x, y) => fsim(x, y, { chromatic: true }), vif,
};
/** The largest share of the peer's time that each may take, and the largest difference of values. */
const bars: Record<MetricName, { ratio: number | null; difference: number }> = {
  psnr: { ratio: null, difference: 2e-3 }, ssim: { ratio: 0.5, difference: 2e-4 }, msssim: { ratio: 0.5, difference: 2e-4 },
  fsim: { ratio: 0.5, difference: 2e-4 }, fsimc: { ratio: 0.5, difference: 2e-4 }, vif: { ratio: 1, difference: 2e-4 },
};

/** Times in milliseconds, medians; `ratio` is ours over the peer's. */
interface Case {
  name: string; metric: MetricName; width: number; height: number; unshake: number; pytorch: number; ratio: number; bar: number | null;
  value: number; pytorchValue: number; difference: number; skimageValue?: number;
}

interface Answer { value: number; milliseconds: number; skimage?: number }

export async function benchMetrics(json: boolean): Promise<void> {
  const kernels = useKernels(), seed = Date.now();
  const folder = await mkdtemp(join(tmpdir(), 'unshake-bench-'));
  const peer = await openPeer();
  const cases: Case[] = [];
  try {
    for (const [width, height] of sizes) {
      const [test, reference] = randomPair(width, height, seed);
      const files = { test: join(folder, 'test.raw'), reference: join(folder, 'reference.raw') };
      await Promise.all([writeFile(files.test, test.bytes), writeFile(files.reference, reference.bytes)]);
      for (const metric of Object.keys(metrics) as MetricName[]) {
        const ask = (skimage = false): Promise<Answer> => peer.worker.ask({ metric, width, height, ...files, skimage }) as Promise<Answer>;
        cases.push(await measureCase(metric, test.planes, reference.planes, ask));
      }
    }
  } finally {
    peer.worker.end();
    await rm(folder, { recursive: true });
  }
  const report = { machine: `${cpus()[0].model}, 1 thread`, node: process.version, kernels, pytorch: peer.version, seed, cases };
  process.stdout.write(json ? `${JSON.stringify(report)}\n` : textOf(report));
}

async function measureCase(metric: MetricName, test: Planes, reference: Planes, ask: (skimage?: boolean) => Promise<Answer>): Promise<Case> {
  const ours: number[] = [], theirs: number[] = [];
  let value = 0, answer: Answer = { value: 0, milliseconds: 0 };
  for (let run = -warmUps; run < runs; run++) {
    const start = performance.now();
    value = metrics[metric](test, reference);
    const elapsed = performance.now() - start;
    answer = await ask(metric === 'ssim' && run === runs - 1);
    if (run < 0) continue;
    ours.push(elapsed);
    theirs.push(answer.milliseconds);
  }
  const { width, height } = test, unshake = median(ours), pytorch = median(theirs), difference = Math.abs(value - answer.value);
  if (difference > bars[metric].difference) throw new Error(`${metric} at ${width}×${height}: ${value} here, ${answer.value} in PyTorch`);
  return {
    name: `${metric}-${width}x${height}`, metric, width, height, unshake, pytorch, ratio: unshake / pytorch, bar: bars[metric].ratio,
    value, pytorchValue: answer.value, difference, ...(answer.skimage !== undefined && { skimageValue: answer.skimage }),
  };
}

/** Smooth waves with noise, and the same with more noise. */
function randomPair(width: number, height: number, seed: number): { planes: Planes; bytes: Uint8Array }[] {
  const random = randomAt(seed, width, height), samples = width * height;
  const both = [0, 1].map(() => new Float32Array(3 * samples));
  for (let channel = 0; channel < 3; channel++) {
    const [fx, fy, phase] = [random.between(0.01, 0.1), random.between(0.01, 0.1), random.between(0, 6)];
    for (let i = 0; i < samples; i++) {
      const base = 0.5 + 0.3 * Math.sin(fx * (i % width) + fy * Math.floor(i / width) + phase) + 0.1 * (random.uniform() - 0.5);
      both[1][channel * samples + i] = base;
      both[0][channel * samples + i] = Math.min(1, Math.max(0, base + 0.2 * (random.uniform() - 0.5)));
    }
  }
  return both.map((values) => ({
    planes: { width, height, planes: [0, 1, 2].map((channel) => values.slice(channel * samples, (channel + 1) * samples)) },
    bytes: new Uint8Array(values.buffer),
  }));
}

/** Starts the peer, which says its version first. Throws MissingError with the cure. */
async function openPeer(): Promise<{ version: string; worker: Worker }> {
  const python = findPython();
  if (!python) throw new MissingError(`no PyTorch in ${pythons().join(' or ')}: apt-get install python3-torch python3-skimage, or name a Python that has it in UNSHAKE_PYTHON`);
  const worker = startWorker(python, [fileURLToPath(new URL('../../bench/peers/metrics_torch.py', import.meta.url))]);
  const { torch } = await worker.next() as { torch: string };
  return { version: torch, worker };
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

function textOf({ machine, kernels, pytorch, cases }: { machine: string; kernels: string; pytorch: string; cases: Case[] }): string {
  const rows = cases.map(({ name, unshake, pytorch: theirs, ratio, bar, difference }) =>
    `${name.padEnd(17)} ${unshake.toFixed(1).padStart(8)} ms ${theirs.toFixed(1).padStart(8)} ms   ${ratio.toFixed(2)}${bar === null ? '' : ` (at most ${bar})`.padEnd(14)} values differ by ${difference.toExponential(1)}`);
  return [`${machine}; ${kernels} kernels; PyTorch ${pytorch}`, `${' '.repeat(18)} unshake     PyTorch   ratio`, ...rows, ''].join('\n');
}
