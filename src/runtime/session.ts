/** Networks in Node, by onnxruntime-node; by onnxruntime-web's WebAssembly where that can't be loaded or `wasm` is asked for. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { setImmediate as pause } from 'node:timers/promises';
import type { InferenceSession } from 'onnxruntime-web';
import { messageOf, MissingError, ModelError, UsageError } from '../errors.js';
import { freeMemory } from '../memory.js';
import { readMetadata } from '../onnx/metadata.js';
import { widenModel } from '../onnx/widen.js';
import { devices, traitsOf, type Device, type Model } from './model.js';
import { brief, ortModel, runSession, type Ort, type OrtHost, type Place } from './ort-model.js';
import { assumedBytesPerPixel, createWebSession, wasmHeap } from './wasm.js';

export type { Device, Model } from './model.js';

/** Settings of openModel. */
export interface ModelOptions {
  /** Default `auto`: CUDA where its libraries are installed and a GPU answers, else the CPU, else WebAssembly. */
  device?: Device;
  /** Threads on the CPU. Default: one a physical core; in WebAssembly one a logical core, and the first model opened decides. */
  threads?: number;
}

/** onnxruntime-node; its interface is that of the web's build, whose types are always there. */
type Native = Ort & { listSupportedBackends(): { name: string }[] };

/** onnxruntime-node, loaded on first use: it is large, and most commands don't need it. Throws MissingError with the cure. */
export async function loadRuntime(): Promise<Native> {
  try {
    const runtime = await import('onnxruntime-node') as unknown as Native;
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
  const { runtime, wasm } = await chooseRuntime(device);
  const createOn = (place: Place): Promise<InferenceSession> => wasm ? createWebSession(runtime, bytes, place) : runtime.InferenceSession.create(bytes, {
    executionProviders: [place], logSeverityLevel: 4, ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
    enableMemPattern: false, // a plan is kept for every size met, and the sizes of pictures have no end
  });
  if (wasm) runtime.env.wasm.numThreads = threads ?? availableParallelism();
  const { session, place, choice } = await openOn(wasm ? 'wasm' : device, wasm ? ['wasm'] : installedDevices(runtime as Native), createOn, file);
  const create = (): Promise<InferenceSession> => createOn(place);
  const host: OrtHost = {
    runtime, place, create, pause,
    bytesPerPixel: async () => wasm ? assumedBytesPerPixel : measureMemory({ runtime, pause, create }, traits.multiple, traits.name),
    free: () => wasm ? Math.min(freeMemory(), wasmHeap) : freeMemory(),
    inFloat32: async () => {
      const wide = widenModel(bytes), cpu = wasm ? 'wasm' : 'cpu';
      return wide || place !== cpu ? openModel(wide ?? bytes, { device: cpu, threads }) : undefined;
    },
    choice,
  };
  return ortModel(host, session, traits, file);
}

async function readModel(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new ModelError(`${path}: can't be read as a model (${messageOf(error)})`, { cause: error });
  }
}

let noticed = false;

async function chooseRuntime(device: Device): Promise<{ runtime: Ort; wasm: boolean }> {
  if (device === 'wasm') return { runtime: await loadWebRuntime(), wasm: true };
  try {
    return { runtime: await loadRuntime(), wasm: false };
  } catch (error) {
    if (device !== 'auto') throw error;
    const runtime = await loadWebRuntime();
    if (!noticed) console.warn(`unshake: note: onnxruntime-node can't be loaded (${brief((error as Error).cause)}), so WebAssembly is used, which is several times slower; ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node brings it`);
    noticed = true;
    return { runtime, wasm: true };
  }
}

async function loadWebRuntime(): Promise<Ort> {
  const runtime = await import('onnxruntime-web');
  runtime.env.logLevel = 'fatal';
  return runtime;
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
export function installedDevices(runtime: Native): Place[] {
  const built = new Set(runtime.listSupportedBackends().map(({ name }) => name));
  return devices.filter((name): name is Place => name !== 'auto' && built.has(name) && (name !== 'cuda' || hasCuda()));
}

async function openOn(
  device: Device, installed: Place[], create: (place: Place) => Promise<InferenceSession>, file: string,
): Promise<{ session: InferenceSession; place: Place; choice?: string }> {
  let cudaFault = 'is not installed';
  if (device === 'auto' && installed.includes('cuda')) {
    try {
      return { session: await create('cuda'), place: 'cuda', choice: 'cuda: its libraries are installed and a GPU answers' };
    } catch (error) {
      cudaFault = `does not answer (${brief(error)})`; // the CPU does it, and the result names the device
    }
  }
  const place = device === 'auto' ? 'cpu' : device;
  if (!installed.includes(place)) {
    const cure = place === 'cuda' ? 'docs/install.md says how to install its libraries' : `this ONNX Runtime has ${installed.join(', ')}`;
    throw new MissingError(`device ${place} is not installed on ${process.platform} ${process.arch}: ${cure}; --device cpu works everywhere`);
  }
  try {
    return { session: await create(place), place, ...(device === 'auto' ? { choice: choiceOf(installed, cudaFault) } : {}) };
  } catch (error) {
    // A model that can't be loaded fails on the CPU as well; otherwise it is the device's fault.
    if (place !== 'cpu' && place !== 'wasm' && await opens(() => create('cpu'))) {
      throw new MissingError(`device ${place} can't be used here (${brief(error)}); --device cpu works everywhere`, { cause: error });
    }
    throw new ModelError(`${file} can't be loaded by ONNX Runtime (${brief(error)}); export it again or fetch it again`, { cause: error });
  }
}

/** Why the CPU. The other devices depend on drivers that can fail in ways that no error shows, so they are used when named. */
function choiceOf(installed: readonly Place[], cudaFault: string): string {
  const others = installed.filter((place) => place !== 'cpu' && place !== 'cuda');
  return `cpu: CUDA ${cudaFault}${others.length > 0 ? `; ${others.join(' and ')} only when named (--device ${others[0]})` : ''}`;
}

async function opens(create: () => Promise<InferenceSession>): Promise<boolean> {
  try {
    await (await create()).release();
    return true;
  } catch {
    return false;
  }
}

/** Bytes a pixel of a run, from how the resident memory of a fresh session grows between two small runs. */
async function measureMemory(host: Pick<OrtHost, 'runtime' | 'pause' | 'create'>, multiple: number, name: string): Promise<number> {
  const session = await host.create();
  try {
    const residentAfter = async (side: number): Promise<number> => {
      await runSession(host, session, new Float32Array(3 * side * side), side, side, name);
      return process.memoryUsage.rss();
    };
    const small = Math.ceil(32 / multiple) * multiple, large = Math.ceil(256 / multiple) * multiple + multiple;
    const before = await residentAfter(small);
    const after = await residentAfter(large);
    // Up to some ten megabytes of growth hide in memory that was free already, which is all that the default network shows.
    return Math.max(200, (after - before) / (large ** 2 - small ** 2));
  } finally {
    await session.release();
  }
}
