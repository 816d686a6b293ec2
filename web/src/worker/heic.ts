/** HEIC for browsers that can't read it, which are all but Safari. */
import libheif from 'libheif-js/libheif-wasm/libheif-bundle.mjs';
import { ImageError, messageOf } from '../../../src/errors.js';
import { decodeHeic, type LibHeif } from '../../../src/image/heic-decode.js';
import { colourOf, encode, startOf } from './pixels.js';

/** The photo in a form that this browser reads, with its colours: WebP, which at full quality loses nothing, or PNG where it writes no WebP. */
export async function readableForm(file: Blob): Promise<Blob> {
  const decoded = await decodeHeic((libheif as () => LibHeif)(), new Uint8Array(await file.arrayBuffer()), { deep: false, alpha: true }).catch((error: unknown) => {
    throw new ImageError(`The file looks like HEIC, but can’t be decoded (${messageOf(error)}).`);
  });
  return encode({ ...decoded, data: decoded.data as Uint8Array, format: colourOf(await startOf(file)) }, 'image/webp', 1);
}
