/** Writes an ONNX file from plain objects: nodes in order of execution, constants, inputs, outputs, metadata. */
import { version } from '../version.js';
import { attributeTypes, dataTypes, irVersion, ModelProto, opset } from './schema.js';

export type OnnxAttribute = { int: number } | { ints: number[] } | { float: number } | { floats: number[] } | { string: string };

/** One operator of ONNX's default domain. An absent optional input is an empty name. */
export interface OnnxNode {
  op: string;
  inputs: string[];
  outputs: string[];
  attributes?: Record<string, OnnxAttribute>;
}

/** A constant, row-major. float16 data are the raw bits (float16.ts makes them). */
export type OnnxTensor =
  | { name: string; dims: number[]; type: 'float32'; data: Float32Array }
  | { name: string; dims: number[]; type: 'float16'; data: Uint16Array }
  | { name: string; dims: number[]; type: 'int64'; data: number[] };

/** A float32 input or output of the graph. A dimension is a number, or a name when it is free. */
export interface OnnxValue { name: string; dims: (number | string)[] }

export interface OnnxGraph {
  nodes: OnnxNode[];
  initializers: OnnxTensor[];
  inputs: OnnxValue[];
  outputs: OnnxValue[];
  /** metadata_props of the file; read back by metadata.ts. */
  metadata?: Record<string, string>;
}

/** The bytes of an ONNX file (IR version 8, operator set 17). The graph is written as it is: ONNX Runtime checks it on loading. */
export function buildOnnx({ nodes, initializers, inputs, outputs, metadata = {} }: OnnxGraph): Uint8Array {
  return ModelProto.encode({
    irVersion,
    producerName: 'unshake',
    producerVersion: version,
    opsetImport: [{ domain: '', version: opset }],
    metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
    graph: {
      name: 'unshake',
      node: nodes.map(({ op, inputs, outputs, attributes = {} }, index) => ({
        name: `${op}_${index}`,
        opType: op,
        input: inputs,
        output: outputs,
        attribute: Object.entries(attributes).map(([name, value]) => attributeMessage(name, value)),
      })),
      initializer: initializers.map((tensor) => ({
        name: tensor.name, dims: tensor.dims, dataType: dataTypes[tensor.type], rawData: rawData(tensor),
      })),
      input: inputs.map(valueMessage),
      output: outputs.map(valueMessage),
    },
  }).finish();
}

function attributeMessage(name: string, value: OnnxAttribute): object {
  if ('int' in value) return { name, type: attributeTypes.int, i: value.int };
  if ('ints' in value) return { name, type: attributeTypes.ints, ints: value.ints };
  if ('float' in value) return { name, type: attributeTypes.float, f: value.float };
  if ('floats' in value) return { name, type: attributeTypes.floats, floats: value.floats };
  return { name, type: attributeTypes.string, s: new TextEncoder().encode(value.string) };
}

function valueMessage({ name, dims }: OnnxValue): object {
  const dim = dims.map((size) => (typeof size === 'number' ? { dimValue: size } : { dimParam: size }));
  return { name, type: { tensorType: { elemType: dataTypes.float32, shape: { dim } } } };
}

/** ONNX wants little-endian bytes; so is every machine that Node and the browsers run on. */
function rawData(tensor: OnnxTensor): Uint8Array {
  const data = tensor.type === 'int64' ? BigInt64Array.from(tensor.data, BigInt) : tensor.data;
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
