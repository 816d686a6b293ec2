/** Decoded pictures, least recently used first to go, under a cap in bytes. Pictures being decoded are shared, not decoded twice. */
import type { RgbImage } from '../image/image.js';
import type { Decode } from './pair.js';

interface Entry { image: Promise<RgbImage>; bytes: number }

/** Wraps `decode`. The picture asked for last always stays, even when it is larger than the cap; a failure isn't remembered. */
export function cached(decode: Decode, capBytes: number): Decode {
  const entries = new Map<string, Entry>(); // in order of use
  let total = 0;
  const forget = (file: string, entry: Entry): void => {
    if (entries.get(file) !== entry) return;
    entries.delete(file);
    total -= entry.bytes;
  };
  return (file) => {
    const known = entries.get(file);
    if (known) {
      entries.delete(file);
      entries.set(file, known);
      return known.image;
    }
    const entry: Entry = { image: decode(file), bytes: 0 };
    entries.set(file, entry);
    entry.image.then((image) => {
      if (entries.get(file) !== entry) return;
      entry.bytes = image.data.byteLength;
      total += entry.bytes;
      for (const [oldest, other] of entries) {
        if (total <= capBytes) break;
        if (other !== entry) forget(oldest, other);
      }
    }, () => forget(file, entry));
    return entry.image;
  };
}
