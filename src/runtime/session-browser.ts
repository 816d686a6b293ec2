/** Networks in a browser, by onnxruntime-web: on the GPU through WebGPU, else in WebAssembly. Best in a worker: runs block their thread. */
import type { InferenceSession } from 'onnxruntime-web';
import { messageOf, MissingError, ModelError, UsageError } from '../errors.js';
import { readMetadata } from '../onnx/metadata.js';
import { widenModel } from '../onnx/widen.js';
import { traitsOf, type Model } from './model.js';
import { brief, ortModel, type Ort } from './ort-model.js';
import { assumedBytesPerPixel, createWebSession, wasmHeap } from './wasm.js';

export type { Model } from './model.js';

/** What we use of a browser: the DOM's types don't belong to the sources that Node runs as well. */
declare const navigator: {
  readonly hardwareConcurrency: number;
  /** GiB, only in Chromium. */
  readonly deviceMemory?: number;
  readonly gpu?: { requestAdapter(): Promise<{ readonly info?: { readonly isFallbackAdapter?: boolean } } | null> };
};
declare const crossOriginIsolated: boolean | undefined;

/** Settings of openModel in a browser. */
export interface BrowserModelOptions {
  /** Default `auto`: WebGPU where an adapter answers and can load the network, else WebAssembly. */
  device?: 'auto' | 'webgpu' | 'wasm';
  /** Threads in WebAssembly; the first model opened in a thread decides. Default: defaultThreads(). */
  threads?: number;
  /** Where ONNX Runtime's files lie, when the bundler has not placed them: a folder's URL, or the URLs for each device. Set before the first model is opened. */
  wasmPaths?: string | Record<'webgpu' | 'wasm', { mjs: string; wasm: string }>;
}

/** Why WebGPU can't be used, or nothing. `auto` passes over adapters that imitate a GPU in software: WebAssembly is faster. */
async function webgpuMissing(device: 'auto' | 'webgpu'): Promise<string | undefined> {
  if (!navigator.gpu) return 'this browser has no WebGPU';
  const adapter = await navigator.gpu.requestAdapter().catch(() => null);
  return adapter && !(device === 'auto' && adapter.info?.isFallbackAdapter) ? undefined : 'WebGPU finds no graphics adapter';
}

/**
 * Opens an ONNX model.
 * @param model its URL, or its bytes
 * @throws ModelError when it can't be fetched or isn't a usable model; MissingError when WebGPU is asked for and not to be had; UsageError for an unknown device
 */
export async function openModel(model: string | URL | Uint8Array, options: BrowserModelOptions = {}): Promise<Model> {
  const { device = 'auto', threads = defaultThreads(), wasmPaths } = options;
  if (!['auto', 'webgpu', 'wasm'].includes(device)) throw new UsageError(`device should be auto, webgpu or wasm in a browser, but is '${device}'`);
  const file = model instanceof Uint8Array ? 'the model' : String(model);
  const bytes = model instanceof Uint8Array ? model : await fetchModel(file);
  const traits = traitsOf(readMetadata(bytes, file), file);

  const open = async (place: 'webgpu' | 'wasm'): Promise<Model> => {
    const runtime: Ort = place === 'webgpu' ? await import('onnxruntime-web/webgpu') : await import('onnxruntime-web/wasm');
    runtime.env.logLevel = 'fatal'; // what goes wrong is thrown as an error of ours
    runtime.env.wasm.numThreads = threads;
    if (wasmPaths !== undefined) runtime.env.wasm.wasmPaths = typeof wasmPaths === 'string' ? wasmPaths : wasmPaths[place];
    const create = (): Promise<InferenceSession> => createWebSession(runtime, bytes, place);
    return ortModel({
      runtime, place, create, pause: () => new Promise((resolve) => { setTimeout(resolve); }),
      bytesPerPixel: async () => assumedBytesPerPixel, free: freeMemory,
      inFloat32: async () => {
        const wide = widenModel(bytes);
        return wide || place !== 'wasm' ? openModel(wide ?? bytes, { ...options, device: 'wasm' }) : undefined;
      },
    }, await create(), traits, file);
  };

  if (device !== 'wasm') {
    const missing = await webgpuMissing(device);
    if (missing && device === 'webgpu') throw new MissingError(`${missing}; device wasm works everywhere`);
    if (!missing) {
      try {
        return await open('webgpu');
      } catch (error) {
        if (error instanceof ModelError) throw error;
        if (device === 'webgpu') throw new MissingError(`${file} can't be run on WebGPU here (${brief(error)}); device wasm works everywhere`, { cause: error });
        // A driver that is listed but fails: WebAssembly does it, and the model names its device.
      }
    }
  }
  try {
    return await open('wasm');
  } catch (error) {
    if (error instanceof ModelError) throw error;
    throw new ModelError(`${file} can't be loaded by ONNX Runtime (${brief(error)}); export it again or fetch it again`, { cause: error });
  }
}

async function fetchModel(url: string): Promise<Uint8Array> {
  try {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`the server answers ${response.status}`);
    return new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    throw new ModelError(`${url}: can't be fetched as a model (${messageOf(error)})`, { cause: error });
  }
}

/** Threads in WebAssembly unless told otherwise. They share memory, which browsers allow to cross-origin isolated pages only. Of the logical cores half are taken beyond two, at most 8: more gain nothing. */
export function defaultThreads(): number {
  return crossOriginIsolated ? Math.min(8, Math.max(Math.min(2, navigator.hardwareConcurrency), Math.ceil(navigator.hardwareConcurrency / 2))) : 1;
}

/** A quarter of the machine's memory, which browsers tell rounded and at most as 8 GiB, or not at all; never more than a WebAssembly heap holds. */
function freeMemory(): number {
  return Math.min(wasmHeap, ((navigator.deviceMemory ?? 8) / 4) * 2 ** 30);
}
