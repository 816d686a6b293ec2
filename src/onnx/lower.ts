/** Trace → ONNX graph: batch, height and width stay free whatever size was traced. */
import type { Trace } from '@unshake/libtorch';
import { ModelError } from '../errors.js';
import type { OnnxGraph, OnnxValue } from './build.js';
import { Call, GraphWriter, type Lowering } from './graph.js';
import { elementwise } from './ops-elementwise.js';
import { image } from './ops-image.js';
import { shape } from './ops-shape.js';
import { simplify } from './simplify.js';

const lowerings: Record<string, Lowering> = { ...elementwise, ...image, ...shape };

export interface LoweredModel {
  graph: OnnxGraph;
  /** Every output pixel depends on the whole image (instance norm, a mean over height and width): tiles would not equal the whole. */
  mixesWholeImage: boolean;
}

/**
 * Writes what a recorder saw as an ONNX graph from `input` to `output`, both float32 N, C, H, W.
 *
 * Trace in eval mode with a batch, height and width that differ from each other and from 1, so that they can be told apart.
 * Identities and ops nobody reads are dropped, batch norms folded into the convolutions before them, constants named by parameter.
 * @param options.half keep parameters in half precision, cast to float32 on loading: half the file, the same arithmetic
 * @throws ModelError naming the op that ONNX or a free size does not allow
 */
export function lowerTrace(trace: Trace, { half = false }: { half?: boolean } = {}): LoweredModel {
  const { inputs, outputs, nodes, ...rest } = simplify(trace);
  if (inputs.length !== 1 || outputs.length !== 1) {
    throw new ModelError(`expected a network from one image to one image, received ${inputs.length} inputs and ${outputs.length} outputs`);
  }
  const writer = new GraphWriter({ inputs, outputs, nodes, ...rest }, half);
  writer.define(inputs[0], { name: 'input', free: [true, false, true, true] });
  for (const node of nodes) {
    const call = new Call(node, writer);
    if (!Object.hasOwn(lowerings, node.op)) throw call.error('no ONNX form of it is known here; build the network from other ops');
    const results = [lowerings[node.op](call, writer)].flat();
    node.outputs.forEach((id, index) => writer.define(id, results[index]));
  }
  const result = writer.value(outputs[0]);
  if (!result) throw new ModelError('expected an output computed from the input, received a tensor made outside of the traced function');
  return {
    graph: {
      // A node of its own gives the output its name even where it is the input, a parameter, or read by other nodes.
      nodes: [...writer.nodes, { op: 'Identity', inputs: [result.name], outputs: ['output'] }],
      initializers: writer.initializers,
      inputs: [imageValue('input', writer.shapeOf(inputs[0]), ['batch', 'height', 'width'])],
      outputs: [imageValue('output', result.shape, ['batch', 'output_height', 'output_width'])],
    },
    mixesWholeImage: writer.mixesWholeImage,
  };
}

function imageValue(name: string, shape: readonly number[], [batch, height, width]: string[]): OnnxValue {
  if (shape.length !== 4) throw new ModelError(`expected the ${name} to be N, C, H, W, received the shape [${shape}]`);
  return { name, dims: [batch, shape[1], height, width] };
}
