/**
 * Inner loops over one memory of 32-bit floats: WebAssembly SIMD where the JavaScript engine has it, else plain TypeScript. Both agree to
 * rounding. The memory is kept between calls and reused; it grows to the largest picture seen.
 */

/** What we use of WebAssembly: neither Node's types nor the DOM's belong here. */
declare const WebAssembly: {
  Memory: new (limits: { initial: number }) => { readonly buffer: ArrayBuffer; grow(pages: number): number };
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { readonly exports: unknown };
};

export type KernelKind = 'simd' | 'plain';

interface Engine<Kernels> {
  readonly kind: KernelKind;
  readonly kernels: Kernels;
  /** The memory, with room for so many floats. */
  memory(floats: number): Float32Array;
}

/** Named places in the memory, counted in floats from the start of `memory`, and the loops that work on it. */
export interface Workspace<Name extends string, Kernels> { memory: Float32Array; at: Record<Name, number>; kernels: Kernels }

export interface InnerLoops<Kernels> {
  /** Uses these inner loops from now on in this thread: for measuring and tests. Without an argument: the best there is. */
  use(kind?: KernelKind): KernelKind;
  /** Places named arrays of the given numbers of floats, each with room for 16 more. The contents are undefined, and stand until the next call. */
  workspace<Name extends string>(sizes: Record<Name, number>): Workspace<Name, Kernels>;
}

/** The start of the memory stays free for the WebAssembly module's own data. */
const firstFloat = 1024;
const pageFloats = 65536 / 4;

/** The loops of a module that assembly/build.mjs has compiled, and of `plain`, which says the same over a given memory. */
export function innerLoops<Kernels>(wasmBase64: string, plain: (memory: Float32Array) => Kernels): InnerLoops<Kernels> {
  let engine: Engine<Kernels> | undefined;

  const simdEngine = (): Engine<Kernels> => {
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
  };

  const plainEngine = (): Engine<Kernels> => {
    let view = new Float32Array(pageFloats);
    let kernels = plain(view);
    return {
      kind: 'plain',
      get kernels() { return kernels; },
      memory(floats) {
        if (floats > view.length) {
          view = new Float32Array(floats);
          kernels = plain(view);
        }
        return view;
      },
    };
  };

  const bestEngine = (): Engine<Kernels> => {
    try {
      return simdEngine();
    } catch {
      return plainEngine(); // no WebAssembly, no SIMD, or a content security policy that forbids compiling it
    }
  };

  return {
    use(kind) {
      engine = kind === 'plain' ? plainEngine() : kind === 'simd' ? simdEngine() : bestEngine();
      return engine.kind;
    },
    workspace<Name extends string>(sizes: Record<Name, number>) {
      engine ??= bestEngine();
      let end = firstFloat;
      const at = Object.fromEntries(Object.entries<number>(sizes).map(([name, size]) => {
        const position = end;
        end += (Math.ceil(size / 16) + 1) * 16;
        return [name, position];
      })) as Record<Name, number>;
      const memory = engine.memory(end);
      return { memory, at, kernels: engine.kernels };
    },
  };
}
