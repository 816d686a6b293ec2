/**
 * Lowering of ops that move numbers about or sum them up. Here a network can freeze the size that it was traced at: a literal height
 * in a reshape, a crop to so many rows. That is found and refused.
 */
import type { Call, GraphWriter, Lowered, Lowering } from './graph.js';
import { broadcast } from './ops-elementwise.js';

export const shape: Record<string, Lowering> = { cat, narrow, chunk, flip, permute, reshape, matmul, linear, mean: reduce('ReduceMean'), sum: reduce('ReduceSum') };

function cat(call: Call, graph: GraphWriter): Lowered {
  const tensors = call.tensors('tensors'), dim = call.dim('dim', tensors[0].shape.length);
  const [first, ...others] = tensors.map(({ shape, free }) => ({ shape: shape.map((size, i) => (i === dim ? 1 : size)), free: free.map((f, i) => f && i !== dim) }));
  for (const other of others) broadcast(call, first, other);
  return {
    name: graph.emit('Concat', tensors.map(({ name }) => name), { axis: { int: dim } }),
    free: first.free.map((_, index) => tensors.some(({ free }) => free[index])),
  };
}

function narrow(call: Call, graph: GraphWriter): Lowered {
  const { name, shape, free } = call.tensor(), dim = call.dim('dim', shape.length);
  const start = call.number('start'), length = call.number('length'), first = start < 0 ? start + shape[dim] : start;
  if (free[dim]) throw call.error(`it takes ${length} of dimension ${dim}, which follows the image's size; the graph must work at any size`);
  return { name: graph.emit('Slice', [name, graph.ints([first]), graph.ints([first + length]), graph.ints([dim])]), free };
}

function chunk(call: Call, graph: GraphWriter): Lowered[] {
  const { name, shape, free } = call.tensor(), dim = call.dim('dim', shape.length);
  if (free[dim]) throw call.error(`it cuts dimension ${dim}, which follows the image's size; the graph must work at any size`);
  const sizes = call.outputs.map((id) => graph.shapeOf(id)[dim]);
  return graph.emitAll('Split', [name, graph.ints(sizes)], sizes.length, { axis: { int: dim } }).map((part) => ({ name: part, free }));
}

/** From the last to before the first, whatever the size. */
function flip(call: Call, graph: GraphWriter): Lowered {
  const { name, shape, free } = call.tensor();
  const dims = call.numbers('dims').map((dim) => (dim < 0 ? dim + shape.length : dim));
  const all = (value: number): string => graph.ints(dims.map(() => value));
  if (dims.some((dim) => free[dim])) graph.mixesWholeImage = true;
  return { name: graph.emit('Slice', [name, all(-1), all(-(2 ** 31)), graph.ints(dims), all(-1)]), free };
}

function permute(call: Call, graph: GraphWriter): Lowered {
  const { name, shape, free } = call.tensor();
  const dims = call.numbers('dims', shape.length).map((dim) => (dim < 0 ? dim + shape.length : dim));
  return { name: graph.emit('Transpose', [name], { perm: { ints: dims } }), free: dims.map((dim) => free[dim]) };
}

function matmul(call: Call, graph: GraphWriter): Lowered {
  const a = call.tensor(), b = call.tensor('other');
  if (a.shape.length < 2 || b.shape.length < 2) throw call.error(`it multiplies ${a.shape.length} by ${b.shape.length} dimensions, not matrices`);
  const contracted = { shape: a.shape.slice(-1), free: a.free.slice(-1) };
  broadcast(call, contracted, { shape: [b.shape.at(-2)!], free: [b.free.at(-2)!] });
  if (contracted.free[0]) graph.mixesWholeImage = true;
  const batch = (value: typeof a): { shape: readonly number[]; free: readonly boolean[] } => ({ shape: value.shape.slice(0, -2), free: value.free.slice(0, -2) });
  return { name: graph.emit('MatMul', [a.name, b.name]), free: [...broadcast(call, batch(a), batch(b)), a.free.at(-2)!, b.free.at(-1)!] };
}

