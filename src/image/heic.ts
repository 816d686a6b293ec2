/** HEIC in Node. Of the HEIF family, sharp's own libraries decode AVIF only. */
import sharp, { type Metadata } from 'sharp';
import { decodeHeic, type LibHeif } from './heic-decode.js';
import { insertMetadata } from './metadata.js';

/** HEIC's extensions, lower case. They are read, not written: what is HEVC inside needs an encoder, and no package brings one. */
export const heicExtensions = ['.heic', '.heif', '.hif'] as const;

/**
 * The file's main picture as a PNG, uncompressed, with its colour profile; without its EXIF, whose orientation must not turn it: HEIC's own turns are
 * applied. 10 and 12 bits are spread over 16.
 * @param metadata what sharp says of the file: it reads HEIC's headers
 * @throws Error saying what libheif finds wrong
 */
export async function heicAsPng(file: Uint8Array, { depth, hasAlpha, icc }: Metadata): Promise<Uint8Array> {
  const { default: libheif } = await import('libheif-js/wasm-bundle.js') as { default: LibHeif }; // two megabytes: only for who needs them
  const deep = depth === 'ushort', channels = hasAlpha ? 4 : 3;
  const { data, width, height } = await decodeHeic(libheif, file, { deep, alpha: hasAlpha });
  const picture = sharp(data, { raw: { width, height, channels }, limitInputPixels: false }).toColourspace(deep ? 'rgb16' : 'srgb');
  const { bytes } = await insertMetadata(await picture.png({ compressionLevel: 0 }).toBuffer(), { icc });
  return bytes;
}
