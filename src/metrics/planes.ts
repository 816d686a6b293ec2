/**
 * What the metrics work on: float planes in [0, 1]. Pictures are converted here, once, with every convention named.
 */
import { MetricError } from '../errors.js';
import type { Image } from '../image/image.js';

/** Channels of one picture, each `height` rows of `width` values from the top left. One plane is gray, three are RGB. */
export interface Planes {
  readonly width: number;
  readonly height: number;
  readonly planes: readonly (Float32Array | Float64Array)[];
}

/** A decoded picture (8 or 16 bits; alpha is ignored) or float planes. */
export type MetricImage = Image | Planes;

/** How a picture becomes planes. Every metric accepts these. */
export interface InputOptions {
  /** The value of white. Default: 255 or 65535 for pictures by their sample type, 1 for float planes. */
  dataRange?: number;
  /** `min-max` stretches each of the two pictures, over all its channels, to [0, 1] first: the report's habit. Default `none`. */
  normalize?: 'none' | 'min-max';
  /** `8-bit` clamps to [0, 1] and rounds to multiples of 1/255 first, as writing a PNG would. Default `none`. */
  round?: 'none' | '8-bit';
}

export const inputDefaults = { normalize: 'none', round: 'none' } as const satisfies InputOptions;

/** ITU-R BT.601 luma, used wherever a metric works on brightness. */
export const lumaWeights = [0.299, 0.587, 0.114] as const;

/**
 * Planes in [0, 1] (float planes outside their range stay outside). Order of steps: scale by `dataRange`, round, normalise.
 * Throws MetricError when `min-max` meets a picture of one single value.
 */
export function toPlanes(image: MetricImage, options: InputOptions = {}): Planes {
  const { normalize, round, dataRange } = { ...inputDefaults, ...options };
  if (dataRange !== undefined && !(dataRange > 0 && Number.isFinite(dataRange))) {
    throw new MetricError(`dataRange must be a positive number, got ${dataRange}`);
  }
  let result = 'planes' in image ? scaled(image, dataRange ?? 1) : unpacked(image, dataRange);
  if (round === '8-bit') result = mapped(result, (v) => Math.round(Math.min(1, Math.max(0, v)) * 255) / 255);
  return normalize === 'min-max' ? stretched(result) : result;
}

/** Both pictures as planes, of equal channels; throws MetricError unless they agree in size and no side is below `minimum` pixels. */
export function toPlanesPair(metric: string, test: MetricImage, reference: MetricImage, minimum: number, options: InputOptions): [Planes, Planes] {
  if (test.width !== reference.width || test.height !== reference.height) {
    throw new MetricError(`${metric} needs two pictures of one size, got ${test.width}×${test.height} and ${reference.width}×${reference.height}`);
  }
  if (Math.min(test.width, test.height) < minimum) {
    throw new MetricError(`${metric} needs pictures of at least ${minimum}×${minimum}, got ${test.width}×${test.height}; leave this metric out or use larger pictures`);
  }
  const a = toPlanes(test, options), b = toPlanes(reference, options);
  const channels = Math.max(a.planes.length, b.planes.length);
  return [withChannels(a, channels), withChannels(b, channels)];
}

/** A gray picture beside a colour one stands for three equal channels. */
function withChannels(image: Planes, channels: number): Planes {
  return image.planes.length === channels ? image : { ...image, planes: Array.from({ length: channels }, () => image.planes[0]) };
}

/** Brightness, 0.299 R + 0.587 G + 0.114 B, as one plane; a gray picture is its own. */
export function luminance(image: Planes, scale = 1): Float32Array {
  const { planes } = image;
  const out = new Float32Array(image.width * image.height);
  if (planes.length !== 3) {
    for (let i = 0; i < out.length; i++) out[i] = planes[0][i] * scale;
    return out;
  }
  const [r, g, b] = planes, [wr, wg, wb] = lumaWeights.map((weight) => weight * scale);
  for (let i = 0; i < out.length; i++) out[i] = wr * r[i] + wg * g[i] + wb * b[i];
  return out;
}

function unpacked(image: Image, dataRange = image.data instanceof Uint16Array ? 65535 : 255): Planes {
  const { width, height, channels, data } = image, samples = width * height;
  const levels = Float32Array.from({ length: data instanceof Uint16Array ? 65536 : 256 }, (_, level) => level / dataRange);
  const planes = Array.from({ length: channels < 3 ? 1 : 3 }, () => new Float32Array(samples));
  if (data.length !== samples * channels) throw new MetricError(`a ${width}×${height} picture of ${channels} channels has ${samples * channels} samples, got ${data.length}`);
  const [first, second, third] = planes;
  if (planes.length === 1) {
    for (let i = 0, from = 0; i < samples; i++, from += channels) first[i] = levels[data[from]];
  } else {
    for (let i = 0, from = 0; i < samples; i++, from += channels) {
      first[i] = levels[data[from]];
      second[i] = levels[data[from + 1]];
      third[i] = levels[data[from + 2]];
    }
  }
  return { width, height, planes };
}

function scaled(image: Planes, dataRange: number): Planes {
  const samples = image.width * image.height;
  if (image.planes.length !== 1 && image.planes.length !== 3) {
    throw new MetricError(`a picture of float planes has 1 or 3 of them, got ${image.planes.length}`);
  }
  for (const plane of image.planes) {
    if (plane.length !== samples) throw new MetricError(`a ${image.width}×${image.height} plane has ${samples} values, got ${plane.length}`);
  }
  return dataRange === 1 ? image : mapped(image, (v) => v / dataRange);
}

function stretched(image: Planes): Planes {
  let low = Infinity, high = -Infinity;
  for (const plane of image.planes) {
    for (let i = 0; i < plane.length; i++) {
      const v = plane[i];
      if (v < low) low = v;
      if (v > high) high = v;
    }
  }
  if (!(high > low)) throw new MetricError('min–max normalisation needs a picture with more than one value; use the clean protocol for flat pictures');
  // In 32 bits where the planes are, as the report did it: the quotient is rounded when it is stored.
  const round = image.planes[0] instanceof Float32Array ? Math.fround : (v: number): number => v, range = round(high - low);
  return mapped(image, (v) => round(v - low) / range);
}

function mapped(image: Planes, change: (value: number) => number): Planes {
  return { ...image, planes: image.planes.map((plane) => plane.map(change)) };
}
