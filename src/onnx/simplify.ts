/** Rewrites of a trace that change no result: the graph gets smaller before it is lowered. */
import type { Trace, TraceArg, TraceNode } from '@unshake/libtorch';
import { ModelError } from '../errors.js';

/** Trace → trace without identities, with batch norms folded into the convolutions before them, without ops nobody reads. */
export function simplify(trace: Trace): Trace {
  return withoutDeadNodes(foldBatchNorms(withoutIdentities(trace)));
}

const identities = new Set(['contiguous', 'channelsLast', 'clone', 'detach', 'to']);

function isIdentity({ op, args }: TraceNode): boolean {
  if (op === 'dropout' && args.training === true) throw new ModelError("dropout can't be written as ONNX: it was traced while training; trace in eval mode");
  return identities.has(op) || op === 'dropout' || (op === 'toDtype' && args.dtype === 'float32');
}

function withoutIdentities(trace: Trace): Trace {
  const same = new Map<number, number>();
  const nodes: TraceNode[] = [];
  for (const node of trace.nodes) {
    const args = mapTensors(node.args, (id) => same.get(id) ?? id);
    const { input } = args;
    if (isIdentity(node) && isTensor(input)) same.set(node.outputs[0], input.tensor);
    else nodes.push({ ...node, args });
  }
  return { ...trace, nodes, outputs: trace.outputs.map((id) => same.get(id) ?? id) };
}

function withoutDeadNodes(trace: Trace): Trace {
  const needed = new Set(trace.outputs);
  const nodes = trace.nodes.toReversed().filter((node) => {
    if (!node.outputs.some((id) => needed.has(id))) return false;
    for (const id of tensorsOf(node.args)) needed.add(id);
    return true;
  });
  return { ...trace, nodes: nodes.toReversed() };
}

/**
 * conv → batch norm with running statistics → one conv:  γ·(w∗x + b − μ)/σ + β = (γ/σ·w)∗x + (γ/σ·(b − μ) + β),  in float64.
 * Only where nobody else reads the convolution's result.
 */
function foldBatchNorms(trace: Trace): Trace {
  const constants = new Map(trace.constants);
  const nodes: TraceNode[] = [];
  const readers = countReaders(trace);
  const convolutions = new Map<number, number>(); // output → index in `nodes`
  let nextId = Math.max(-1, ...trace.values.keys(), ...trace.constants.keys(), ...trace.nodes.flatMap((node) => node.outputs)) + 1;
  const addConstant = (name: string, shape: readonly number[], data: Float32Array): TraceArg => {
    constants.set(nextId, { name, shape, data });
    return { tensor: nextId++ };
  };

  for (const node of trace.nodes) {
    const source = isTensor(node.args.input) ? node.args.input.tensor : undefined;
    const at = node.op === 'batchNorm' && source !== undefined && readers.get(source) === 1 ? convolutions.get(source) : undefined;
    const conv = at === undefined ? undefined : nodes[at];
    const weight = conv && constantOf(trace, conv.args.weight);
    const bias = conv && constantOf(trace, conv.args.bias);
    const norm = batchNormConstants(trace, node);
    if (at === undefined || !conv || !weight || !norm || (conv.args.bias && !bias)) {
      if (node.op === 'conv2d' || node.op === 'convTranspose2d') convolutions.set(node.outputs[0], nodes.length);
      nodes.push(node);
      continue;
    }
    const channels = norm.mean.length, transposed = conv.op === 'convTranspose2d';
    const groups = typeof conv.args.groups === 'number' ? conv.args.groups : 1;
    const scale = Float64Array.from(norm.mean, (_, c) => (norm.gamma?.[c] ?? 1) / Math.sqrt(norm.variance[c] + norm.eps));
    const folded = Float32Array.from(weight.data, (value, index) => value * scale[outputChannel(index, weight.shape, groups, transposed)]);
    const shift = Float32Array.from(norm.mean, (mean, c) => scale[c] * ((bias?.data[c] ?? 0) - mean) + (norm.beta?.[c] ?? 0));
    const biasName = bias?.name ?? (weight.name.endsWith('weight') ? weight.name.replace(/weight$/, 'bias') : `${weight.name}.bias`);
    nodes[at] = {
      op: conv.op,
      args: { ...conv.args, weight: addConstant(weight.name, weight.shape, folded), bias: addConstant(biasName, [channels], shift) },
      outputs: node.outputs,
    };
  }
  return { ...trace, nodes, constants };
}

/** Which output channel a number of a convolution's weight belongs to: O, I/groups, kH, kW, or transposed I, O/groups, kH, kW. */
function outputChannel(index: number, [first, second, height, width]: readonly number[], groups: number, transposed: boolean): number {
  const plane = Math.floor(index / (height * width)), outer = Math.floor(plane / second);
  return transposed ? Math.floor(outer / (first / groups)) * second + (plane % second) : outer;
}

interface NormConstants { gamma?: Float32Array; beta?: Float32Array; mean: Float32Array; variance: Float32Array; eps: number }

function batchNormConstants(trace: Trace, { op, args }: TraceNode): NormConstants | undefined {
  const mean = constantOf(trace, args.runningMean)?.data, variance = constantOf(trace, args.runningVar)?.data;
  const gamma = constantOf(trace, args.weight)?.data, beta = constantOf(trace, args.bias)?.data;
  const known = mean && variance && (!args.weight || gamma) && (!args.bias || beta) && args.training !== true;
  return op === 'batchNorm' && known ? { gamma, beta, mean, variance, eps: typeof args.eps === 'number' ? args.eps : 1e-5 } : undefined;
}

function countReaders(trace: Trace): Map<number, number> {
  const readers = new Map<number, number>();
  for (const id of [...trace.nodes.flatMap((node) => tensorsOf(node.args)), ...trace.outputs]) readers.set(id, (readers.get(id) ?? 0) + 1);
  return readers;
}

function isTensor(arg: TraceArg | undefined): arg is { tensor: number } {
  return typeof arg === 'object' && arg !== null && 'tensor' in arg;
}

function constantOf(trace: Trace, arg: TraceArg | undefined): { name: string; shape: readonly number[]; data: Float32Array } | undefined {
  return isTensor(arg) ? trace.constants.get(arg.tensor) : undefined;
}

function tensorsOf(args: Record<string, TraceArg>): number[] {
  return Object.values(args).flatMap((arg) => {
    if (isTensor(arg)) return [arg.tensor];
    return typeof arg === 'object' && arg !== null && 'tensors' in arg ? arg.tensors : [];
  });
}

function mapTensors(args: Record<string, TraceArg>, rename: (id: number) => number): Record<string, TraceArg> {
  return Object.fromEntries(Object.entries(args).map(([name, arg]) => {
    if (isTensor(arg)) return [name, { tensor: rename(arg.tensor) }];
    if (typeof arg === 'object' && arg !== null && 'tensors' in arg) return [name, { tensors: arg.tensors.map(rename) }];
    return [name, arg];
  }));
}
