/**
 * Checkpoint → ONNX. The network is traced with its range mapping, residual and final clamp inside the graph, then ONNX Runtime is
 * compared with libtorch on fresh random images, and the file is kept only if they agree.
 */
import { noGrad, scope, status, tensor, trace, type Trace } from '@unshake/libtorch';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { InferenceSession } from 'onnxruntime-node';
import { loadGenerator } from './checkpoint.js';
import { messageOf, MissingError, ModelError, throwIfAborted } from './errors.js';
import { learnsFromLooks } from './losses/notes.js';
import { findModel } from './model-path.js';
import { restore, type Generator } from './models/index.js';
import { buildOnnx } from './onnx/build.js';
import { influenceBeyondCut } from './onnx/influence.js';
import { lowerTrace, type LoweredModel } from './onnx/lower.js';
import type { LongWork } from './progress.js';
import { randomAt } from './random.js';
import { loadRuntime } from './runtime/session.js';
import { writeWhole } from './write-whole.js';

export interface ExportOptions extends LongWork {
  /** Keep parameters in half precision: half the file, arithmetic still in float32. */
  half?: boolean;
}

/** What the file's metadata say, for runtime/model.ts. */
export interface Traits {
  name: string;
  /** SPDX licence of the weights. */
  license: string;
  /** Height and width must be divisible by it. */
  multiple: number;
  /** Pixels of context that a tile needs to each side: as far as the cut is felt, at most the receptive radius. */
  overlap: number;
  /** It takes statistics over the whole picture, so it can't run on tiles. */
  whole: boolean;
  /** It was trained to look right, so that detail in its pictures may be invented. */
  invents: boolean;
}

export interface Exported {
  output: string;
  bytes: number;
  traits: Traits;
  /** Largest absolute difference between ONNX Runtime and libtorch at each tested size, images in [0, 1]. */
  comparisons: { batch: number; height: number; width: number; difference: number }[];
}

/** What may lie between ONNX Runtime and libtorch: rounding in float32; one step of 8 bits with weights in half precision. */
const tolerance = { full: 1e-4, half: 1 / 255 };

/** The overlap is half as much again as the distance beyond which a cut through noise makes no larger difference. (A tile lacks more than is cut there: a few times this was seen at two thirds of the overlap, a hundredth of an 8-bit step.) */
const unnoticed = 1e-5;

export interface ExportModelOptions extends ExportOptions {
  /** What the file calls itself. Default: the name of the experiment. */
  name?: string;
  /** SPDX licence of the weights. Default `unknown`: it is for those who trained them to say. */
  license?: string;
}

/**
 * Exports a trained network with its averaged weights.
 * @param model a checkpoint, a run's folder (its best checkpoint), or NAFNet's .pth
 * @param out the ONNX file to write; it appears complete or not at all
 * @throws MissingError without libtorch; ModelError for a MODEL that is no checkpoint, or can't be exported; CheckpointError for a damaged one
 */
export async function exportModel(model: string, out: string, options: ExportModelOptions = {}): Promise<Exported> {
  const { license = 'unknown', name, ...rest } = options;
  const file = await findModel(model);
  if (file.kind === 'onnx') throw new ModelError(`${file.path} is an ONNX file already; expected a checkpoint or a run's folder`);
  const { available, reason } = status();
  if (!available) throw new MissingError(`export compares with libtorch: ${reason}`);
  const { generator, config } = loadGenerator(file.path);
  try {
    return await exportGenerator(generator, out, { name: name ?? config.name, license, invents: learnsFromLooks(config), ...rest });
  } finally {
    generator.release();
  }
}

/**
 * Traces a network in eval mode, writes it as ONNX, compares, and keeps the file if it is right.
 * @param generator on the CPU in float32; it is left in eval mode
 * @param out the file to write; it appears complete or not at all
 * @throws ModelError naming the op that can't be exported, or saying where the file differs from the network
 */
export async function exportGenerator(generator: Generator, out: string, options: ExportOptions & Pick<Traits, 'name' | 'license'> & Partial<Pick<Traits, 'invents'>>): Promise<Exported> {
  const { name, license, invents = false, half = false, onProgress, signal } = options;
  if (generator.drawsNoise) throw new ModelError(`${name} starts from noise, which the exported graph would have to draw; evaluate it as it is, without --engine onnx`);
  const sizes = testSizes(generator.multiple), total = sizes.length + 3;
  const step = async (done: number, label: string): Promise<void> => {
    await nextTurn(); // both runtimes block this thread: Ctrl-C and the progress bar get their turn here
    throwIfAborted(signal);
    onProgress?.({ done, total, label });
  };

  await step(0, 'tracing');
  const { graph, mixesWholeImage } = lower(generator.eval(), name, half);
  const traits: Traits = { name, license, multiple: generator.multiple, overlap: generator.receptiveRadius, whole: generator.whole || mixesWholeImage, invents };
  const session = await open(buildOnnx(graph), name);
  const comparisons: Exported['comparisons'] = [];
  try {
    for (const [index, [batch, height, width]] of sizes.entries()) {
      await step(index + 1, `comparing at ${width}×${height}`);
      comparisons.push({ batch, height, width, difference: await compare(generator, session, [batch, 3, height, width], name, half) });
    }
    await step(sizes.length + 1, 'comparing tiles with the whole');
    if (!traits.whole) traits.overlap = await measureOverlap(traits, generator.receptiveRadius, session);
  } finally {
    await session.release();
  }
  await step(sizes.length + 2, 'writing');
  const bytes = buildOnnx({ ...graph, metadata: metadataOf(traits) });
  try {
    await mkdir(dirname(out), { recursive: true });
    await writeWhole(out, bytes);
  } catch (error) {
    throw new ModelError(`${out}: can't be written (${messageOf(error)})`, { cause: error });
  }
  onProgress?.({ done: total, total });
  return { output: out, bytes: bytes.length, traits, comparisons };
}

