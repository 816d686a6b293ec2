/** HEIC, as iPhones write photos: decoded by libheif and libde265 in WebAssembly, for of the HEIF family sharp's own libraries decode AVIF only. */
import sharp, { type Metadata } from 'sharp';
import { uprightExif } from './exif.js';
import { insertMetadata } from './metadata.js';

/** Its extensions, lower case. They are read, not written: its encoders need a licence. */
export const heicExtensions = ['.heic', '.heif', '.hif'] as const;

/** The parts of libheif's binding that are used. What fails has a `message`. */
interface LibHeif {
  heif_context_alloc(): object;
  heif_context_free(context: object): void;
  heif_context_read_from_memory(context: object, file: Uint8Array): { code: unknown; message: string };
  heif_js_context_get_list_of_top_level_image_IDs(context: object): number[] & { message?: string };
  heif_js_context_get_image_handle(context: object, id: number): Failure;
  heif_image_handle_is_primary_image(handle: object): number;
  heif_image_handle_release(handle: object): void;
  heif_js_decode_image2(handle: object, colorspace: unknown, chroma: unknown): Promise<Failure & { image: object; channels: { data: Uint8Array; width: number; height: number; stride: number; bits_per_pixel: number }[] }>;
  heif_image_release(image: object): void;
  heif_error_code: Record<string, unknown>;
  heif_colorspace: Record<string, unknown>;
  heif_chroma: Record<string, unknown>;
}
interface Failure { code?: unknown; message?: string }

/**
 * The file's main picture as a PNG, uncompressed, with its EXIF and colour profile; upright, since HEIC's own turns are applied and its EXIF's
 * orientation doesn't count. 10 and 12 bits are spread over 16.
 * @param metadata what sharp says of the file: it reads HEIC's headers
 * @throws Error saying what libheif finds wrong
 */
export async function heicAsPng(file: Uint8Array, { depth, hasAlpha, exif, icc }: Metadata): Promise<Uint8Array> {
  const { default: libheif } = await import('libheif-js/wasm-bundle.js') as { default: LibHeif }; // two megabytes: only for who needs them
  const deep = depth === 'ushort', channels = hasAlpha ? 4 : 3;
  const { data, width, height } = await decode(libheif, file, `heif_chroma_interleaved_${deep ? (hasAlpha ? 'RRGGBBAA_LE' : 'RRGGBB_LE') : (hasAlpha ? 'RGBA' : 'RGB')}`, channels * (deep ? 2 : 1));
  const picture = sharp(data, { raw: { width, height, channels }, limitInputPixels: false }).toColourspace(deep ? 'rgb16' : 'srgb');
  const { bytes } = await insertMetadata(await picture.png({ compressionLevel: 0 }).toBuffer(), { exif: exif && uprightExif(exif), icc });
  return bytes;
}

async function decode(libheif: LibHeif, file: Uint8Array, chroma: string, bytesPerPixel: number): Promise<{ data: Uint8Array | Uint16Array; width: number; height: number }> {
  const context = libheif.heif_context_alloc();
  try {
    const opened = libheif.heif_context_read_from_memory(context, file);
    if (opened.code !== libheif.heif_error_code.heif_error_Ok) throw new Error(opened.message);
    const handle = mainPicture(libheif, context);
    try {
      const decoded = await libheif.heif_js_decode_image2(handle, libheif.heif_colorspace.heif_colorspace_RGB, libheif.heif_chroma[chroma]);
      if (decoded.code !== undefined) throw new Error(decoded.message);
      try {
        return packed(decoded.channels[0], bytesPerPixel);
      } finally {
        libheif.heif_image_release(decoded.image);
      }
    } finally {
      libheif.heif_image_handle_release(handle);
    }
  } finally {
    libheif.heif_context_free(context);
  }
}

function mainPicture(libheif: LibHeif, context: object): object {
  const ids = libheif.heif_js_context_get_list_of_top_level_image_IDs(context);
  for (const id of Array.isArray(ids) ? ids : []) {
    const handle = libheif.heif_js_context_get_image_handle(context, id);
    if (handle.code !== undefined) throw new Error(handle.message);
    if (libheif.heif_image_handle_is_primary_image(handle)) return handle;
    libheif.heif_image_handle_release(handle);
  }
  throw new Error(ids.message ?? 'it holds no picture');
}

/** Rows without the gaps that libheif leaves between them, in memory of their own; samples of more than 8 bits over 16. */
function packed({ data, width, height, stride, bits_per_pixel: bits }: { data: Uint8Array; width: number; height: number; stride: number; bits_per_pixel: number }, bytesPerPixel: number): { data: Uint8Array | Uint16Array; width: number; height: number } {
  const row = width * bytesPerPixel, rows = new Uint8Array(row * height);
  for (let y = 0; y < height; y++) rows.set(data.subarray(y * stride, y * stride + row), y * row);
  if (bits <= 8) return { data: rows, width, height };
  const scale = 65535 / (2 ** bits - 1);
  return { data: new Uint16Array(rows.buffer).map((value) => Math.round(value * scale)), width, height };
}
