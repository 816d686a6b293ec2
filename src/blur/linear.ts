/**
 * Linear light. Blur is a mean of light over the exposure, so pictures are averaged as light, not as their encoded
 * values: v ↦ (v/255)^γ before, its inverse after. γ = 2.2 is what GoPro's and REDS's blur was made with.
 */
import type { RgbImage } from '../image/image.js';
import { mirrored } from '../image/tiles.js';

/** Interleaved RGB rows in linear light: 0 is black, 1 the sensor's white. Values above 1 are highlights not yet clipped. */
export interface LinearImage { readonly width: number; readonly height: number; readonly data: Float32Array }

/** How a picture goes on beyond its edge: `reflect` mirrors without repeating the edge (dcb|abcd|cba), `replicate` repeats it. */
export type Border = 'reflect' | 'replicate';

/** A window of a picture, in its pixels. */
export interface Area { readonly x: number; readonly y: number; readonly width: number; readonly height: number }

/** The usual approximation of the sRGB curve by a power. */
export const defaultGamma = 2.2;

// Encoding is looked up by the square root of the light: close to the encoded value itself, so that the steps are
// even, and one entry in 64 of an 8-bit level.
const encodeSteps = 16_384;

interface Curve { decode: Float32Array; encode: Uint8Array }
const curves = new Map<number, Curve>();

function curveOf(gamma: number): Curve {
  let curve = curves.get(gamma);
  if (curve === undefined) {
    curve = {
      decode: Float32Array.from({ length: 256 }, (_, v) => (v / 255) ** gamma),
      encode: Uint8Array.from({ length: encodeSteps + 1 }, (_, i) => 255 * (i / encodeSteps) ** (2 / gamma) + 0.5),
    };
    // Callers that draw a γ of their own each time must not fill memory.
    if (curves.size >= 32) curves.clear();
    curves.set(gamma, curve);
  }
  return curve;
}

/** All of a picture. */
export const wholeOf = ({ width, height }: { width: number; height: number }): Area => ({ x: 0, y: 0, width, height });

/** Where index `i`, possibly outside, lies in a line of `n` samples. */
export function borderIndex(i: number, n: number, border: Border): number {
  if (i >= 0 && i < n) return i;
  return border === 'reflect' ? mirrored(i, n) : i < 0 ? 0 : n - 1;
}

/** 8-bit RGB to linear light: an area of the picture (default: all of it) with `padding` more pixels on each side, beyond the picture's own edge by `border`. */
export function toLinear(image: RgbImage, { gamma = defaultGamma, padding = 0, border = 'reflect' as Border, area = wholeOf(image) } = {}): LinearImage {
  const { decode } = curveOf(gamma);
  const { width, height, data } = image;
  const outWidth = area.width + 2 * padding, outHeight = area.height + 2 * padding;
  const out = new Float32Array(outWidth * outHeight * 3);
  const columns = Int32Array.from({ length: outWidth }, (_, x) => 3 * borderIndex(area.x + x - padding, width, border));
  for (let y = 0, o = 0; y < outHeight; y++) {
    const row = 3 * width * borderIndex(area.y + y - padding, height, border);
    for (let x = 0; x < outWidth; x++, o += 3) {
      const from = row + columns[x];
      out[o] = decode[data[from]];
      out[o + 1] = decode[data[from + 1]];
      out[o + 2] = decode[data[from + 2]];
    }
  }
  return { width: outWidth, height: outHeight, data: out };
}

/** Linear light to 8-bit RGB: clipped to [0, 1], encoded, rounded to nearest. */
export function fromLinear(image: LinearImage, { gamma = defaultGamma } = {}): RgbImage {
  const { encode } = curveOf(gamma);
  const { width, height, data } = image;
  const out = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const light = data[i];
    out[i] = light >= 1 ? 255 : light > 0 ? encode[Math.sqrt(light) * encodeSteps + 0.5 | 0] : 0;
  }
  return { width, height, channels: 3, data: out };
}
