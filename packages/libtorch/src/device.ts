/** Devices, threads, random numbers, versions. */
import { explained } from './dispatch.js';
import { native, type Isa } from './native.js';
import { Tensor, type Device } from './tensor.js';

/** A device was asked for that this machine or this libtorch does not have. */
export class DeviceError extends Error {
  override name = 'DeviceError';
}

/** `auto` takes CUDA where there is one. Asking for a CUDA that is not there throws DeviceError: no silent fallback. */
export function chooseDevice(wanted: Device | 'auto' = 'auto'): Device {
  const { cudaDevices, libtorch } = native().version();
  if (wanted === 'auto') return cudaDevices > 0 ? 'cuda:0' : 'cpu';
  if (wanted === 'cpu') return wanted;
  const index = wanted === 'cuda' ? 0 : Number(/^cuda:(\d+)$/.exec(wanted)?.[1] ?? NaN);
  if (Number.isNaN(index)) throw new DeviceError(`device ${wanted}: expected cpu, cuda or cuda:N`);
  if (index >= cudaDevices) {
    throw new DeviceError(cudaDevices === 0 ? `device ${wanted}: libtorch ${libtorch} sees no CUDA device (a CPU build, no driver, or no GPU)` : `device ${wanted}: there are ${cudaDevices} CUDA devices, counted from 0`);
  }
  return `cuda:${index}`;
}

/** Seeds the generators of every device. */
export function manualSeed(seed: number): void { explained('manualSeed', ['seed'], [seed], () => native().manualSeed(seed)); }

/** The generator's state, a uint8 tensor. */
export function rngState(device: Device = 'cpu'): Tensor { return explained('rngState', ['device'], [device], () => new Tensor(native().rngState(device))); }
export function setRngState(state: Tensor, device: Device = 'cpu'): void { explained('setRngState', ['state', 'device'], [state, device], () => native().setRngState(device, state.handle)); }

export function numThreads(): number { return native().numThreads(); }
export function setNumThreads(threads: number): void { explained('setNumThreads', ['threads'], [threads], () => native().setNumThreads(threads)); }

/** TF32 in CUDA convolutions and matrix products; cuDNN's search for the fastest kernel (not repeatable between runs). */
export function setCudaFlags({ tf32 = true, cudnnBenchmark = false }: { tf32?: boolean; cudnnBenchmark?: boolean } = {}): void { native().setFlags(tf32, cudnnBenchmark); }

/** libtorch's version, the instruction set its kernels use (`capability`) and that ours do (`isa`), and the number of CUDA devices. */
export function version(): { libtorch: string; capability: string; isa: Isa; cudaDevices: number } { return native().version(); }

/** From now on this process keeps freed memory for its next step instead of handing it back to the kernel (Linux only; large blocks). */
export function keepFreedMemory(): void { native().keepFreedMemory(); }

/**
 * Our own kernels (dense fields) use nothing better than `isa` from now on, as with the environment variable UNSHAKE_ISA; `auto` lifts that.
 * Returns what is used now: what the processor lacks is not.
 */
export function limitIsa(isa: Isa | 'auto'): Isa { return explained('limitIsa', ['isa'], [isa], () => native().limitIsa(isa)); }
