/** A decoded picture: interleaved rows from the top left, no padding. `Uint16Array` data means 16 bits a sample (0…65535). */
export interface Image {
  readonly width: number;
  readonly height: number;
  /** 1 gray · 2 gray + alpha · 3 RGB · 4 RGB + alpha. */
  readonly channels: 1 | 2 | 3 | 4;
  readonly data: Uint8Array | Uint16Array;
}

/** An 8-bit RGB picture: what training and the metrics work on. */
export interface RgbImage extends Image {
  readonly channels: 3;
  readonly data: Uint8Array;
}

/** The `width`×`height` window whose top left corner is (`x`, `y`). */
export function cropImage<T extends Image>(image: T, x: number, y: number, width: number, height: number): T {
  const { channels } = image;
  if (x < 0 || y < 0 || width < 1 || height < 1 || x + width > image.width || y + height > image.height) {
    throw new RangeError(`crop ${width}×${height} at (${x}, ${y}) does not lie inside ${image.width}×${image.height}`);
  }
  const data = image.data instanceof Uint16Array ? new Uint16Array(width * height * channels) : new Uint8Array(width * height * channels);
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

/** Pictures of equal height, side by side. */
export function besideEachOther(images: readonly RgbImage[]): RgbImage {
  const height = images[0].height;
  const width = images.reduce((sum, image) => sum + image.width, 0);
  const data = new Uint8Array(width * height * 3);
  let x = 0;
  for (const image of images) {
    if (image.height !== height) throw new RangeError(`pictures side by side need equal heights, got ${height} and ${image.height}`);
    for (let row = 0; row < height; row++) {
      data.set(image.data.subarray(row * image.width * 3, (row + 1) * image.width * 3), (row * width + x) * 3);
    }
    x += image.width;
  }
  return { width, height, channels: 3, data };
}
