/**
 * Where the entries of a zip archive lie, for those that are stored without compression, as torch.save's are: tensors are then read by position, without
 * the rest of the file. (Zip libraries of npm stream or load whole archives.) Format: PKWARE's APPNOTE 6.3.
 */

/** Reads `length` bytes at `offset`. Throws when the file ends before. */
export type ReadAt = (offset: number, length: number) => Uint8Array;

/** The archive is damaged, or of a kind that torch.save doesn't write. */
export class ZipError extends Error {
  override name = 'ZipError';
}

export interface ZipEntry { offset: number; length: number }

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const unset = 0xffffffff;

/** Sizes and offsets beyond 4 GiB stand in an extra record, those that are needed, in this order. */
function wide(extra: Uint8Array, values: readonly number[]): number[] {
  const data = view(extra);
  for (let at = 0; at + 4 <= extra.length; at += 4 + data.getUint16(at + 2, true)) {
    if (data.getUint16(at, true) !== 1) continue;
    let from = at + 4;
    return values.map((value) => {
      if (value !== unset) return value;
      from += 8;
      return Number(data.getBigUint64(from - 8, true));
    });
  }
  return [...values];
}

/** Entries by name. Throws ZipError; RangeError where its directory is damaged. */
export function readZipEntries(read: ReadAt, size: number): Map<string, ZipEntry> {
  const tail = read(Math.max(0, size - 65_557), Math.min(size, 65_557)); // the end record and the longest comment
  let end = tail.length - 22;
  while (end >= 0 && view(tail).getUint32(end, true) !== 0x06054b50) end--;
  if (end < 0) throw new ZipError('no end of the archive: cut off?');
  const record = view(tail);
  let [count, directorySize, directory] = [record.getUint16(end + 10, true), record.getUint32(end + 12, true), record.getUint32(end + 16, true)];
  if (directory === unset || directorySize === unset || count === 0xffff) {
    const at = Number(record.getBigUint64(end - 20 + 8, true)); // the locator of the 64-bit record stands before the end record
    const long = view(read(at, 56));
    [count, directorySize, directory] = [Number(long.getBigUint64(32, true)), Number(long.getBigUint64(40, true)), Number(long.getBigUint64(48, true))];
  }
  const bytes = read(directory, directorySize), entries = new Map<string, ZipEntry>();
  const data = view(bytes);
  for (let i = 0, at = 0; i < count; i++) {
    if (data.getUint32(at, true) !== 0x02014b50) throw new ZipError(`entry ${i} of its directory is damaged`);
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((field) => data.getUint16(at + field, true));
    const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameLength));
    if (data.getUint16(at + 10, true) !== 0) throw new ZipError(`${name} is compressed; torch.save stores`);
    const [length, , header] = wide(bytes.subarray(at + 46 + nameLength, at + 46 + nameLength + extraLength), [24, 20, 42].map((field) => data.getUint32(at + field, true)));
    const local = view(read(header, 30));
    if (local.getUint32(0, true) !== 0x04034b50) throw new ZipError(`${name} does not begin where the directory says`);
    entries.set(name, { offset: header + 30 + local.getUint16(26, true) + local.getUint16(28, true), length });
    at += 46 + nameLength + extraLength + commentLength;
  }
  return entries;
}
