/** Colours for generated scenes, chosen in OKLCH (Björn Ottosson, 2020), where equal steps look equal. Linear light out. */
import type { Random } from '../random.js';

/** Linear sRGB in [0, 1]. */
export type Colour = readonly [number, number, number];

/** Lightness 0…1, chroma 0…0.3, hue in degrees. Colours that a screen can't show are clipped. */
export function oklch(lightness: number, chroma: number, hue: number): Colour {
  const a = chroma * Math.cos(hue * Math.PI / 180), b = chroma * Math.sin(hue * Math.PI / 180);
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3;
  const clip = (v: number): number => Math.min(1, Math.max(0, v));
  return [
    clip(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
    clip(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
    clip(-0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s),
  ];
}

/** `a` at 0, `b` at 1. */
export function mixColours(a: Colour, b: Colour, share: number): Colour {
  return [a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share];
}

/** Colours that go together: a few hues in several lightnesses, with a near-black and a near-white for lettering. */
export interface Palette { readonly colours: readonly Colour[]; readonly ink: Colour; readonly paper: Colour }

/** Hues in degrees from the first one: neighbours, neighbours and their opposite, a split triad. */
const harmonies = [[0, 30, -35, 70], [0, 25, 180, -30], [0, 140, 220, 20], [0, 45, 185, 230], [0, 90, 180, 270]] as const;

export function randomPalette(random: Random): Palette {
  const base = random.between(0, 360);
  const hues = random.pick(harmonies);
  const vivid = random.between(0.09, 0.18);
  const colours = hues.flatMap((hue) => [0.32, 0.5, 0.68, 0.84].map((lightness) => oklch(
    lightness + random.between(-0.07, 0.07), vivid * random.between(0.4, 1.25) * (lightness > 0.8 ? 0.6 : 1), base + hue + random.between(-8, 8))));
  return { colours, ink: oklch(0.2, 0.03, base + 200), paper: oklch(0.96, 0.02, base + 60) };
}
