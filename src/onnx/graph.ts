/** What lowering works with: the values of a trace under their ONNX names, and the nodes and constants written so far. */
import type { Trace, TraceArg, TraceNode } from '@unshake/libtorch';
import { ModelError } from '../errors.js';
import type { OnnxAttribute, OnnxNode, OnnxTensor } from './build.js';
import { maxFloat16, toFloat16 } from './float16.js';

/** The result of a lowered op: its name in the graph, and which of its dimensions depend on the size of the input. */
export interface Lowered { name: string; free: readonly boolean[] }

/** A tensor of the trace: also the shape that it had while recording, of which only the dimensions that aren't free may be used. */
export interface Value extends Lowered { shape: readonly number[] }

export class GraphWriter {
  readonly nodes: OnnxNode[] = [];
  readonly initializers: OnnxTensor[] = [];
  /** True once an op was written that makes every output pixel depend on the whole image: such a graph can't work on tiles. */
  mixesWholeImage = false;
  readonly #trace: Trace;
  readonly #half: boolean;
  readonly #values = new Map<number, Value>();
  readonly #names = new Set<string>(['input', 'output']);
  readonly #shared = new Map<string, string>();

  constructor(trace: Trace, half: boolean) {
    this.#trace = trace;
    this.#half = half;
  }

  /** Makes a tensor of the trace known under a name of the graph. */
  define(id: number, { name, free }: Lowered): void {
    this.#values.set(id, { name, free, shape: this.shapeOf(id) });
  }

  shapeOf(id: number): readonly number[] {
    const shape = this.#trace.constants.get(id)?.shape ?? this.#trace.values.get(id)?.shape;
    if (!shape) throw new ModelError(`the trace has no shape of tensor ${id}`);
    return shape;
  }

  /** A tensor of the trace; a constant is written when it is first asked for. Undefined for one that was made outside of it. */
  value(id: number): Value | undefined {
    const known = this.#values.get(id);
    if (known || !this.#trace.constants.has(id)) return known;
    const shape = this.shapeOf(id);
    return { name: this.constant(id, shape)!, shape, free: shape.map(() => false) };
  }

  /**
   * The name of a parameter or buffer written with these dimensions (and `data` in place of its own, row-major, as many numbers);
   * undefined when `id` is not one.
   */
  constant(id: number, dims: readonly number[], data?: Float32Array): string | undefined {
    const constant = this.#trace.constants.get(id);
    if (!constant) return undefined;
    const key = `${id} ${dims.join('x')} ${data === undefined}`;
    const known = this.#shared.get(key);
    if (known !== undefined) return known;
    const name = this.#half ? this.#halfConstant(constant.name, dims, data ?? constant.data) : this.#unique(constant.name);
    if (!this.#half) this.initializers.push({ name, type: 'float32', dims: [...dims], data: data ?? constant.data });
    this.#shared.set(key, name);
    return name;
  }

  /** The numbers of a parameter or buffer; undefined when `id` is not one. */
  constantData(id: number): Float32Array | undefined {
    return this.#trace.constants.get(id)?.data;
  }

  /** Small float32 numbers that an operator needs; the same ones are written once. */
  floats(data: number[], dims: number[] = []): string {
    return this.#sharedTensor(`float ${dims.join('x')} ${data.join(' ')}`, (name) => ({ name, type: 'float32', dims, data: Float32Array.from(data) }));
  }

  /** A list of whole numbers, as shapes and axes are given; the same ones are written once. */
  ints(data: number[]): string {
    return this.#sharedTensor(`int ${data.join(' ')}`, (name) => ({ name, type: 'int64', dims: [data.length], data }));
  }

  /** Writes a node with one output and returns the output's name. */
  emit(op: string, inputs: string[], attributes?: Record<string, OnnxAttribute>): string {
    return this.emitAll(op, inputs, 1, attributes)[0];
  }

  /** Writes a node with several outputs. */
  emitAll(op: string, inputs: string[], count: number, attributes?: Record<string, OnnxAttribute>): string[] {
    const outputs = Array.from({ length: count }, () => this.#unique(`${op.toLowerCase()}_${this.nodes.length}`));
    this.nodes.push({ op, inputs, outputs, attributes });
    return outputs;
  }

  /** A constant kept in half precision, with a Cast that ONNX Runtime does once, on loading. */
  #halfConstant(wanted: string, dims: readonly number[], data: Float32Array): string {
    const worst = data.find((value) => !(Math.abs(value) <= maxFloat16));
    if (worst !== undefined) throw new ModelError(`${wanted} holds ${worst}, past half precision's ${maxFloat16}; export without --half`);
    const name = this.#unique(wanted);
    this.initializers.push({ name, type: 'float16', dims: [...dims], data: Uint16Array.from(data, toFloat16) });
    return this.emit('Cast', [name], { to: { int: 1 } });
  }

  #sharedTensor(key: string, make: (name: string) => OnnxTensor): string {
    const known = this.#shared.get(key);
    if (known !== undefined) return known;
    const name = this.#unique(`constant_${this.initializers.length}`);
    this.initializers.push(make(name));
    this.#shared.set(key, name);
    return name;
  }

  #unique(wanted: string): string {
    let name = wanted;
    for (let n = 2; this.#names.has(name); n++) name = `${wanted}_${n}`;
    this.#names.add(name);
    return name;
  }
}

/** The arguments of one op of the trace, checked while they are read. */
export class Call {
  readonly op: string;
  readonly outputs: readonly number[];
  readonly #args: Record<string, TraceArg>;
  readonly #graph: GraphWriter;

