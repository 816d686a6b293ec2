import type { RgbImage } from '../image/image.js';

/** What scaleBilinear does, for output and tables. */
export const scaleFilter = 'bilinear without antialias, pixel centres aligned (at 1/2: the mean of 2×2 pixels)';

export interface Size { width: number; height: number }

/** What scaleBilinear makes of a size. */
export const scaledSize = ({ width, height }: Size, scale: number): Size => ({ width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) });

/**
 * Makes a picture smaller by a factor in (0, 1]; sizes are rounded. Bilinear interpolation at the aligned pixel centres, without
 * antialias, rounded to nearest: at exactly 1/2 the mean of 2×2 pixels, which is what OpenCV's INTER_LINEAR and torch's
 * `interpolate(mode='bilinear', align_corners=False)` give. Below 1/2 it skips pixels, as they do.
 */
export function scaleBilinear(image: RgbImage, scale: number): RgbImage {
  if (!(scale > 0 && scale <= 1)) throw new RangeError(`expected a scale above 0 and at most 1, got ${scale}`);
  const { width, height } = scaledSize(image, scale);
  if (width === image.width && height === image.height) return image;
  const columns = taps(image.width, width), rows = taps(image.height, height);
  const data = new Uint8Array(width * height * 3), source = image.data, stride = image.width * 3;
  let to = 0;
  for (let y = 0; y < height; y++) {
    const top = rows.first[y] * stride, bottom = rows.second[y] * stride, down = rows.share[y];
    for (let x = 0; x < width; x++) {
      const left = columns.first[x] * 3, right = columns.second[x] * 3, across = columns.share[x];
      for (let c = 0; c < 3; c++) {
        const above = source[top + left + c] * (1 - across) + source[top + right + c] * across;
        const below = source[bottom + left + c] * (1 - across) + source[bottom + right + c] * across;
        data[to++] = Math.floor(above * (1 - down) + below * down + 0.5);
      }
    }
  }
  return { width, height, channels: 3, data };
}

/** For each output position: the two input positions it lies between, and the share of the second. */
function taps(from: number, to: number): { first: Uint32Array; second: Uint32Array; share: Float64Array } {
  const first = new Uint32Array(to), second = new Uint32Array(to), share = new Float64Array(to);
  for (let i = 0; i < to; i++) {
    const position = Math.min(from - 1, Math.max(0, ((i + 0.5) * from) / to - 0.5));
    first[i] = Math.floor(position);
    second[i] = Math.min(from - 1, first[i] + 1);
    share[i] = position - first[i];
  }
  return { first, second, share };
}
