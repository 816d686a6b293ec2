/** What a network costs: parameters, and multiplications counted over the graph that its trace recorded. */
import { noGrad, scope, trace, zeros, type Trace, type TraceArg, type TraceNode } from '@unshake/libtorch';
import { restore, type Generator } from '../models/index.js';

export interface Complexity {
  parameters: number;
  /** Multiply–accumulate operations of convolutions and matrix products for one picture of `complexitySide` squared. */
  macs: number;
}

/** Side of the picture that MACs are stated for, pixels: that of the papers. */
export const complexitySide = 256;

/** Ops whose weights are applied elementwise: no products to count. */
const elementwise = new Set(['batchNorm', 'instanceNorm', 'groupNorm', 'layerNorm', 'prelu', 'mul', 'add', 'sub', 'div']);

const elements = (shape: readonly number[]): number => shape.reduce((product, length) => product * length, 1);

/** Multiply–accumulate operations of one recorded op. */
function macsOfNode({ op, args, outputs }: TraceNode, recorded: Trace): number {
  const shapeOf = (arg: TraceArg | undefined): readonly number[] => {
    const id = typeof arg === 'object' && arg !== null && 'tensor' in arg ? arg.tensor : -1;
    const shape = recorded.values.get(id)?.shape ?? recorded.constants.get(id)?.shape;
    if (!shape) throw new Error(`internal: the trace has no shape for an argument of ${op}`);
    return shape;
  };
  const output = elements(recorded.values.get(outputs[0])!.shape);
  switch (op) {
    case 'conv2d': return output * elements(shapeOf(args.weight).slice(1)); //           weight O, C/groups, kH, kW
    case 'convTranspose2d': return elements(shapeOf(args.input)) * elements(shapeOf(args.weight).slice(1)); // C, O/groups, kH, kW
    case 'linear': return output * shapeOf(args.weight)[1];
    case 'matmul': return output * shapeOf(args.input).at(-1)!;
  }
  const weights = Object.values(args).flatMap((arg) => (typeof arg === 'object' && arg !== null && 'tensor' in arg ? [recorded.constants.get(arg.tensor)] : []));
  const uncounted = weights.find((weight) => weight && weight.shape.length > 1);
  if (uncounted && !elementwise.has(op)) throw new Error(`internal: ${op} multiplies by ${uncounted.name}, and its products are not counted`);
  return 0;
}

/** The multiplications of a whole trace. */
export function countMacs(recorded: Trace): number {
  return recorded.nodes.reduce((sum, node) => sum + macsOfNode(node, recorded), 0);
}

/**
 * Parameters and MACs of a network in eval mode on the CPU. Its MACs are a number for each pixel and a constant (what follows a global
 * pooling), so they are counted at two small sizes: large networks would take seconds and gigabytes at full size.
 */
export function complexityOf(generator: Generator): Complexity {
  const unit = Math.ceil(32 / generator.multiple) * generator.multiple, sides = [unit, 2 * unit];
  const [small, large] = sides.map((side) => scope(() => noGrad(() => countMacs(trace((image) => restore(generator, image), [zeros([1, 3, side, side])])))));
  const perPixel = (large - small) / (sides[1] ** 2 - sides[0] ** 2);
  return { parameters: generator.parameterCount, macs: Math.round(small + perPixel * (complexitySide ** 2 - sides[0] ** 2)) };
}
