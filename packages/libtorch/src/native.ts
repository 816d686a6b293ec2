/** Loads the addon, once, on first use; says what to do when it can't. */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { findLibtorch, howToGetLibtorch } from './find-libtorch.js';
import type { Device, DType, TypedData } from './tensor.js';

/** An at::Tensor behind a type-tagged external. */
export type NativeHandle = { readonly __handle: unique symbol };
/** What exchanges tensors between processes: Gloo on CPUs, NCCL between GPUs. */
export type GroupBackend = 'gloo' | 'nccl';
/** A group of processes behind a type-tagged external. */
export type NativeGroup = { readonly __group: unique symbol };

/** The instruction sets that our own kernels are written for; `none`: op by op through ATen. */
export type Isa = 'none' | 'avx2' | 'avx512' | 'avx512_bf16' | 'amx_bf16' | /** for tests: amx_bf16 over tiles in memory */ 'amx_emulated';

/** The hand-written part of the addon; the ops are reached by name through dispatch.ts. */
export interface Native {
  sizes(tensor: NativeHandle): number[];
  describe(tensor: NativeHandle): { dtype: DType; device: Device; requiresGrad: boolean; isLeaf: boolean; channelsLast: boolean };
  fromBytes(data: TypedData | Uint8Array, shape: readonly number[], dtype: DType): NativeHandle;
  toBytes(tensor: NativeHandle, raw: boolean): ArrayBuffer;
  item(tensor: NativeHandle): number;
  release(tensor: NativeHandle): void;
  memory(): { tensors: number; bytes: number };
  backward(loss: NativeHandle, createGraph: boolean): void;
  gradients(outputs: NativeHandle[], inputs: NativeHandle[], gradOutputs: NativeHandle[] | null, createGraph: boolean): (NativeHandle | null)[];
  grad(tensor: NativeHandle): NativeHandle | null;
  setGrad(tensor: NativeHandle, gradient: NativeHandle | null): void;
  setRequiresGrad(tensor: NativeHandle, requires: boolean): void;
  setGradEnabled(enabled: boolean): boolean;
  autocastEnter(device: Device, dtype: DType, enabled: boolean): { enabled: boolean; dtype: DType };
  autocastLeave(device: Device, dtype: DType, enabled: boolean): void;
  allFinite(tensors: NativeHandle[]): boolean;
  manualSeed(seed: number): void;
  rngState(device: Device): NativeHandle;
  setRngState(device: Device, state: NativeHandle): void;
  numThreads(): number;
  setNumThreads(threads: number): void;
  setFlags(tf32: boolean, cudnnBenchmark: boolean): void;
  version(): { libtorch: string; capability: string; isa: Isa; cudaDevices: number };
  keepFreedMemory(): void;
  groupBackends(): GroupBackend[];
  groupOpen(backend: string, device: Device, host: string, port: number, rank: number, size: number, server: boolean, prefix: string, networkInterface: string): NativeGroup;
  groupPort(group: NativeGroup): number;
  groupJoined(group: NativeGroup): number;
  groupConnect(group: NativeGroup): void;
  groupSum(group: NativeGroup, tensors: NativeHandle[], bucketBytes: number): void;
  groupBroadcast(group: NativeGroup, tensors: NativeHandle[], bucketBytes: number): void;
  groupAverageGradients(group: NativeGroup, parameters: NativeHandle[], size: number, bucketBytes: number): void;
  groupCheck(group: NativeGroup): void;
  groupClose(group: NativeGroup): void;
  adamStep(parameters: NativeHandle[], gradients: NativeHandle[], averages: NativeHandle[], squares: NativeHandle[], steps: number[], rule: number[], decoupled: boolean): void;
  lerpAll(tensors: NativeHandle[], ends: NativeHandle[], weight: number): void;
  clipGradNorm(gradients: NativeHandle[], limit: number): NativeHandle;
  limitIsa(name: Isa | 'auto'): Isa;
}

const addonPath = fileURLToPath(new URL('../../build/unshake_libtorch.node', import.meta.url));
const builtFor = fileURLToPath(new URL('../../build/libtorch.json', import.meta.url));
let loaded: Native | null = null;

/** libtorch or the addon is not there, or they don't fit together; the message says what to do. */
export class LibtorchMissingError extends Error {
  override name = 'LibtorchMissingError';
}

/** The addon. Throws LibtorchMissingError with the cure when it can't be loaded. */
export function native(): Native {
  if (loaded) return loaded;
  const reason = whyUnavailable();
  if (reason) throw new LibtorchMissingError(reason);
  // Threads that wait for work spin for a millisecond by default (libgomp), and take that from the loader's threads and everybody else. Read when the addon loads.
  if (process.env.OMP_WAIT_POLICY === undefined) process.env.GOMP_SPINCOUNT ??= '20000';
  try {
    loaded = createRequire(import.meta.url)(addonPath) as Native;
  } catch (error) {
    const was = existsSync(builtFor) ? (JSON.parse(readFileSync(builtFor, 'utf8')) as { version: string; library: string }) : null;
    throw new LibtorchMissingError(`the libtorch addon does not load (${(error as Error).message.split('\n')[0]}); it was built for libtorch ${was?.version ?? '?'} in `
      + `${was?.library ?? '?'}. Rebuild it with npm run build, or restore that libtorch.`, { cause: error });
  }
  return loaded;
}

function whyUnavailable(): string | null {
  const isas: readonly string[] = ['auto', 'none', 'avx2', 'avx512', 'avx512_bf16', 'amx_bf16', 'amx_emulated'], wanted = process.env.UNSHAKE_ISA;
  if (wanted && !isas.includes(wanted)) return `UNSHAKE_ISA: expected ${isas.join(', ')}, received ${wanted}`;
  if (existsSync(addonPath)) return null;
  return findLibtorch() ? 'libtorch is installed but the addon is not built: npm run build (needs g++)' : `libtorch was not found. ${howToGetLibtorch}`;
}

/** What there is, without throwing: for `doctor` and for choosing a path. */
export function status(): { available: boolean; reason?: string; version?: string; path?: string; capability?: string; cuda?: boolean; groups?: GroupBackend[] } {
  try {
    const { libtorch, capability, cudaDevices } = native().version();
    const { library } = JSON.parse(readFileSync(builtFor, 'utf8')) as { library: string };
    return { available: true, version: libtorch, path: library, capability, cuda: cudaDevices > 0, groups: native().groupBackends() };
  } catch (error) {
    return { available: false, reason: (error as Error).message };
  }
}
