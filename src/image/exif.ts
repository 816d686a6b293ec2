/**
 * EXIF blocks: what a camera wrote beside the picture, in a TIFF structure. They are edited in place, so that what isn't touched
 * (makers' notes refer to places in the block) stays where it was.
 *
 * Format: EXIF 2.32 §4.5, §4.6 (tags) and TIFF 6.0 §2 (directories). Runs in Node and in browsers.
 */
import { directoryAt, entryValueAt, pointers, structureOf, typeSize, type Entry, type Structure } from './tiff.js';

const tags = { orientation: 0x0112, thumbnailOffset: 0x0201, thumbnailLength: 0x0202, exifIfd: 0x8769, pixelWidth: 0xa002, pixelHeight: 0xa003 } as const;
const short = 3;

/**
 * A copy of an EXIF block, without a leading "Exif\\0\\0", for pixels that have been turned upright: orientation 1, width and height
 * exchanged where the turn did that, the thumbnail dropped. A block that isn't understood comes back as undefined.
 */
export function uprightExif(block: Uint8Array): Uint8Array | undefined {
  const start = block[0] === 0x45 && block[4] === 0 ? 6 : 0;
  const exif = block.slice(start);
  const structure = structureOf(exif);
  const main = structure && directoryAt(structure, structure.first);
  if (!main) return undefined;
  const { view, little } = structure;
  const orientation = main.entries.find(({ tag }) => tag === tags.orientation);
  const turned = orientation?.type === short ? view.getUint16(entryValueAt(structure, orientation), little) : 1;
  if (orientation?.type === short) view.setUint16(entryValueAt(structure, orientation), 1, little);
  if (turned >= 5 && turned <= 8) exchangeSize(structure, main.entries);
  return withoutThumbnail(structure, main.nextAt);
}

function exchangeSize(structure: Structure, main: Entry[]): void {
  const { view, little } = structure;
  const pointer = main.find(({ tag }) => tag === tags.exifIfd);
  const directory = pointer && directoryAt(structure, view.getUint32(pointer.at + 8, little));
  const [width, height] = [tags.pixelWidth, tags.pixelHeight].map((wanted) => directory?.entries.find(({ tag }) => tag === wanted));
  if (!width || !height || width.type !== height.type) return;
  const [a, b] = [view.getUint32(width.at + 8, little), view.getUint32(height.at + 8, little)];
  view.setUint32(width.at + 8, b, little);
  view.setUint32(height.at + 8, a, little);
}

/** Cuts the second directory off: it describes the thumbnail. Its picture is cut away or blanked. */
function withoutThumbnail(structure: Structure, nextAt: number): Uint8Array {
  const { bytes, view, little } = structure;
  const directory = directoryAt(structure, view.getUint32(nextAt, little));
  view.setUint32(nextAt, 0, little);
  const valueOf = (wanted: number): number => {
    const entry = directory?.entries.find(({ tag }) => tag === wanted);
    return entry ? view.getUint32(entry.at + 8, little) : 0;
  };
  const [offset, length] = [valueOf(tags.thumbnailOffset), valueOf(tags.thumbnailLength)];
  if (offset < 8 || length === 0 || offset + length > bytes.length) return bytes;
  bytes.fill(0, offset, offset + length);
  return offset + length + 2 >= bytes.length ? bytes.slice(0, offset) : bytes;
}

/** Turns a big-endian block into a little-endian one in place, every value where it was; makers' notes, which are opaque, stay as they are. */
export function littleEndian(exif: Uint8Array): Uint8Array | undefined {
  const structure = structureOf(exif);
  if (!structure || structure.little) return structure && exif;
  const bytes = exif.slice(), old = structureOf(bytes)!, { view } = old;
  const seen = new Set<number>();
  const swap = (at: number, size: number): void => {
    for (let i = at, j = at + size - 1; i < j; i++, j--) [bytes[i], bytes[j]] = [bytes[j], bytes[i]];
  };
  const turn = (offset: number): void => {
    const directory = seen.has(offset) ? undefined : directoryAt(old, offset);
    if (!directory) return;
    seen.add(offset);
    for (const entry of directory.entries) {
      const { tag, type, count, at } = entry, from = entryValueAt(old, entry), size = typeSize(type);
      if (pointers.includes(tag)) turn(view.getUint32(at + 8));
      const unit = type === 5 || type === 10 ? 4 : size; // fractions are two numbers
      if (unit > 1) for (let value = from; value < from + size * count; value += unit) swap(value, unit);
      if (size * count > 4) swap(at + 8, 4);
    }
    // Also entries that aren't understood: else they would read as others.
    for (let at = offset + 2; at < directory.nextAt; at += 12) {
      swap(at, 2);
      swap(at + 2, 2);
      swap(at + 4, 4);
    }
    turn(view.getUint32(directory.nextAt));
    swap(directory.nextAt, 4);
    swap(offset, 2);
  };
  turn(old.first);
  swap(4, 4);
  swap(2, 2);
  bytes[0] = bytes[1] = 0x49;
  return bytes;
}
