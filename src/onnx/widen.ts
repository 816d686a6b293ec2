/**
 * Turns the half-precision arithmetic of an ONNX file into float32, for where halves overflow: weights, casts and declared types.
 *
 * It rewrites the encoded messages and copies every field that it doesn't know, so that it works on any exporter's files.
 * Source: onnx/onnx.proto; field numbers in the comments.
 */
import { Reader, Writer } from 'protobufjs/minimal.js';
import { joined } from '../bytes.js';
import { fromFloat16 } from './float16.js';
import { dataTypes } from './schema.js';

type Rewrite = (bytes: Uint8Array) => Uint8Array;
/** What becomes of a field: of length-delimited ones by number, of a varint by number and value. */
interface Rules { messages?: Record<number, Rewrite>; varints?: Record<number, (value: number) => number> }

/** The same model in float32; undefined when nothing in it is half-precision. Throws whatever protobufjs throws when the bytes are no ONNX model. */
export function widenModel(bytes: Uint8Array): Uint8Array | undefined {
  let halves = 0;
  const widenType = (type: number): number => {
    if (type === dataTypes.float16) halves++;
    return type === dataTypes.float16 ? dataTypes.float32 : type;
  };
  const tensor: Rewrite = (message) => {
    if (varintOf(message, 2) !== dataTypes.float16) return message; // TensorProto.data_type
    const wide = rewritten(message, { varints: { 2: widenType }, messages: { 9: widenedHalves, 5: () => new Uint8Array(0) } }); // raw_data, int32_data
    const packed = lastOf(message, 5, 2, (reader) => reader.bytes());
    return packed?.length ? joined([wide, Writer.create().uint32((9 << 3) | 2).bytes(widenedHalves(unpacked(packed))).finish()]) : wide;
  };
  const attribute = (ofCast: boolean): Rewrite => (message) => rewritten(message, {
    messages: { 5: tensor, 6: graph }, // t, g
    varints: ofCast ? { 3: widenType } : {}, // i, of `to`
  });
  const node: Rewrite = (message) => rewritten(message, { messages: { 5: attribute(stringOf(message, 4) === 'Cast') } }); // attribute, op_type
  const tensorType: Rewrite = (message) => rewritten(message, { varints: { 1: widenType } }); // elem_type
  const valueInfo: Rewrite = (message) => rewritten(message, { messages: { 2: (type) => rewritten(type, { messages: { 1: tensorType } }) } });
  const graph: Rewrite = (message) => rewritten(message, { messages: { 1: node, 5: tensor, 11: valueInfo, 12: valueInfo, 13: valueInfo } });
  const model = rewritten(bytes, { messages: { 7: graph } });
  return halves > 0 ? model : undefined;
}

function widenedHalves(raw: Uint8Array): Uint8Array {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength), wide = new DataView(new ArrayBuffer(2 * raw.byteLength));
  for (let at = 0; at + 1 < raw.byteLength; at += 2) wide.setFloat32(2 * at, fromFloat16(view.getUint16(at, true)), true);
  return new Uint8Array(wide.buffer);
}

/** Halves that are written as one varint each, as 16-bit numbers. */
function unpacked(packed: Uint8Array): Uint8Array {
  const reader = Reader.create(packed), halves: number[] = [];
  while (reader.pos < reader.len) halves.push(reader.uint32());
  return Uint8Array.from(halves.flatMap((half) => [half & 0xff, half >>> 8]));
}

function rewritten(message: Uint8Array, { messages = {}, varints = {} }: Rules): Uint8Array {
  const reader = Reader.create(message), parts: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const start = reader.pos, tag = reader.uint32(), id = tag >>> 3, wireType = tag & 7;
    if (wireType === 2 && messages[id]) parts.push(Writer.create().uint32(tag).bytes(messages[id](reader.bytes())).finish());
    else if (wireType === 0 && varints[id]) parts.push(Writer.create().uint32(tag).uint32(varints[id](reader.uint32())).finish());
    else {
      reader.skipType(wireType);
      parts.push(message.subarray(start, reader.pos));
    }
  }
  return joined(parts);
}

/** The last value of a varint field; 0, its default, when it is absent. */
function varintOf(message: Uint8Array, id: number): number {
  return lastOf(message, id, 0, (reader) => reader.uint32()) ?? 0;
}

function stringOf(message: Uint8Array, id: number): string {
  return lastOf(message, id, 2, (reader) => reader.string()) ?? '';
}

function lastOf<T>(message: Uint8Array, id: number, wireType: number, read: (reader: Reader) => T): T | undefined {
  const reader = Reader.create(message);
  let value: T | undefined;
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === ((id << 3) | wireType)) value = read(reader);
    else reader.skipType(tag & 7);
  }
  return value;
}
