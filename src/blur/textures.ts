/** What surfaces of generated scenes look like: functions from a pixel to a colour in linear light. */
import type { Random } from '../random.js';
import { mixColours, type Colour } from './colour.js';

/** The colour at a pixel. */
export type Texture = (x: number, y: number) => Colour;

/** Smooth noise in 0…1 with features of one unit: lattice values, interpolated by a quintic. */
function valueNoise(seed: number): (x: number, y: number) => number {
  const lattice = (i: number, j: number): number => {
    let h = Math.imul(i, 0x27d4eb2d) ^ Math.imul(j, 0x165667b1) ^ seed;
    h = Math.imul(h ^ (h >>> 15), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    return ((h ^ (h >>> 16)) >>> 0) / 2 ** 32;
  };
  const ease = (t: number): number => t * t * t * (t * (6 * t - 15) + 10);
  return (x, y) => {
    const i = Math.floor(x), j = Math.floor(y);
    const u = ease(x - i), v = ease(y - j);
    const top = lattice(i, j) * (1 - u) + lattice(i + 1, j) * u;
    const bottom = lattice(i, j + 1) * (1 - u) + lattice(i + 1, j + 1) * u;
    return top * (1 - v) + bottom * v;
  };
}

/** Noise at halving sizes and halving strengths, in 0…1: stone, clouds, cloth. The largest features have `size` pixels. */
export function cloudNoise(seed: number, size: number, octaves = 4): (x: number, y: number) => number {
  const noise = valueNoise(seed);
  const whole = 2 - 2 ** (1 - octaves);
  return (x, y) => {
    let sum = 0;
    for (let k = 0; k < octaves; k++) sum += noise(x * 2 ** k / size + 17 * k, y * 2 ** k / size + 31 * k) / 2 ** k;
    return sum / whole;
  };
}

/** Coverage of a pixel by a region whose edge is `distance` pixels away (negative: inside). */
export const coverage = (distance: number): number => Math.min(1, Math.max(0, 0.5 - distance));

export function gradient(a: Colour, b: Colour, x: number, y: number, angle: number, reach: number): Texture {
  const cos = Math.cos(angle), sin = Math.sin(angle);
  return (px, py) => mixColours(a, b, Math.min(1, Math.max(0, 0.5 + ((px - x) * cos + (py - y) * sin) / (2 * reach))));
}

/** Bright in the middle of a spot, dark at `reach` from it: a lit ball. */
function ball(light: Colour, dark: Colour, x: number, y: number, reach: number): Texture {
  return (px, py) => mixColours(light, dark, Math.min(1, ((px - x) ** 2 + (py - y) ** 2) / (reach * reach)));
}

export function stripes(a: Colour, b: Colour, angle: number, period: number, share: number): Texture {
  const cos = Math.cos(angle), sin = Math.sin(angle);
  return (px, py) => {
    const phase = (px * cos + py * sin) / period;
    const inside = Math.abs(phase - Math.floor(phase) - 0.5) - share / 2;
    return mixColours(a, b, coverage(inside * period));
  };
}

export function checks(a: Colour, b: Colour, angle: number, period: number): Texture {
  const cos = Math.cos(angle), sin = Math.sin(angle);
  const wave = (t: number): number => 2 * coverage((Math.abs(t - Math.floor(t) - 0.5) - 0.25) * period) - 1;
  return (px, py) => mixColours(a, b, 0.5 + 0.5 * wave((px * cos + py * sin) / period) * wave((py * cos - px * sin) / period));
}

export function dots(a: Colour, b: Colour, angle: number, period: number, radius: number): Texture {
  const cos = Math.cos(angle), sin = Math.sin(angle);
  return (px, py) => {
    const u = (px * cos + py * sin) / period, v = (py * cos - px * sin) / period;
    const away = Math.sqrt((u - Math.round(u)) ** 2 + (v - Math.round(v)) ** 2);
    return mixColours(a, b, coverage((away - radius) * period));
  };
}

function clouds(a: Colour, b: Colour, seed: number, size: number): Texture {
  const noise = cloudNoise(seed, size);
  return (px, py) => mixColours(a, b, Math.min(1, Math.max(0, 2 * noise(px, py) - 0.5)));
}

/** Rings around a far point, disturbed: cut wood. */
export function grain(a: Colour, b: Colour, seed: number, x: number, y: number, period: number): Texture {
  const noise = cloudNoise(seed, 8 * period, 3);
  return (px, py) => {
    const rings = (Math.sqrt((px - x) ** 2 + (0.25 * (py - y)) ** 2) + 10 * period * noise(px, py)) / period;
    const phase = rings - Math.floor(rings);
    return mixColours(a, b, phase * phase);
  };
}

/** A random texture of two colours for something of this position and size. Its details are at least about two pixels wide. */
export function randomTexture(random: Random, a: Colour, b: Colour, x: number, y: number, reach: number): Texture {
  const angle = random.between(0, Math.PI), seed = random.integer(2 ** 31);
  const near = mixColours(a, b, random.between(0.3, 0.7));
  const period = Math.max(4, reach * random.between(0.08, 0.45));
  switch (random.pick(['flat', 'gradient', 'gradient', 'ball', 'ball', 'stripes', 'stripes', 'checks', 'dots', 'clouds', 'clouds', 'grain'] as const)) {
    case 'flat': return () => a;
    case 'gradient': return gradient(a, near, x, y, angle, reach);
    case 'ball': return ball(mixColours(a, [1, 1, 1], 0.35), mixColours(a, [0, 0, 0], 0.55), x - 0.35 * reach, y - 0.4 * reach, 1.6 * reach);
    case 'stripes': return stripes(a, b, angle, period, random.between(0.3, 0.7));
    case 'checks': return checks(a, near, angle, period);
    case 'dots': return dots(a, b, angle, Math.max(6, period), random.between(0.2, 0.38));
    case 'clouds': return clouds(a, near, seed, Math.max(6, reach * random.between(0.2, 0.8)));
    case 'grain': return grain(a, mixColours(a, [0, 0, 0], 0.4), seed, x + random.between(-4, 4) * reach, y, period);
  }
}
