/** HEIC, as iPhones write photos, decoded by libheif and libde265 in WebAssembly. Runs in Node and in browsers. */

/** The parts of libheif's binding that are used. What fails has a `message`. */
export interface LibHeif {
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
 * The samples of the file's main picture, upright, RGB or RGBA in the encoding of its colour profile: 8 bits each, or with `deep` the 10 or 12 bits that
 * are stored, spread over 16.
 * @throws Error saying what libheif finds wrong
 */
export async function decodeHeic(libheif: LibHeif, file: Uint8Array, { deep, alpha }: { deep: boolean; alpha: boolean }): Promise<{ data: Uint8Array | Uint16Array; width: number; height: number }> {
  const context = libheif.heif_context_alloc();
  try {
    const opened = libheif.heif_context_read_from_memory(context, file);
    if (opened.code !== libheif.heif_error_code.heif_error_Ok) throw new Error(opened.message);
    const handle = mainPicture(libheif, context);
    try {
      const chroma = `heif_chroma_interleaved_${deep ? (alpha ? 'RRGGBBAA_LE' : 'RRGGBB_LE') : (alpha ? 'RGBA' : 'RGB')}`;
      const decoded = await libheif.heif_js_decode_image2(handle, libheif.heif_colorspace.heif_colorspace_RGB, libheif.heif_chroma[chroma]);
      if (decoded.code !== undefined) throw new Error(decoded.message);
      try {
        return packed(decoded.channels[0], (alpha ? 4 : 3) * (deep ? 2 : 1));
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
