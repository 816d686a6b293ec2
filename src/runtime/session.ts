/** Networks in Node, by onnxruntime-node. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { freemem } from 'node:os';
import { dirname, join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { messageOf, MissingError, ModelError, UsageError } from '../errors.js';
import { readMetadata } from '../onnx/metadata.js';
import { devices, traitsOf, type Device, type Model } from './model.js';

export type { Device, Model } from './model.js';

/** Settings of openModel. */
export interface ModelOptions {
  /** Default `auto`: CUDA where its libraries are installed and a GPU answers, else the CPU. */
  device?: Device;
  /** Threads on the CPU. Default: one a physical core. */
  threads?: number;
}

type Place = Exclude<Device, 'auto'>;
type Runtime = typeof import('onnxruntime-node');

/** ONNX Runtime, loaded on first use: it is large, and most commands don't need it. Throws MissingError with the cure. */
export async function loadRuntime(): Promise<Runtime> {
  try {
    const runtime = await import('onnxruntime-node');
    runtime.env.logLevel = 'fatal'; // what goes wrong is thrown as an error of ours; ONNX Runtime would print it on stderr as well
    return runtime;
  } catch (error) {
    throw new MissingError(`ONNX Runtime can't be loaded on ${process.platform} ${process.arch} (${messageOf(error)}): ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node brings it (docs/install.md)`, { cause: error });
  }
}

/**
 * Opens an ONNX model.
 * @param model a file's path, or its bytes
 * @throws ModelError when it isn't a usable model; MissingError when the device is not to be had here; UsageError for an unknown device
 */
export async function openModel(model: string | Uint8Array, options: ModelOptions = {}): Promise<Model> {
  const { device = 'auto', threads } = options;
  if (!devices.includes(device)) throw new UsageError(`device should be one of ${devices.join(', ')}, but is '${device}'`);
  const file = typeof model === 'string' ? model : 'the model';
  const bytes = typeof model === 'string' ? await readModel(model) : model;
  const traits = traitsOf(readMetadata(bytes, file), file);
  const runtime = await loadRuntime();
  const create = (place: Place): Promise<InferenceSession> => runtime.InferenceSession.create(bytes, {
    executionProviders: [place], logSeverityLevel: 4, ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
    enableMemPattern: false, // a plan is kept for every size met, and the sizes of pictures have no end
  });

  let { session, place } = await openOn(device, installedDevices(runtime), create, file);
  checkShape(session, file);
  let sizes = new Set<string>(), bytesPerPixel: number | undefined;
  const sessionFor = async (size: string): Promise<InferenceSession> => {
    // ONNX Runtime keeps the memory of every size it has met, in pieces that fit no other. Two sizes are let stand (a tile and the
    // same tile transposed); for a third the session is opened afresh, which takes milliseconds and keeps the process from growing.
    if (!sizes.has(size) && sizes.size === 2) {
      await session.release();
      session = await create(place);
      sizes = new Set();
    }
    sizes.add(size);
    return session;
  };
  let last: Promise<unknown> = Promise.resolve();
  const oneAfterAnother = <T>(work: () => Promise<T>): Promise<T> => {
    const result = last.then(work);
    last = result.catch(() => {});
    return result;
  };
  return {
    ...traits,
    device: place,
    run: (input, width, height) => oneAfterAnother(async () =>
      runSession(runtime, await sessionFor(`${width}×${height}`), input, width, height, traits.name)),
    memory: () => oneAfterAnother(async () => {
      bytesPerPixel ??= await measureMemory(runtime, () => create(place), traits.multiple, traits.name);
      return { bytesPerPixel, free: freeMemory() };
    }),
    release: () => oneAfterAnother(() => session.release()),
  };
}

async function readModel(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new ModelError(`${path}: can't be read as a model (${messageOf(error)})`, { cause: error });
  }
}

/** Folder of the ONNX Runtime that is loaded: provider libraries lie there. */
function runtimeFolder(): string {
  const root = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  return join(root, 'bin', 'napi-v6', process.platform, process.arch);
}

/** Whether CUDA's provider library is installed: npm does not bring it, and asking ONNX Runtime for it without would print on stderr. */
function hasCuda(): boolean {
  const name = process.platform === 'win32' ? 'onnxruntime_providers_cuda.dll' : 'libonnxruntime_providers_cuda.so';
  return existsSync(join(runtimeFolder(), name));
}

/** The devices that this ONNX Runtime was built for and has the files of. Whether the hardware answers shows only in opening. */
export function installedDevices(runtime: Runtime): Place[] {
  const built = new Set(runtime.listSupportedBackends().map(({ name }) => name));
  return devices.filter((name): name is Place => name !== 'auto' && built.has(name) && (name !== 'cuda' || hasCuda()));
}

