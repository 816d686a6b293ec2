/** The result as a file in the photo's own format, with the photo's EXIF in it. */
import { uprightExif } from '../../../src/image/exif.js';
import { insertMetadata } from '../../../src/image/metadata.js';
import type { Result, Saved } from '../messages.js';
import { exifOf } from './exif-of.js';
import { blend, decode, encode, orientationFor } from './pixels.js';

const nameOf = (type: string): string => type.replace('image/', '').toUpperCase();

export async function save(file: Blob, result: Result, strength: number, type: string): Promise<Saved> {
  const data = strength === 1 ? result.data : blend((await decode(file)).data, result.data, strength);
  const blob = await encode({ ...result, data }, type);
  const notes: string[] = [];
  if (blob.type !== type) notes.push(`This browser can’t write ${nameOf(type)}; saved as ${nameOf(blob.type)}.`);
  const source = new Uint8Array(await file.arrayBuffer()), block = exifOf(source);
  const turned = orientationFor(source[0] === 0x52) === 'from-image'; // RIFF, that is WebP
  const exif = block && (turned ? uprightExif(block) : block);
  if (!exif) return { blob, notes };
  const { bytes, kept } = await insertMetadata(new Uint8Array(await blob.arrayBuffer()), { exif });
  if (!kept.exif) notes.push('The camera’s EXIF data didn’t fit into the file.');
  return { blob: new Blob([bytes as Uint8Array<ArrayBuffer>], { type: blob.type }), notes };
}
