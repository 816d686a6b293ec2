/** Lowering of ops that work number by number: activations, arithmetic with broadcasting. */
import type { OnnxAttribute } from './build.js';
import type { Call, GraphWriter, Lowered, Lowering, Value } from './graph.js';

export const elementwise: Record<string, Lowering> = {
  relu: unary('Relu'),
  tanh: unary('Tanh'),
  sigmoid: unary('Sigmoid'),
  softplus: unary('Softplus'),
  neg: unary('Neg'),
  exp: unary('Exp'),
  log: unary('Log'),
  sqrt: unary('Sqrt'),
  abs: unary('Abs'),
  leakyRelu: unary('LeakyRelu', (call) => ({ alpha: { float: call.number('negativeSlope', 0.01) } })),
  add: binary('Add'),
  sub: binary('Sub'),
  mul: binary('Mul'),
  div: binary('Div'),
  maximum: binary('Max'),
  addScalar: withScalar('Add', 'value'),
  mulScalar: withScalar('Mul', 'value'),
  powScalar: withScalar('Pow', 'exponent'),
  square: composed((x, graph) => graph.emit('Mul', [x, x])),
  rsqrt: composed((x, graph) => graph.emit('Reciprocal', [graph.emit('Sqrt', [x])])),
  silu: composed((x, graph) => graph.emit('Mul', [x, graph.emit('Sigmoid', [x])])),
  gelu: composed(gelu),
  clamp,
  prelu,
};

function unary(op: string, attributes?: (call: Call) => Record<string, OnnxAttribute>): Lowering {
  return (call, graph) => {
    const { name, free } = call.tensor();
    return { name: graph.emit(op, [name], attributes?.(call)), free };
  };
}

function composed(write: (x: string, graph: GraphWriter) => string): Lowering {
  return (call, graph) => {
    const { name, free } = call.tensor();
    return { name: write(name, graph), free };
  };
}

function binary(op: string): Lowering {
  return (call, graph) => {
    const a = call.tensor(), b = call.tensor('other');
    return { name: graph.emit(op, [a.name, b.name]), free: broadcast(call, a, b) };
  };
}

function withScalar(op: string, argument: string): Lowering {
  return (call, graph) => {
    const { name, free } = call.tensor();
    return { name: graph.emit(op, [name, graph.floats([call.number(argument)])]), free };
  };
}

/** Which dimensions of a ∘ b follow the input's size. One that follows it can't meet one that was frozen while tracing. */
export function broadcast(call: Call, a: Pick<Value, 'shape' | 'free'>, b: Pick<Value, 'shape' | 'free'>): boolean[] {
  const rank = Math.max(a.shape.length, b.shape.length);
  return Array.from({ length: rank }, (_, index) => {
    const i = index - rank + a.shape.length, j = index - rank + b.shape.length;
    const frozen = a.free[i] && !b.free[j] ? b.shape[j] : b.free[j] && !a.free[i] ? a.shape[i] : undefined;
    if (frozen !== undefined && frozen !== 1) {
      throw call.error(`dimension ${index} follows the image's size in one operand and is always ${frozen} in the other; the graph must work at any size`);
    }
    return (a.free[i] ?? false) || (b.free[j] ?? false);
  });
}

/** x/2 · (1 + erf(x/√2)), the form that ONNX Runtime recognises; operator set 17 has no Gelu. */
function gelu(x: string, graph: GraphWriter): string {
  const erf = graph.emit('Erf', [graph.emit('Div', [x, graph.floats([Math.SQRT2])])]);
  return graph.emit('Mul', [graph.emit('Mul', [x, graph.emit('Add', [erf, graph.floats([1])])]), graph.floats([0.5])]);
}

function clamp(call: Call, graph: GraphWriter): Lowered {
  const { name, free } = call.tensor();
  const limits = ['min', 'max'].map((side) => {
    const limit = call.optionalNumber(side);
    return limit === undefined ? '' : graph.floats([limit]);
  });
  return { name: graph.emit('Clip', [name, ...limits]), free };
}

/** torch's slope has shape C and means dimension 1; ONNX broadcasts from the back. */
function prelu(call: Call, graph: GraphWriter): Lowered {
  const { name, shape, free } = call.tensor(), slope = call.requiredId('weight');
  const dims = [graph.shapeOf(slope)[0], ...new Array<number>(Math.max(shape.length - 2, 0)).fill(1)];
  const column = graph.constant(slope, dims) ?? graph.emit('Reshape', [call.tensor('weight').name, graph.ints(dims)]);
  return { name: graph.emit('PRelu', [name, column]), free };
}
