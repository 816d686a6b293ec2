/**
 * Data parallel: processes that average their gradients, through libtorch's c10d (Gloo on CPUs, NCCL on GPUs).
 *
 * Every rank must make the same calls in the same order; each blocks until the others have made theirs. A rank that is lost breaks
 * the others' calls: at once when its process ends, after some 20 s when its machine vanishes.
 */
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { explained } from './dispatch.js';
import { LibtorchMissingError, native, type GroupBackend, type NativeGroup } from './native.js';
import { scope } from './scope.js';
import { tensor, type Device, type Tensor } from './tensor.js';

export type { GroupBackend };

/** The processes of a group could not find each other, or one of them is gone. */
export class GroupError extends Error {
  override name = 'GroupError';
}

/** What this build can form groups with; empty where libgloo's headers were missing when the addon was built. */
export function groupBackends(): GroupBackend[] { return native().groupBackends(); }

export interface GroupOptions {
  /** This process, counted from 0, of `size`. */
  rank: number;
  size: number;
  /** Where the group's store listens. */
  host?: string;
  /** Its port; 0 lets the process that runs the store choose a free one (see onPort). */
  port?: number;
  /** Whether this process runs the store; one of the group, or a launcher, must. */
  server?: boolean;
  /** Told the store's port before the others are waited for. */
  onPort?: (port: number) => void;
  backend?: GroupBackend;
  /** The GPU that NCCL works on. */
  device?: Device;
  /** Names the group in a store that serves several. */
  prefix?: string;
  /** How long the others may take to come. */
  joinSeconds?: number;
  signal?: AbortSignal;
}

/** Gradients travel in pieces of about this size, one being copied while the next is on its way. */
const bucketBytes = 4 * 2 ** 20;

export class ProcessGroup {
  readonly rank: number;
  readonly size: number;
  readonly #handle: NativeGroup;

  /** Use joinGroup(). */
  constructor(handle: NativeGroup, { rank, size }: { rank: number; size: number }) {
    this.#handle = handle;
    this.rank = rank;
    this.size = size;
  }

  /** Replaces each parameter's gradient by its mean over the ranks. All ranks must have gradients for the same parameters. */
  averageGradients(parameters: readonly Tensor[]): void {
    this.#collective('averaging gradients', () => native().groupAverageGradients(this.#handle, parameters.map(({ handle }) => handle), this.size, bucketBytes));
  }

  /** Rank 0's values, in every rank's tensors. Shapes and dtypes must agree. */
  broadcast(tensors: readonly Tensor[]): void {
    this.#collective('sharing tensors', () => native().groupBroadcast(this.#handle, tensors.map(({ handle }) => handle), bucketBytes));
  }

  /** Rank 0's numbers, on every rank. */
  share(values: readonly number[]): number[] {
    return scope(() => {
      const shared = tensor(Float64Array.from(values));
      this.broadcast([shared]);
      return [...shared.toArray() as Float64Array];
    });
  }

  /** Element by element, the sum of what the ranks give; in double precision. */
  sum(values: readonly number[]): number[] {
    return scope(() => {
      const total = tensor(Float64Array.from(values));
      this.#collective('adding up', () => native().groupSum(this.#handle, [total.handle], bucketBytes));
      return [...total.toArray() as Float64Array];
    });
  }

  /** Returns when all ranks have come here. */
  barrier(): void { this.sum([0]); }

  /** Throws GroupError when a rank is known to be gone. For long work between collectives. */
  check(): void { this.#collective('training', () => native().groupCheck(this.#handle)); }

  /** Leaves the group. The others' next calls fail, so let them come to a barrier before. */
  close(): void { native().groupClose(this.#handle); }

  #collective(what: string, body: () => void): void {
    try {
      explained(what, [], [], body);
    } catch (error) {
      throw new GroupError(`rank ${this.rank} of ${this.size} lost the others while ${(error as Error).message.replace(/ — $/, '')}`, { cause: error });
    }
  }
}

/**
 * Waits for all ranks and connects them. Throws LibtorchMissingError when the addon was built without the backend, GroupError when not
 * all came in time, the signal's reason when it fires.
 */
export async function joinGroup({ rank, size, host = '127.0.0.1', port = 0, server = rank === 0, onPort, backend = 'gloo', device = 'cpu', prefix = 'unshake', joinSeconds = 300, signal }: GroupOptions): Promise<ProcessGroup> {
  if (!groupBackends().includes(backend)) {
    throw new LibtorchMissingError(backend === 'gloo'
      ? 'several processes need Gloo, and the addon was built without: apt-get install libgloo-dev (Debian), or other Gloo headers in CPLUS_INCLUDE_PATH; then npm run build'
      : 'several GPUs need NCCL, and the addon was built without: set CUDA_HOME to a CUDA toolkit with nccl.h, then npm run build');
  }
  const deadline = performance.now() + joinSeconds * 1000;
  const inTime = (problem: () => string): void => {
    signal?.throwIfAborted();
    if (performance.now() > deadline) throw new GroupError(`${problem()} within ${joinSeconds} s`);
  };
  while (!server && !(await listens(host, port))) {
    inTime(() => `rank ${rank} of ${size}: nothing answered at ${host}:${port}, where rank 0 was to listen,`);
    await sleep(200);
  }
  const handle = joining(rank, host, port, () => native().groupOpen(backend, device, host, port, rank, size, server, prefix, process.env.GLOO_SOCKET_IFNAME?.split(',')[0] ?? ''));
  try {
    if (server) onPort?.(native().groupPort(handle));
    for (let come = native().groupJoined(handle); come !== size; come = native().groupJoined(handle)) {
      if (come > size) throw new GroupError(`${come} processes came to ${host}:${port}, where ${size} were expected: is another run using it? Try another MASTER_PORT`);
      inTime(() => `rank ${rank}: only ${come} of ${size} processes came to ${host}:${port}`);
      await sleep(20);
    }
    joining(rank, host, port, () => native().groupConnect(handle));
    return new ProcessGroup(handle, { rank, size });
  } catch (error) {
    native().groupClose(handle);
    throw error;
  }
}

function joining<T>(rank: number, host: string, port: number, body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw new GroupError(`rank ${rank} could not join the others at ${host}:${port}: ${(error as Error).message.split('\n')[0]}`, { cause: error });
  }
}

/** Whether something accepts connections there: c10d itself would wait without hearing the signal. */
function listens(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 2000 });
    const end = (answer: boolean): void => { socket.destroy(); resolve(answer); };
    socket.once('connect', () => end(true)).once('error', () => end(false)).once('timeout', () => end(false));
  });
}