function metadataOf({ name, license, multiple, overlap, whole, invents }: Traits): Record<string, string> {
  return {
    'unshake.name': name, 'unshake.license': license, 'unshake.multiple': String(multiple), 'unshake.overlap': String(overlap), 'unshake.whole': whole ? '1' : '0',
    'unshake.invents': invents ? '1' : '0',
  };
}

function lower(generator: Generator, name: string, half: boolean): LoweredModel {
  const names = new Map([...generator.stateDict()].map(([key, value]) => [value, key]));
  // Batch, height and width differ, so that the lowering can tell them apart.
  const [height, width] = [0, 1].map((n) => generator.multiple * primeFrom(32 / generator.multiple, n)), shape = [2, 3, height, width];
  const recorded = scope((): Trace => {
    try {
      return noGrad(() => trace((image) => restore(generator, image), [tensor(randomImage(shape), shape)], names));
    } catch (error) {
      throw new ModelError(`${name} can't be traced for export: ${messageOf(error)}`, { cause: error });
    }
  });
  try {
    return lowerTrace(recorded, { half });
  } catch (error) {
    throw error instanceof ModelError ? new ModelError(`${name}: ${error.message}`, { cause: error }) : error;
  }
}

/** The n-th prime number from `least` on. */
function primeFrom(least: number, n = 0): number {
  for (let candidate = Math.max(2, Math.ceil(least)); ; candidate++) {
    let prime = true;
    for (let divisor = 2; divisor * divisor <= candidate; divisor++) prime &&= candidate % divisor !== 0;
    if (prime && n-- === 0) return candidate;
  }
}

/**
 * Batches and sizes to compare at. Networks take multiples of `multiple` (padding to it is deblur.ts's work), so each side is a prime
 * number of multiples: prime by prime itself where the multiple is 1.
 */
export function testSizes(multiple: number): [batch: number, height: number, width: number][] {
  const side = (pixels: number, n = 0): number => multiple * primeFrom(pixels / multiple, n);
  return [[1, side(67), side(101, 1)], [3, side(41), side(53, 1)], [1, side(128, 1), side(60)]];
}

function randomImage(shape: number[]): Float32Array {
  const random = randomAt(2017, ...shape);
  return Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.uniform());
}

async function open(bytes: Uint8Array, name: string): Promise<InferenceSession> {
  try {
    const runtime = await loadRuntime();
    return await runtime.InferenceSession.create(bytes, { executionProviders: ['cpu'], logSeverityLevel: 4 });
  } catch (error) {
    if (error instanceof MissingError) throw error;
    throw new ModelError(`${name}: ONNX Runtime refuses the exported graph (${messageOf(error)})`, { cause: error });
  }
}

async function runSession(session: InferenceSession, image: Float32Array, shape: number[]): Promise<Float32Array> {
  const { Tensor } = await loadRuntime();
  const { output } = await session.run({ input: new Tensor('float32', image, shape) }).catch((error: unknown) => {
    throw new ModelError(`ONNX Runtime fails at ${shape.join('×')}: ${messageOf(error)}`, { cause: error });
  });
  if (output.dims.join() !== shape.join()) throw new ModelError(`expected an image of the input's size ${shape.join('×')}, received ${output.dims.join('×')}: not a deblurring network`);
  return output.data as Float32Array;
}

async function compare(generator: Generator, session: InferenceSession, shape: number[], name: string, half: boolean): Promise<number> {
  const image = randomImage(shape);
  const expected = scope(() => noGrad(() => restore(generator, tensor(image, shape)).toArray())) as Float32Array;
  const difference = largest(await runSession(session, image, shape), (k) => expected[k]);
  const allowed = half ? tolerance.half : tolerance.full;
  if (!(difference <= allowed)) {
    const cure = half ? 'export without --half' : 'the export is wrong or the network is unstable';
    throw new ModelError(`${name}: ONNX Runtime differs from libtorch by ${difference.toExponential(2)} at ${shape.join('×')}, expected at most ${allowed.toExponential(2)}; no file was written: ${cure}`);
  }
  return difference;
}

function largest(values: Float32Array, expected: (index: number) => number): number {
  return values.reduce((worst, value, k) => { const d = Math.abs(value - expected(k)); return d > worst || Number.isNaN(d) ? d : worst; }, 0);
}

/**
 * The context that tiles need: where the influence of a cut has fallen under `unnoticed` (a four-hundredth of an 8-bit step), half as much again,
 * and no more than the receptive radius. Beyond the radius there may be none at all: else the radius is wrong.
 */
async function measureOverlap({ name, multiple }: Traits, radius: number, session: InferenceSession): Promise<number> {
  const influence = await influenceBeyondCut((image, width, height) => runSession(session, image, [1, 3, height, width]), { multiple, reach: radius });
  if (!(influence[radius] <= tolerance.full)) {
    throw new ModelError(`${name}: a tile differs from the whole picture by ${influence[radius].toExponential(2)} beyond its overlap of ${radius} pixels; its receptive radius is larger, or it must be marked as whole`);
  }
  const faint = influence.findIndex((difference) => difference <= unnoticed);
  return faint < 0 ? radius : Math.min(radius, Math.max(32, Math.ceil(1.5 * faint)));
}