/** input · weightᵀ + bias; a constant weight is transposed here, once. */
function linear(call: Call, graph: GraphWriter): Lowered {
  const { name, free } = call.tensor(), weight = call.requiredId('weight'), bias = call.optionalTensor('bias');
  const [outputs, inputs] = graph.shapeOf(weight), data = graph.constantData(weight);
  const transposed = data
    ? graph.constant(weight, [inputs, outputs], Float32Array.from(data, (_, k) => data[(k % outputs) * inputs + Math.floor(k / outputs)]))!
    : graph.emit('Transpose', [call.tensor('weight').name], { perm: { ints: [1, 0] } });
  const product = graph.emit('MatMul', [name, transposed]);
  return { name: bias ? graph.emit('Add', [product, bias.name]) : product, free };
}

function reduce(op: 'ReduceMean' | 'ReduceSum'): Lowering {
  return (call, graph) => {
    const { name, shape, free } = call.tensor(), given = call.numbers('dims'), keepDim = call.flag('keepDim');
    const dims = given.length === 0 ? shape.map((_, dim) => dim) : given.map((dim) => (dim < 0 ? dim + shape.length : dim));
    if (dims.some((dim) => free[dim])) graph.mixesWholeImage = true;
    const keepdims = { keepdims: { int: keepDim ? 1 : 0 } };
    // In operator set 17 the axes are an attribute of the one and an input of the other.
    const reduced = op === 'ReduceMean' ? graph.emit(op, [name], { axes: { ints: dims }, ...keepdims }) : graph.emit(op, [name, graph.ints(dims)], keepdims);
    const left = free.map((f, dim) => f && !dims.includes(dim));
    return { name: reduced, free: keepDim ? left : left.filter((_, dim) => !dims.includes(dim)) };
  };
}

/**
 * The new shape may hold sizes that follow the image only where ONNX can work them out: copied from the same place (0), or the one
 * that is left (−1).
 */
function reshape(call: Call, graph: GraphWriter): Lowered {
  const { name, shape, free } = call.tensor(), asked = call.numbers('shape'), result = graph.shapeOf(call.outputs[0]);
  const isFree = result.map(() => false), sizes = [...result];
  let leftToOnnx = 0;
  for (const group of factorGroups(shape, result)) {
    const inputs = group[0].filter((dim) => shape[dim] !== 1 || free[dim]), outputs = group[1].filter((dim) => result[dim] !== 1);
    if (!inputs.some((dim) => free[dim])) continue;
    const open = outputs.length === 1 ? outputs[0] : outputs.find((dim) => asked[dim] === -1);
    if (open === undefined) {
      throw call.error(`its new shape [${asked}] splits a size that follows the image into fixed ones; use −1 for the part that follows, or another op`);
    }
    isFree[open] = true;
    const copied = inputs.length === 1 && outputs.length === 1 && inputs[0] === open;
    sizes[open] = copied ? 0 : -1;
    if (!copied) leftToOnnx++;
  }
  if (leftToOnnx > 1) throw call.error(`its new shape [${asked}] has ${leftToOnnx} sizes that follow the image and can't be copied; one is the most`);
  return { name: graph.emit('Reshape', [name, graph.ints(sizes)]), free: isFree };
}

/** The smallest runs of dimensions with equal products on both sides: [2,3,4,5] → [6,20] gives ([0,1],[0]) and ([2,3],[1]). */
function factorGroups(from: readonly number[], to: readonly number[]): [inputs: number[], outputs: number[]][] {
  const groups: [number[], number[]][] = [];
  let i = 0, j = 0;
  while (i < from.length || j < to.length) {
    const inputs: number[] = [], outputs: number[] = [];
    let product = 1, target = 1;
    if (i < from.length) { product *= from[i]; inputs.push(i++); }
    if (j < to.length) { target *= to[j]; outputs.push(j++); }
    while (product !== target) {
      if (product < target) { product *= from[i]; inputs.push(i++); } else { target *= to[j]; outputs.push(j++); }
    }
    groups.push([inputs, outputs]);
  }
  return groups;
}
