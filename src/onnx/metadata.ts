/**
 * Reads the metadata of an ONNX file without decoding its graph: works on any size in no time, in Node and (no generated code, so
 * under a strict content security policy too) in a browser.
 */
import { Reader } from 'protobufjs/minimal.js';
import { messageOf, ModelError } from '../errors.js';

/**
 * The metadata_props of an ONNX file, e.g. `{'unshake.multiple': '8'}`; empty when it has none.
 * @param name what to call the file in an error
 * @throws ModelError when the bytes are not an ONNX model
 */
export function readMetadata(bytes: Uint8Array, name = 'the model'): Record<string, string> {
  const metadata: Record<string, string> = {};
  let versions = 0, graphs = 0, opsets = 0;
  try {
    const reader = Reader.create(bytes);
    while (reader.pos < reader.len) {
      const tag = reader.uint32(), wireType = tag & 7;
      switch (tag >>> 3) {
        case 1: versions++; reader.skipType(wireType); break; // ModelProto.ir_version
        case 7: graphs++; reader.skipType(wireType); break; // ModelProto.graph
        case 8: opsets++; reader.skipType(wireType); break; // ModelProto.opset_import
        case 14: { // ModelProto.metadata_props
          const [key, value] = readEntry(reader);
          metadata[key] = value;
          break;
        }
        default: reader.skipType(wireType);
      }
    }
  } catch (error) {
    throw new ModelError(`${name} is not an ONNX model, or is cut short (${bytes.length} bytes: ${messageOf(error)}); export it again or fetch it again`, { cause: error });
  }
  if (versions !== 1 || graphs !== 1 || opsets === 0) {
    throw new ModelError(`${name} is not an ONNX model (${bytes.length} bytes without an IR version, one graph and an operator set); export it again or fetch it again`);
  }
  return metadata;
}

/** One StringStringEntryProto. */
function readEntry(reader: Reader): [key: string, value: string] {
  const end = reader.uint32() + reader.pos;
  let key = '', value = '';
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag >>> 3 === 1) key = reader.string();
    else if (tag >>> 3 === 2) value = reader.string();
    else reader.skipType(tag & 7);
  }
  return [key, value];
}