async function openOn(
  device: Device, installed: Place[], create: (place: Place) => Promise<InferenceSession>, file: string,
): Promise<{ session: InferenceSession; place: Place }> {
  if (device === 'auto' && installed.includes('cuda')) {
    try {
      return { session: await create('cuda'), place: 'cuda' };
    } catch {
      // The libraries are there but no GPU answers: the CPU does it, and the result names the device.
    }
  }
  const place = device === 'auto' ? 'cpu' : device;
  if (!installed.includes(place)) {
    const cure = place === 'cuda' ? 'docs/install.md says how to install its libraries' : place === 'wasm' ? 'it is for browsers' : `this ONNX Runtime has ${installed.join(', ')}`;
    throw new MissingError(`device ${place} is not installed on ${process.platform} ${process.arch}: ${cure}; --device cpu works everywhere`);
  }
  try {
    return { session: await create(place), place };
  } catch (error) {
    // A model that can't be loaded fails on the CPU as well; otherwise it is the device's fault.
    if (place !== 'cpu' && await opens(() => create('cpu'))) {
      throw new MissingError(`device ${place} can't be used here (${brief(error)}); --device cpu works everywhere`, { cause: error });
    }
    throw new ModelError(`${file} can't be loaded by ONNX Runtime (${brief(error)}); export it again or fetch it again`, { cause: error });
  }
}

async function opens(create: () => Promise<InferenceSession>): Promise<boolean> {
  try {
    await (await create()).release();
    return true;
  } catch {
    return false;
  }
}

/** The end of ONNX Runtime's message, where the reason stands, without C++ names before it. */
function brief(error: unknown): string {
  return messageOf(error).replace(/^.*(?:was false\. |\[ONNXRuntimeError\] : )/, '').replace(/\.$/, '').slice(0, 200);
}

function checkShape(session: InferenceSession, file: string): void {
  const expected = `expected float32 input 'input' and output 'output' of (batch, 3, height, width) with free height and width`;
  for (const [name, all] of [['input', session.inputMetadata], ['output', session.outputMetadata]] as const) {
    const value = all.find((metadata) => metadata.name === name);
    if (all.length !== 1 || !value?.isTensor) throw new ModelError(`${file}: ${expected}, got ${name} ${all.map((metadata) => `'${metadata.name}'`).join(', ')}`);
    const [, channels, ...size] = value.shape;
    const fits = value.type === 'float32' && value.shape.length === 4 && (channels === 3 || typeof channels === 'string') && size.every((dim) => typeof dim === 'string');
    if (!fits && name === 'input') throw new ModelError(`${file}: ${expected}, got '${name}' ${value.type} (${value.shape.join(', ')})`);
  }
}

async function runSession(
  runtime: Runtime, session: InferenceSession, input: Float32Array, width: number, height: number, name: string,
): Promise<Float32Array> {
  const dims = [1, 3, height, width];
  // ONNX Runtime blocks this thread while it computes: let Ctrl-C, timers and progress have their turn between two runs.
  await nextTurn();
  let output: Tensor;
  try {
    output = (await session.run({ input: new runtime.Tensor('float32', input, dims) })).output as Tensor;
  } catch (error) {
    throw new ModelError(`${name} failed on ${width}×${height} (${brief(error)}); a smaller --tile needs less memory`, { cause: error });
  }
  if (output.dims.join() !== dims.join()) {
    throw new ModelError(`${name} gives (${output.dims.join(', ')}) for (${dims.join(', ')}): expected the size of the input; it is not a deblurring model`);
  }
  return output.data as Float32Array;
}

/** Memory that this process may still take, in bytes: containers' limits count where Node knows them. */
function freeMemory(): number {
  const limit = process.constrainedMemory?.() ?? 0;
  const left = limit > 0 ? limit - process.memoryUsage.rss() : Infinity;
  return Math.max(0, Math.min(left, freemem()));
}

/** Bytes a pixel of a run, from how the resident memory of a fresh session grows between two small runs. */
async function measureMemory(runtime: Runtime, create: () => Promise<InferenceSession>, multiple: number, name: string): Promise<number> {
  const session = await create();
  try {
    const residentAfter = async (side: number): Promise<number> => {
      await runSession(runtime, session, new Float32Array(3 * side * side), side, side, name);
      return process.memoryUsage.rss();
    };
    const small = Math.ceil(32 / multiple) * multiple, large = Math.ceil(256 / multiple) * multiple + multiple;
    const before = await residentAfter(small);
    const after = await residentAfter(large);
    // Never less than the input, the output and one copy of them: measured growth can be hidden by memory that was free already.
    return Math.max(48, (after - before) / (large ** 2 - small ** 2));
  } finally {
    await session.release();
  }
}
