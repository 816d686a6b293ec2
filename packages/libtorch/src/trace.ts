/** The op recorder: what ran between inputs and outputs, for exporters. */
import type { OpArg, OpSpec } from './dispatch.js';
import { scope } from './scope.js';
import { Tensor, type DType } from './tensor.js';

export type TraceArg = { tensor: number } | { tensors: number[] } | readonly number[] | number | boolean | string | null;
export interface TraceNode { op: string; args: Record<string, TraceArg>; outputs: number[] }

export interface Trace {
  /** Values are named by number. */
  inputs: number[];
  outputs: number[];
  /** In the order they ran. */
  nodes: TraceNode[];
  /** Shape and dtype of every value, as met while recording. */
  values: Map<number, { shape: readonly number[]; dtype: DType }>;
  /** Tensors that existed before: parameters and buffers, by the names given to trace(). */
  constants: Map<number, { name: string; shape: readonly number[]; data: Float32Array }>;
}

class Recorder {
  readonly trace: Trace = { inputs: [], outputs: [], nodes: [], values: new Map(), constants: new Map() };
  // Tensors are held, so that no id can be met that was never recorded.
  readonly #known = new Set<Tensor>();
  readonly #names: Map<Tensor, string>;

  constructor(inputs: readonly Tensor[], names: Map<Tensor, string>) {
    this.#names = names;
    for (const input of inputs) this.trace.inputs.push(this.#define(input));
  }

  #define(tensor: Tensor): number {
    this.#known.add(tensor);
    this.trace.values.set(tensor.id, { shape: tensor.shape, dtype: tensor.dtype });
    return tensor.id;
  }

  #use(tensor: Tensor): number {
    if (this.#known.has(tensor)) return tensor.id;
    this.#define(tensor);
    const data = tensor.toArray();
    this.trace.constants.set(tensor.id, {
      name: this.#names.get(tensor) ?? `constant_${tensor.id}`, shape: tensor.shape, data: data instanceof Float32Array ? data : Float32Array.from(data as Float64Array, Number),
    });
    return tensor.id;
  }

  record(spec: OpSpec, args: readonly OpArg[], outputs: readonly Tensor[]): void {
    const recorded: Record<string, TraceArg> = {};
    args.forEach((arg, i) => {
      recorded[spec.args[i]] = arg instanceof Tensor ? { tensor: this.#use(arg) }
        : Array.isArray(arg) && arg[0] instanceof Tensor ? { tensors: (arg as Tensor[]).map((tensor) => this.#use(tensor)) } : arg as TraceArg;
    });
    this.trace.nodes.push({ op: spec.name, args: recorded, outputs: outputs.map((tensor) => this.#define(tensor)) });
  }

  refuse(op: string): void { throw new Error(`trace: ${op} changes a tensor in place and can't be recorded; run the network in eval mode`); }

  finish(outputs: readonly Tensor[]): Trace {
    this.trace.outputs = outputs.map((tensor) => this.#use(tensor));
    return this.trace;
  }
}

/** The recorder of this thread while trace() runs. */
export const recorder: { current: Recorder | null } = { current: null };

/** Runs `fn` on `inputs` and returns what ran. `names` gives parameters and buffers their names. Call it under noGrad, in eval mode. */
export function trace(fn: (...inputs: Tensor[]) => Tensor | Tensor[], inputs: readonly Tensor[], names: Map<Tensor, string> = new Map()): Trace {
  if (recorder.current) throw new Error('trace: already recording');
  return scope(() => {
    const own = new Recorder(inputs, names);
    recorder.current = own;
    try {
      return own.finish([fn(...inputs)].flat());
    } finally {
      recorder.current = null;
    }
  });
}
