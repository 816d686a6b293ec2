/** Photo files ↔ samples, by the browser's own codecs. Always 8-bit RGBA, upright, sRGB or (for photos tagged so) Display P3. */
import { ImageError } from '../../../src/errors.js';
import type { Image } from '../../../src/image/image.js';

export type PixelFormat = 'srgb' | 'display-p3';

export interface Pixels extends Image {
  readonly channels: 4;
  readonly data: Uint8Array;
  readonly format: PixelFormat;
}

/** Browsers turn photos upright by their EXIF, but don't agree on WebP: there it is left as it is, in the pixels and in the EXIF. */
export const orientationFor = (isWebp: boolean): 'none' | 'from-image' => (isWebp ? 'none' : 'from-image');

/** Rows drawn at a time: a canvas of the whole photo would exceed what some browsers allow. */
const strip = 512;

/** The start of a file, where its profile is, a character a byte. */
export const startOf = async (file: Blob): Promise<string> => new TextDecoder('latin1').decode(await file.slice(0, 2 ** 18).arrayBuffer());

/** What to say of a file that the browser can't read. */
export const unreadable = 'JPEG, PNG, WebP, AVIF, GIF and HEIC can be read. The file may also be damaged, or empty.';

/** Throws ImageError when the browser can't read the file. */
export async function decode(file: Blob): Promise<Pixels> {
  const start = await startOf(file);
  const format = colourOf(start);
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file, { premultiplyAlpha: 'none', imageOrientation: orientationFor(start.startsWith('RIFF')) });
  } catch {
    throw new ImageError(unreadable);
  }
  const { width, height } = bitmap;
  const data = new Uint8Array(4 * width * height);
  const context = new OffscreenCanvas(width, Math.min(strip, height)).getContext('2d', { willReadFrequently: true, colorSpace: format })!;
  for (let top = 0; top < height; top += strip) {
    const rows = Math.min(strip, height - top);
    context.clearRect(0, 0, width, rows);
    context.drawImage(bitmap, 0, -top);
    data.set(context.getImageData(0, 0, width, rows, { colorSpace: format }).data, 4 * width * top);
  }
  bitmap.close();
  return { width, height, channels: 4, data, format };
}

/** Encodes, at high quality by default. The blob's type is PNG where the browser can't write `type`. */
export async function encode({ width, height, format, data }: Pick<Pixels, 'width' | 'height' | 'format' | 'data'>, type: string, quality = 0.95): Promise<Blob> {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d', { willReadFrequently: true, colorSpace: format });
  if (!context) throw new ImageError(`This browser can’t hold a picture of ${width} × ${height} pixels for saving. Try a smaller photo, or the command line.`);
  for (let top = 0; top < height; top += strip) {
    const rows = Math.min(strip, height - top);
    const samples = new Uint8ClampedArray(data.buffer as ArrayBuffer, data.byteOffset + 4 * width * top, 4 * width * rows);
    context.putImageData(new ImageData(samples, width, rows, { colorSpace: format }), 0, top);
  }
  return canvas.convertToBlob({ type, quality });
}

/** before + strength · (after − before), rounded; alpha as it was. */
export function blend(before: Uint8Array, after: Uint8Array, strength: number): Uint8Array {
  if (strength === 1) return after;
  const out = new Uint8Array(after.length);
  for (let i = 0; i < out.length; i++) out[i] = Math.round(before[i] + strength * (after[i] - before[i]));
  return out;
}

/** Display P3 where the start of the file names it as its profile: what phones write. Everything else is converted to sRGB by the browser. */
export function colourOf(start: string): PixelFormat {
  return /ICC_PROFILE|ICCP|colrprof/.test(start) && /Display P3|D\0i\0s\0p\0l\0a\0y\0 \0P\x003/.test(start) ? 'display-p3' : 'srgb';
}
