/**
 * TIFF files and structures: directories of tagged values. Reads the EXIF that a TIFF file spreads over itself, and puts EXIF and a
 * colour profile into a TIFF file that has been encoded without.
 *
 * Format: TIFF 6.0 §2; ICC.1:2022 annex B.4 (profile in tag 34675).
 */

/** A TIFF structure: `first` is the place of its first directory. */
export interface Structure { bytes: Uint8Array; view: DataView; little: boolean; first: number }
/** One directory entry; `at` is its own place. */
export interface Entry { tag: number; type: number; count: number; at: number }
/** A directory; at `nextAt` stands the place of the next one, or 0. */
export interface Directory { entries: Entry[]; nextAt: number }

/** Bytes of one value of a type; 0 for an unknown one. */
export const typeSize = (type: number): number => [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4][type] ?? 0;

/** Reads the eight bytes at the start; undefined when they are none of a (classic) TIFF structure. */
export function structureOf(bytes: Uint8Array): Structure | undefined {
  if (bytes.length < 14) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), order = view.getUint16(0);
  const little = order === 0x4949;
  if ((!little && order !== 0x4d4d) || view.getUint16(2, little) !== 42) return undefined;
  return { bytes, view, little, first: view.getUint32(4, little) };
}

/** The directory at a place; undefined when it doesn't lie inside. Entries whose values don't, or of unknown types, are left out. */
export function directoryAt(structure: Structure, offset: number): Directory | undefined {
  const { bytes, view, little } = structure;
  if (offset < 8 || offset + 2 > bytes.length) return undefined;
  const count = view.getUint16(offset, little), nextAt = offset + 2 + 12 * count;
  if (nextAt + 4 > bytes.length) return undefined;
  const entries: Entry[] = [];
  for (let at = offset + 2; at < nextAt; at += 12) {
    const entry = { tag: view.getUint16(at, little), type: view.getUint16(at + 2, little), count: view.getUint32(at + 4, little), at };
    const size = typeSize(entry.type) * entry.count;
    if (size > 0 && entryValueAt(structure, entry) + size <= bytes.length) entries.push(entry);
  }
  return { entries, nextAt };
}

/** Where an entry's values stand: in itself when four bytes hold them. */
export function entryValueAt({ view, little }: Structure, { type, count, at }: Entry): number {
  return typeSize(type) * count <= 4 ? at + 8 : view.getUint32(at + 8, little);
}

/** Tags that point at a directory: EXIF, GPS, interoperability. */
export const pointers: readonly number[] = [0x8769, 0x8825, 0xa005];
const profileTag = 34675;
/** Tags of a TIFF file that describe how its pixels are stored, or hold what isn't EXIF (XMP, IPTC, Photoshop's, the profile). */
const ofPixels = new Set([254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284, 288, 289, 290, 291, 292, 293, 297, 301, 317, 318, 319, 320,
  321, 322, 323, 324, 325, 330, 332, 334, 338, 339, 340, 341, 347, 512, 513, 514, 529, 530, 531, 532, 700, 33723, 34377, profileTag]);
const ofResolution = new Set([282, 283, 296]);

interface Value { tag: number; type: number; count: number; data: Uint8Array | Value[] }

/** The EXIF of a TIFF file as a block of its own; undefined when the file (or its kind: BigTIFF) has none. */
export function exifOfTiff(file: Uint8Array): Uint8Array | undefined {
  const structure = structureOf(file);
  if (!structure) return undefined;
  const { view, little } = structure;
  const read = (offset: number, depth: number): Value[] => (directoryAt(structure, offset)?.entries ?? [])
    .filter(({ tag }) => depth > 0 || !ofPixels.has(tag))
    .map((entry): Value => {
      const { tag, type, count } = entry, at = entryValueAt(structure, entry);
      if (pointers.includes(tag) && depth < 3) return { tag, type, count, data: read(view.getUint32(entry.at + 8, little), depth + 1) };
      return { tag, type, count, data: file.subarray(at, at + typeSize(type) * count) };
    })
    .filter(({ data }) => data.length > 0);
  const values = read(structure.first, 0);
  return values.every(({ tag }) => ofResolution.has(tag) || tag === 274) ? undefined : written(values, little);
}

/** No camera writes more; a damaged or malicious file may name the same bytes thousands of times. */
const mostExif = 2 ** 24;

