/**
 * What training examples cost: the loader's crops of 192×192, JPEG photographs blurred anew for each, one thread and all cores; beside them
 * blur by FFT with torch.fft in one thread, as a PyTorch data set would make it (bench/peers/blur_torch.py): a window decoded already, one kernel, linear light.
 * Rounds in turn. Needs a Python with PyTorch: UNSHAKE_PYTHON, else python3, else Debian's /usr/bin/python3.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { generateScene } from '../src/blur/scenes.js';
import { blurMargin } from '../src/data/crop.js';
import { openLoader, type Loader, type Source } from '../src/data.js';
import { MissingError, UsageError, messageOf } from '../src/errors.js';
import { loadConfig } from '../src/experiment-file.js';
import { writeImage } from '../src/image/codec-node.js';
import { randomAt } from '../src/random.js';
import { findPython, pythons, startWorker } from './worker.js';

const help = `npm run bench -- crops [--photos DIR] [--experiment NAME] [--json]
  --photos DIR       sharp photographs to blur, their short side at least 256 (default: generated scenes of 480×320)
  --experiment NAME  the data of this experiment instead, in its own mixture
`;

const crop = 192, batchSize = 8, rounds = 5, batchesARound = 64, warmUpRounds = 5;
/** experiments/default.yaml's synthetic sources, by recipe. */
const synthetic = (path: string): Record<string, Source[]> => ({
  photo: [{ path, blur: 'photo', rescale: [0.7, 1], jpeg: 0.15, keepTone: true }],
  uniform: [{ path, blur: 'uniform', jpeg: 0.1 }],
});

export async function benchCrops(flags: readonly string[]): Promise<void> {
  const options = parse(flags);
  if (options === null) return;
  const python = findPython();
  if (!python) throw new MissingError(`no PyTorch in ${pythons().join(' or ')}: apt-get install python3-torch, or name a Python that has it in UNSHAKE_PYTHON`);
  const folder = await mkdtemp(join(tmpdir(), 'unshake-bench-'));
  const peer = startWorker(python, [fileURLToPath(new URL('../../bench/peers/blur_torch.py', import.meta.url))]);
  const cores = availableParallelism(), loaders = new Map<string, { loader: Loader; step: number }>();
  try {
    const mixtures = options.experiment ? { [options.experiment]: [...(await loadConfig(options.experiment)).data] } : synthetic(options.photos ?? await writeScenes(join(folder, 'scenes')));
    const window = crop + 2 * blurMargin, raw = join(folder, 'window.raw');
    await writeFile(raw, generateScene(randomAt(Date.now()), window, window).data);
    const { torch } = await peer.next() as { torch: string };
    const workerCounts = [...new Set([1, cores])];
    for (const [name, sources] of Object.entries(mixtures)) {
      for (const workers of workerCounts) {
        loaders.set(`${name}, ${workers}`, { step: 0, loader: await openLoader({ sources, seed: workers, batchSize, crop, workers, ahead: 0, flipVertical: true, transpose: true }) });
      }
    }
    const milliseconds: Record<string, number[]> = {};
    const keep = (name: string, value: number): void => { (milliseconds[name] ??= []).push(value); };
    // The first rounds warm up: pictures are decoded and kept, code is compiled.
    for (let round = -warmUpRounds; round < rounds; round++) {
      for (const [name, opened] of loaders) {
        const start = performance.now();
        await Promise.all(Array.from({ length: batchesARound }, () => opened.loader.batch(opened.step++))); // nothing is made ahead, in another's turn
        if (round >= 0) keep(name, (performance.now() - start) / (batchesARound * batchSize));
      }
      const answer = await peer.ask({ window: raw, side: window, crop, count: 100 }) as { milliseconds: number };
      if (round >= 0) keep('torch.fft', answer.milliseconds);
    }
    const medianOf = (name: string): number => milliseconds[name].sort((a, b) => a - b)[Math.floor(rounds / 2)];
    const cases = Object.keys(mixtures).map((name) => ({
      name, unshake: medianOf(`${name}, 1`), pytorch: medianOf('torch.fft'), ratio: medianOf(`${name}, 1`) / medianOf('torch.fft'), allCores: medianOf(`${name}, ${cores}`),
    }));
    const report = { machine: cpus()[0].model, cores, node: process.version, pytorch: torch, data: options.experiment ?? options.photos ?? 'generated scenes', crop, cases };
    process.stdout.write(options.json ? `${JSON.stringify(report)}\n` : textOf(report));
  } finally {
    await Promise.all([...loaders.values()].map(({ loader }) => loader.close()));
    peer.kill();
    await rm(folder, { recursive: true });
  }
}

function parse(flags: readonly string[]): { photos?: string; experiment?: string; json: boolean } | null {
  try {
    const { values } = parseArgs({ args: [...flags], options: { photos: { type: 'string' }, experiment: { type: 'string' }, json: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h', default: false } } });
    if (!values.help) return values;
    process.stdout.write(help);
    return null;
  } catch (error) {
    throw new UsageError(messageOf(error));
  }
}

async function writeScenes(folder: string): Promise<string> {
  await mkdir(folder);
  for (let i = 0; i < 8; i++) await writeImage(join(folder, `scene-${i}.jpg`), generateScene(randomAt(Date.now(), i), 480, 320));
  return folder;
}

/** Wall milliseconds a crop, medians: one thread, the peer, and all cores. */
interface Case { name: string; unshake: number; pytorch: number; ratio: number; allCores: number }

function textOf({ machine, cores, pytorch, data, cases }: { machine: string; cores: number; pytorch: string; data: string; cases: readonly Case[] }): string {
  const rows = cases.map(({ name, unshake, pytorch: theirs, ratio, allCores }) =>
    `${name.padEnd(8)} ${unshake.toFixed(2).padStart(7)} ms ${theirs.toFixed(2).padStart(7)} ms   ${ratio.toFixed(2)}   ${allCores.toFixed(2)} ms, ${(8 * allCores).toFixed(0)} s for 8000`);
  return [`${machine}; PyTorch ${pytorch}; ${data}; a crop of ${crop}×${crop}:`, `${' '.repeat(8)} unshake  torch.fft   ratio  ${cores} cores`, ...rows, ''].join('\n');
}
