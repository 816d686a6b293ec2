/** Runs a network on the plain definitions of onnx-reference.ts, noting what ran as the op recorder of @unshake/libtorch does. */
import assert from 'node:assert/strict';
import type { Trace, TraceArg } from '@unshake/libtorch';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { buildOnnx } from '../src/onnx/build.js';
import { lowerTrace, type LoweredModel } from '../src/onnx/lower.js';
import { randomTensor, reference, type Tensor } from './onnx-reference.js';

/** A tensor with the number that the recorder gave it. */
export interface Recorded extends Tensor { id: number }
type Arg = Recorded | Recorded[] | number | number[] | boolean | string | null;

export type Network = (input: Recorded, recorder: Recorder) => Recorded;

const isTensor = (arg: Arg): arg is Recorded => typeof arg === 'object' && arg !== null && 'shape' in arg;
const isTensors = (arg: Arg): arg is Recorded[] => Array.isArray(arg) && typeof arg[0] === 'object';

export class Recorder {
  readonly trace: Trace = { inputs: [], outputs: [], nodes: [], values: new Map(), constants: new Map() };
  #next = 0;

  record(value: Tensor): Recorded {
    const id = this.#next++;
    this.trace.values.set(id, { shape: value.shape, dtype: 'float32' });
    return { ...value, id };
  }

  /** A parameter of random numbers: the same at every call with this name and shape. */
  parameter(name: string, shape: number[], low = -1, high = 1): Recorded {
    const value = this.record(randomTensor(shape, name, low, high));
    this.trace.constants.set(value.id, { name, shape, data: Float32Array.from(value.data) });
    return value;
  }

  all(op: string, args: Record<string, Arg>): Recorded[] {
    const outputs = [reference[op](args)].flat().map((value) => this.record(value));
    const traced = Object.entries(args).map(([name, arg]): [string, TraceArg] => {
      if (isTensor(arg)) return [name, { tensor: arg.id }];
      return [name, isTensors(arg) ? { tensors: arg.map(({ id }) => id) } : arg];
    });
    this.trace.nodes.push({ op, args: Object.fromEntries(traced), outputs: outputs.map(({ id }) => id) });
    return outputs;
  }

  op(op: string, args: Record<string, Arg>): Recorded {
    return this.all(op, args)[0];
  }
}

/** Runs the network on `input` and returns what it gave and what ran. */
export function record(network: Network, input: Tensor): { output: Recorded; trace: Trace } {
  const recorder = new Recorder(), traced = recorder.record(input), output = network(traced, recorder);
  return { output, trace: { ...recorder.trace, inputs: [traced.id], outputs: [output.id] } };
}

export async function runOnnx(model: LoweredModel, input: Tensor): Promise<Tensor> {
  const session = await InferenceSession.create(buildOnnx(model.graph), { intraOpNumThreads: 1 });
  const { output } = await session.run({ input: new OrtTensor('float32', Float32Array.from(input.data), input.shape) });
  await session.release();
  return { shape: [...output.dims], data: Float64Array.from(output.data as Float32Array) };
}

export function largestDifference(a: Tensor, b: Tensor): number {
  assert.deepEqual(a.shape, b.shape);
  return a.data.reduce((worst, value, k) => Math.max(worst, Number.isNaN(value) ? Infinity : Math.abs(value - b.data[k])), 0);
}

/**
 * Lowers the network as traced on one size and compares ONNX Runtime with the plain definitions on others, with fresh random numbers
 * in [low, high) and another batch.
 */
export async function checkNetwork(network: Network, options: { channels?: number; low?: number; high?: number; tolerance?: number; half?: boolean; multiple?: number } = {}): Promise<LoweredModel> {
  const { channels = 4, low = -2, high = 2, tolerance = 2e-6, half = false, multiple = 1 } = options;
  const model = lowerTrace(record(network, randomTensor([2, channels, 6 * multiple, 10 * multiple], 'traced', low, high)).trace, { half });
  for (const [batch, height, width] of [[2, 7, 5], [1, 13, 11], [3, 8, 9]]) {
    const input = randomTensor([batch, channels, height * multiple, width * multiple], `run ${batch}`, low, high);
    const expected = record(network, input).output, got = await runOnnx(model, input);
    const scale = Math.max(1, expected.data.reduce((a, b) => Math.max(a, Math.abs(b)), 0));
    const difference = largestDifference(got, expected) / scale;
    assert.ok(difference <= tolerance, `${input.shape.join('×')}: ${difference} > ${tolerance}`);
  }
  const read = new Set(model.graph.nodes.flatMap(({ inputs }) => inputs)), written = model.graph.nodes.flatMap(({ outputs }) => outputs);
  for (const name of [...model.graph.initializers.map((constant) => constant.name), ...written]) assert.ok(read.has(name) || name === 'output', `${name} is written and never read`);
  return model;
}
