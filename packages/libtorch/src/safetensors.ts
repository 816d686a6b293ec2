/**
 * The safetensors format (Hugging Face): 8 bytes of header length, a JSON header, the tensors' bytes.
 * Ours, since the npm packages of that name are placeholders or browser viewers; it is some sixty lines.
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { tensorFromBytes, type DType, type Tensor } from './tensor.js';

const codes: Record<DType, string> = { float32: 'F32', float64: 'F64', bfloat16: 'BF16', float16: 'F16', uint8: 'U8', int32: 'I32', int64: 'I64', bool: 'BOOL' };
const dtypes = Object.fromEntries(Object.entries(codes).map(([dtype, code]) => [code, dtype])) as Record<string, DType>;

const bytesOf: Record<DType, number> = { float32: 4, float64: 8, bfloat16: 2, float16: 2, uint8: 1, int32: 4, int64: 8, bool: 1 };
const isSizes = (value: unknown): value is number[] => Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);

/** A file that is not safetensors, or is damaged. */
export class SafetensorsError extends Error {
  override name = 'SafetensorsError';
}

interface Entry { dtype: string; shape: number[]; data_offsets: [number, number] }

/** Writes tensors in the map's order, row-major; byte-identical for identical input. Written beside `path`, synced, renamed: never half a file. */
export function saveSafetensors(path: string, tensors: Map<string, Tensor>, metadata: Record<string, string> = {}): void {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let offset = 0;
  const chunks: Uint8Array[] = [];
  for (const [name, value] of tensors) {
    const bytes = value.toBytes();
    header[name] = { dtype: codes[value.dtype], shape: [...value.shape], data_offsets: [offset, offset + bytes.length] } satisfies Entry;
    offset += bytes.length;
    chunks.push(bytes);
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const padded = new Uint8Array(Math.ceil(text.length / 8) * 8).fill(0x20); // tensors start at a multiple of 8
  padded.set(text);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(padded.length), true);
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    const file = openSync(temporary, 'w');
    try {
      for (const chunk of [length, padded, ...chunks]) for (let at = 0; at < chunk.length;) at += writeSync(file, chunk, at);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** Header only: names, shapes and metadata without any tensor. Throws SafetensorsError. */
export function readSafetensorsHeader(bytes: Uint8Array, path: string): { entries: Map<string, Entry>; metadata: Record<string, string>; start: number } {
  const broken = (why: string) => new SafetensorsError(`${path}: not a safetensors file, or damaged: ${why}`);
  if (bytes.length < 8) throw broken(`${bytes.length} bytes`);
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  if (length > bytes.length - 8) throw broken(`a header of ${length} bytes in a file of ${bytes.length}`);
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  } catch {
    throw broken('the header is not JSON');
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header)) throw broken('the header is not a JSON object');
  const { __metadata__: metadata = {}, ...rest } = header as Record<string, Entry> & { __metadata__?: Record<string, string> };
  const entries = new Map<string, Entry>(Object.entries(rest as Record<string, Entry>));
  const size = bytes.length - 8 - length;
  for (const [name, entry] of entries) {
    const { dtype, shape, data_offsets: offsets } = entry ?? {};
    if (!Object.hasOwn(dtypes, dtype) || !isSizes(shape) || !isSizes(offsets) || offsets.length !== 2) throw broken(`the entry of ${name}: ${JSON.stringify(entry)}`);
    if (offsets[1] > size) throw broken(`${name} ends at ${offsets[1]} of ${size} bytes: truncated?`);
    const needed = shape.reduce((product, side) => product * side, bytesOf[dtypes[dtype]]);
    if (offsets[1] - offsets[0] !== needed) throw broken(`${name} has ${offsets[1] - offsets[0]} bytes where ${dtype} [${shape.join(',')}] needs ${needed}`);
  }
  return { entries, metadata, start: 8 + length };
}

/** Reads every tensor onto the CPU. Throws SafetensorsError for a damaged file, the file system's error for a missing one. */
export function loadSafetensors(path: string): { tensors: Map<string, Tensor>; metadata: Record<string, string> } {
  const bytes = readFileSync(path);
  const { entries, metadata, start } = readSafetensorsHeader(bytes, path);
  const tensors = new Map([...entries].map(([name, { dtype, shape, data_offsets: [from, to] }]) =>
    [name, tensorFromBytes(Uint8Array.prototype.slice.call(bytes, start + from, start + to), shape, dtypes[dtype])]));
  return { tensors, metadata };
}