/** Lays values out as a structure; undefined when it would be too large. */
function written(values: Value[], little: boolean): Uint8Array | undefined {
  const even = (size: number): number => size + (size & 1);
  const sizeOf = (list: Value[]): number => list.reduce((sum, { data }) =>
    sum + (Array.isArray(data) ? sizeOf(data) : data.length > 4 ? even(data.length) : 0), 6 + 12 * list.length);
  const size = 8 + sizeOf(values);
  if (size > mostExif) return undefined;
  const bytes = new Uint8Array(size), view = new DataView(bytes.buffer);
  view.setUint16(0, little ? 0x4949 : 0x4d4d);
  view.setUint16(2, 42, little);
  view.setUint32(4, 8, little);
  let free = 8;
  const write = (list: Value[]): number => {
    const start = free;
    free += 6 + 12 * list.length;
    view.setUint16(start, list.length, little);
    list.forEach(({ tag, type, count, data }, index) => {
      const at = start + 2 + 12 * index;
      view.setUint16(at, tag, little);
      view.setUint16(at + 2, type, little);
      view.setUint32(at + 4, count, little);
      if (Array.isArray(data)) view.setUint32(at + 8, write(data), little);
      else if (data.length <= 4) bytes.set(data, at + 8);
      else {
        view.setUint32(at + 8, free, little);
        bytes.set(data, free);
        free += even(data.length);
      }
    });
    return start;
  };
  write(values);
  return bytes;
}

/**
 * A little-endian TIFF file of one page, as an encoder wrote it, with metadata put in. The EXIF block comes first, so that its own
 * offsets hold; then the file, whose offsets are moved; then the profile and one directory for all.
 * @param exif little-endian block
 */
export function tiffWithMetadata(encoded: Uint8Array, { exif, icc }: { exif?: Uint8Array; icc?: Uint8Array }): Uint8Array {
  const structure = structureOf(encoded), directory = structure && directoryAt(structure, structure.first);
  if (!structure?.little || !directory) throw new Error('internal: expected a little-endian TIFF file');
  const head = exif ?? Uint8Array.of(0x49, 0x49, 42, 0, 0, 0, 0, 0);
  const shift = head.length + (head.length & 1), profileAt = shift + encoded.length + (encoded.length & 1);
  const directoryPlace = profileAt + (icc ? icc.length + (icc.length & 1) : 0);

  const entries = new Map<number, Uint8Array>();
  const moved = encoded.slice(), view = new DataView(moved.buffer);
  for (const entry of directory.entries) {
    if (entry.tag === 273 || entry.tag === 324) { // places of strips or tiles
      if (entry.type !== 4) throw new Error(`internal: expected places of type LONG, got type ${entry.type}`);
      const at = entryValueAt(structure, entry);
      for (let k = 0; k < entry.count; k++) view.setUint32(at + 4 * k, view.getUint32(at + 4 * k, true) + shift, true);
    }
    if (typeSize(entry.type) * entry.count > 4) view.setUint32(entry.at + 8, view.getUint32(entry.at + 8, true) + shift, true);
    entries.set(entry.tag, moved.subarray(entry.at, entry.at + 12));
  }
  const block = exif && structureOf(exif);
  for (const { tag, at } of (block && directoryAt(block, block.first)?.entries) ?? []) {
    if (ofResolution.has(tag) || (!entries.has(tag) && !ofPixels.has(tag))) entries.set(tag, exif!.subarray(at, at + 12));
  }
  if (icc) {
    const entry = new DataView(new ArrayBuffer(12));
    entry.setUint16(0, profileTag, true);
    entry.setUint16(2, 7, true); // UNDEFINED
    entry.setUint32(4, icc.length, true);
    entry.setUint32(8, profileAt, true);
    entries.set(profileTag, new Uint8Array(entry.buffer));
  }

  const file = new Uint8Array(directoryPlace + 6 + 12 * entries.size);
  file.set(head);
  file.set(moved, shift);
  if (icc) file.set(icc, profileAt);
  const out = new DataView(file.buffer);
  out.setUint32(4, directoryPlace, true);
  out.setUint16(directoryPlace, entries.size, true);
  [...entries].sort(([a], [b]) => a - b).forEach(([, entry], index) => file.set(entry, directoryPlace + 2 + 12 * index));
  return file;
}
