/** The Tensor: one handle on a libtorch tensor, released by its scope. Ops are functions (see generated.ts), as in torch.nn.functional. */
import { explained } from './dispatch.js';
import { native, type NativeHandle } from './native.js';
import { inScope, leaveScope } from './scope.js';

export type DType = 'float32' | 'float64' | 'bfloat16' | 'float16' | 'uint8' | 'int32' | 'int64' | 'bool';
export type Device = 'cpu' | 'cuda' | `cuda:${number}`;
export type TypedData = Float32Array | Float64Array | Uint8Array | Int32Array | BigInt64Array;

/** A tensor was used after its scope, or its owner, had released it. */
export class TensorReleasedError extends Error {
  override name = 'TensorReleasedError';
}

let nextId = 1;

export class Tensor {
  /** Different for every tensor made in this thread: the recorder's name for it. */
  readonly id = nextId++;
  #handle: NativeHandle | null;
  #shape: readonly number[] | null = null;

  /** Takes the handle over and enters the running scope. Use `tensor(data, shape)` to make one. */
  constructor(handle: NativeHandle) {
    this.#handle = handle;
    inScope(this);
  }

  /** What native calls take. Throws TensorReleasedError after release. */
  get handle(): NativeHandle {
    if (this.#handle === null) {
      throw new TensorReleasedError(`tensor ${this.#shape ? `[${this.#shape.join(',')}] ` : ''}was used after it was released; return it from its scope, or keep() it`);
    }
    return this.#handle;
  }

  get shape(): readonly number[] { return (this.#shape ??= native().sizes(this.handle)); }
  get dtype(): DType { return native().describe(this.handle).dtype; }
  get device(): Device { return native().describe(this.handle).device; }
  get requiresGrad(): boolean { return native().describe(this.handle).requiresGrad; }
  /** Whether a 4-D tensor lies in memory as N, H, W, C. */
  get isChannelsLast(): boolean { return native().describe(this.handle).channelsLast; }
  get numel(): number { return this.shape.reduce((product, size) => product * size, 1); }
  get released(): boolean { return this.#handle === null; }

  /** Marks a leaf whose gradient backward() shall accumulate. */
  setRequiresGrad(requires: boolean): this {
    explained('setRequiresGrad', ['tensor'], [this], () => native().setRequiresGrad(this.handle, requires));
    return this;
  }

  /** The accumulated gradient, or null. A new handle each time, owned by the running scope. */
  get grad(): Tensor | null {
    const handle = native().grad(this.handle);
    return handle && new Tensor(handle);
  }

  set grad(gradient: Tensor | null) { explained('grad', ['tensor', 'gradient'], [this, gradient], () => native().setGrad(this.handle, gradient && gradient.handle)); }

  /** The single element as a number. Waits for the device. */
  item(): number { return explained('item', ['tensor'], [this], () => native().item(this.handle)); }

  /** A row-major copy of the elements; bfloat16 and float16 come as Float32Array, bool as Uint8Array. Waits for the device. */
  toArray(): TypedData {
    const { dtype } = this, buffer = native().toBytes(this.handle, false);
    switch (dtype) {
      case 'float64': return new Float64Array(buffer);
      case 'uint8': case 'bool': return new Uint8Array(buffer);
      case 'int32': return new Int32Array(buffer);
      case 'int64': return new BigInt64Array(buffer);
      default: return new Float32Array(buffer);
    }
  }

  /** The elements as they lie in row-major memory, in the tensor's own dtype. */
  toBytes(): Uint8Array { return new Uint8Array(native().toBytes(this.handle, true)); }

  /** Frees the handle now. The memory goes when no view and no graph needs it. */
  release(): void {
    if (this.#handle === null) return;
    this.#shape ??= native().sizes(this.#handle);
    native().release(this.#handle);
    this.#handle = null;
    leaveScope(this);
  }

  [Symbol.dispose](): void { this.release(); }
  toString(): string { return this.released ? 'Tensor(released)' : `Tensor([${this.shape.join(',')}] ${this.dtype} ${this.device})`; }
}

function dtypeOf(data: TypedData): DType {
  if (data instanceof Float32Array) return 'float32';
  if (data instanceof Float64Array) return 'float64';
  if (data instanceof Uint8Array) return 'uint8';
  if (data instanceof Int32Array) return 'int32';
  if (data instanceof BigInt64Array) return 'int64';
  throw new TypeError('tensor: expected a Float32Array, Float64Array, Uint8Array, Int32Array, BigInt64Array or an array of numbers');
}

/** A CPU tensor with a copy of `data`, row-major in `shape`; the dtype is the array's. Throws RangeError when the lengths differ. */
export function tensor(data: TypedData | readonly number[], shape: readonly number[] = [data.length]): Tensor {
  const typed: TypedData = Array.isArray(data) ? Float32Array.from(data) : data as TypedData;
  const needed = shape.reduce((product, size) => product * size, 1);
  if (typed.length !== needed) throw new RangeError(`tensor: the shape [${shape.join(',')}] needs ${needed} elements, received ${typed.length}`);
  const dtype = dtypeOf(typed);
  return explained('tensor', ['shape'], [shape], () => new Tensor(native().fromBytes(typed, shape, dtype)));
}

/** A CPU tensor from raw bytes of `dtype`, row-major (for file formats). */
export function tensorFromBytes(bytes: Uint8Array, shape: readonly number[], dtype: DType): Tensor {
  return explained('tensorFromBytes', ['shape', 'dtype'], [shape, dtype], () => new Tensor(native().fromBytes(bytes, shape, dtype)));
}

/** Handles alive in this thread, and the bytes behind them in this process (shared storage counted once). */
export function memory(): { tensors: number; bytes: number } { return native().memory(); }
