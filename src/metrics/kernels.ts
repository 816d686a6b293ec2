/**
 * Chooses the metrics' inner loops: WebAssembly SIMD (assembly/metrics.ts) where the JavaScript engine has it, else plain
 * TypeScript. Both work in 32-bit floats and agree to rounding. The memory is kept between calls and reused; it grows to the
 * largest picture seen.
 */
import { plainKernels, type Kernels } from './kernels-plain.js';
import { wasmBase64 } from './kernels-wasm.js';

/** What we use of WebAssembly: neither Node's types nor the DOM's belong to this folder. */
declare const WebAssembly: {
  Memory: new (limits: { initial: number }) => { readonly buffer: ArrayBuffer; grow(pages: number): number };
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { readonly exports: unknown };
};

export type KernelKind = 'simd' | 'plain';

interface Engine {
  readonly kind: KernelKind;
  readonly kernels: Kernels;
  /** The memory, with room for so many floats. */
  memory(floats: number): Float32Array;
}

/** The start of the memory stays free for the WebAssembly module's own data. */
const firstFloat = 1024;
const pageFloats = 65536 / 4;

let engine: Engine | undefined;

/** Uses these inner loops from now on in this thread: for measuring and tests. Without an argument: the best there is. */
export function useKernels(kind?: KernelKind): KernelKind {
  engine = kind === 'plain' ? plainEngine() : kind === 'simd' ? simdEngine() : bestEngine();
  return engine.kind;
}

/**
 * Places named arrays of the given numbers of floats in the memory, each with room for 16 more. The contents are undefined, and
 * stand until the next call. Positions count from the start of `memory`.
 */
export function workspace<Name extends string>(sizes: Record<Name, number>): { memory: Float32Array; at: Record<Name, number>; kernels: Kernels } {
  engine ??= bestEngine();
  let end = firstFloat;
  const at = Object.fromEntries(Object.entries<number>(sizes).map(([name, size]) => {
    const position = end;
    end += (Math.ceil(size / 16) + 1) * 16;
    return [name, position];
  })) as Record<Name, number>;
  const memory = engine.memory(end);
  return { memory, at, kernels: engine.kernels };
}

function bestEngine(): Engine {
  try {
    return simdEngine();
  } catch {
    return plainEngine(); // no WebAssembly, no SIMD, or a content security policy that forbids compiling it
  }
}

function simdEngine(): Engine {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const bytes = Uint8Array.from(atob(wasmBase64), (character) => character.charCodeAt(0));
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } });
  let view = new Float32Array(memory.buffer);
  return {
    kind: 'simd',
    kernels: exports as Kernels,
    memory(floats) {
      if (floats > view.length) {
        memory.grow(Math.ceil((floats - view.length) / pageFloats));
        view = new Float32Array(memory.buffer); // growing detaches the old one
      }
      return view;
    },
  };
}

function plainEngine(): Engine {
  let view = new Float32Array(pageFloats);
  let kernels = plainKernels(view);
  return {
    kind: 'plain',
    get kernels() { return kernels; },
    memory(floats) {
      if (floats > view.length) {
        view = new Float32Array(floats);
        kernels = plainKernels(view);
      }
      return view;
    },
  };
}
