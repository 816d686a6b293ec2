/** Samples of 8 bits (0…255) or 16 (0…65535). */
export type Samples = Uint8Array | Uint16Array;

/** A decoded picture: interleaved rows from the top left, no padding. */
export interface Image {
  readonly width: number;
  readonly height: number;
  /** 1 gray · 2 gray + alpha · 3 RGB · 4 RGB + alpha. */
  readonly channels: 1 | 2 | 3 | 4;
  readonly data: Samples;
}

/** An 8-bit RGB picture: what training and the metrics work on. */
export interface RgbImage extends Image {
  readonly channels: 3;
  readonly data: Uint8Array;
}

/** What stands for full brightness. */
export const largestSample = (data: Samples): number => (data instanceof Uint16Array ? 65535 : 255);

/** Samples of the same depth, all zero. */
export function samplesLike(data: Samples, length: number): Samples {
  return data instanceof Uint16Array ? new Uint16Array(length) : new Uint8Array(length);
}

/** Rec. 709 luma. */
export const luma = (red: number, green: number, blue: number): number => 0.2126 * red + 0.7152 * green + 0.0722 * blue;

/** The `width`×`height` window whose top left corner is (`x`, `y`). */
export function cropImage<T extends Image>(image: T, x: number, y: number, width: number, height: number): T {
  const { channels } = image;
  if (x < 0 || y < 0 || width < 1 || height < 1 || x + width > image.width || y + height > image.height) {
    throw new RangeError(`crop ${width}×${height} at (${x}, ${y}) does not lie inside ${image.width}×${image.height}`);
  }
  const data = samplesLike(image.data, width * height * channels);
  for (let row = 0; row < height; row++) {
    const from = ((y + row) * image.width + x) * channels;
    data.set(image.data.subarray(from, from + width * channels), row * width * channels);
  }
  return { ...image, width, height, data };
}

/** The centred `width`×`height` window, rounded towards the top left. */
export function centreCrop<T extends Image>(image: T, width: number, height: number): T {
  return cropImage(image, Math.floor((image.width - width) / 2), Math.floor((image.height - height) / 2), width, height);
}

/** Pictures of equal height, channels and depth, side by side. */
export function besideEachOther<T extends Image>(images: readonly T[]): T {
  const [{ height, channels, data: first }] = images;
  const width = images.reduce((sum, image) => sum + image.width, 0);
  const data = samplesLike(first, width * height * channels);
  let x = 0;
  for (const image of images) {
    if (image.height !== height || image.channels !== channels) throw new RangeError(`pictures side by side need equal heights and channels, got ${height}×${channels} and ${image.height}×${image.channels}`);
    for (let row = 0; row < height; row++) {
      data.set(image.data.subarray(row * image.width * channels, (row + 1) * image.width * channels), (row * width + x) * channels);
    }
    x += image.width;
  }
  return { ...images[0], width, height, data };
}