  constructor(node: TraceNode, graph: GraphWriter) {
    this.op = node.op;
    this.outputs = node.outputs;
    this.#args = node.args;
    this.#graph = graph;
  }

  /** An error that names this op. */
  error(problem: string): ModelError {
    return new ModelError(`${this.op} can't be written as ONNX: ${problem}`);
  }

  /** The number that the recorder gave a tensor, without having a constant written; undefined when the argument is null or absent. */
  id(name: string): number | undefined {
    const arg = this.#args[name];
    if (arg === undefined || arg === null) return undefined;
    if (typeof arg === 'object' && 'tensor' in arg) return arg.tensor;
    throw this.error(`its ${name} is not a tensor`);
  }

  requiredId(name: string): number {
    const id = this.id(name);
    if (id === undefined) throw this.error(`it has no ${name}`);
    return id;
  }

  tensor(name = 'input'): Value { return this.#valueOf(this.requiredId(name), name); }

  optionalTensor(name: string): Value | undefined {
    const id = this.id(name);
    return id === undefined ? undefined : this.#valueOf(id, name);
  }

  tensors(name: string): Value[] {
    const arg = this.#args[name];
    if (typeof arg !== 'object' || arg === null || !('tensors' in arg)) throw this.error(`its ${name} is not a list of tensors`);
    return arg.tensors.map((id) => this.#valueOf(id, name));
  }

  number(name: string, absent?: number): number {
    const arg = this.#args[name] ?? absent;
    if (typeof arg !== 'number') throw this.error(`its ${name} is ${JSON.stringify(arg)}, not a number`);
    return arg;
  }

  optionalNumber(name: string): number | undefined {
    return this.#args[name] === undefined || this.#args[name] === null ? undefined : this.number(name);
  }

  /** A list of numbers; one number stands for `count` equal ones. */
  numbers(name: string, count?: number, absent?: number): number[] {
    const arg: unknown = this.#args[name] ?? absent;
    const list: unknown = typeof arg === 'number' && count !== undefined ? new Array<number>(count).fill(arg) : arg;
    if (!Array.isArray(list) || (count !== undefined && list.length !== count)) {
      throw this.error(`its ${name} is ${JSON.stringify(arg)}, not ${count ?? 'a list of'} numbers`);
    }
    return list as number[];
  }

  flag(name: string, absent = false): boolean {
    const arg = this.#args[name] ?? absent;
    if (typeof arg !== 'boolean') throw this.error(`its ${name} is ${JSON.stringify(arg)}, not true or false`);
    return arg;
  }

  /** A dimension counted from the front: −1 is the last of `rank`. */
  dim(name: string, rank: number): number {
    const dim = this.number(name);
    return dim < 0 ? dim + rank : dim;
  }

  #valueOf(id: number, name: string): Value {
    const value = this.#graph.value(id);
    if (!value) throw this.error(`its ${name} was made outside of the traced function from something that is neither the input nor a parameter`);
    return value;
  }
}

export type Lowering = (call: Call, graph: GraphWriter) => Lowered | Lowered[];
