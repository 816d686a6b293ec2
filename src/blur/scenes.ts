/**
 * Generated scenes, so that everything can be tried without a photo. "Dead leaves": opaque shapes of power-law sizes
 * that hide one another, which have the edge and scale statistics of natural pictures (Lee, Mumford and Huang, IJCV 2001),
 * here with textures, shading, soft shadows, lettering and small bright lights. Drawn in linear light.
 */
import type { RgbImage } from '../image/image.js';
import type { Random } from '../random.js';
import { mixColours, randomPalette, type Colour, type Palette } from './colour.js';
import { strokesOf, widthOf } from './glyphs.js';
import { fromLinear, type LinearImage } from './linear.js';
import { disc, randomLeaf, rectangle, stroke, type Shape } from './shapes.js';
import { cloudNoise, coverage, gradient, randomTexture, type Texture } from './textures.js';

/** A scene of any size in whole pixels ≥ 1. The same position of `random` gives the same bytes. */
export function generateScene(random: Random, width: number, height: number): RgbImage {
  const canvas: LinearImage = { width, height, data: new Float32Array(width * height * 3) };
  const side = Math.sqrt(width * height);
  const palette = randomPalette(random);
  paintGround(canvas, random, palette);
  const leaves = leafRadii(random, side);
  // Signs come late: few leaves lie on them.
  const signAt = Array.from({ length: 1 + random.integer(3) }, () => Math.floor(leaves.length * random.between(0.6, 1)));
  leaves.forEach((radius, i) => {
    paintLeaf(canvas, random, palette, radius);
    for (const at of signAt) if (at === i) paintSign(canvas, random, palette, side);
  });
  paintLights(canvas, random, side);
  finish(canvas, random, side);
  return fromLinear(canvas);
}

/**
 * Radii with density r⁻³, from a 60th to a 25th of the side (busy and calm scenes) up to 0.4 of it, until they would
 * cover the picture three times. Loosely from large to small: in random order the large ones hide all others.
 */
function leafRadii(random: Random, side: number): number[] {
  const smallest = side / random.between(25, 60), largest = 0.4 * side;
  const radii: { radius: number; order: number }[] = [];
  for (let covered = 0; covered < 3 * side * side;) {
    const radius = smallest / Math.sqrt(1 - random.uniform() * (1 - (smallest / largest) ** 2));
    radii.push({ radius, order: Math.log(radius) + 0.7 * random.normal() });
    covered += Math.PI * radius * radius;
  }
  return radii.sort((a, b) => b.order - a.order).map(({ radius }) => radius);
}

function paintGround(canvas: LinearImage, random: Random, palette: Palette): void {
  const { width, height } = canvas;
  const [top, bottom] = [random.pick(palette.colours), random.pick(palette.colours)];
  const fill = gradient(top, bottom, width / 2, height / 2, random.between(0, Math.PI), Math.hypot(width, height) / 2);
  const noise = cloudNoise(random.integer(2 ** 31), Math.max(width, height) / 6, 6);
  eachPixel(canvas, 0, 0, width - 1, height - 1, (x, y, at) => {
    const colour = fill(x, y), shade = 0.7 + 0.6 * noise(x, y);
    for (let c = 0; c < 3; c++) canvas.data[at + c] = colour[c] * shade;
  });
}

function paintLeaf(canvas: LinearImage, random: Random, palette: Palette, radius: number): void {
  const x = random.between(0, canvas.width), y = random.between(0, canvas.height);
  const shape = randomLeaf(random, x, y, radius);
  const texture = randomTexture(random, random.pick(palette.colours), random.pick(palette.colours), x, y, radius);
  cast(canvas, shape, radius);
  fillShape(canvas, shape, texture);
}

/** A plate with a word or two on it. */
function paintSign(canvas: LinearImage, random: Random, palette: Palette, side: number): void {
  const height = side * random.between(0.035, 0.09);
  const lines = Array.from({ length: 1 + random.integer(2) }, () => randomWord(random));
  const halfWidth = Math.max(...lines.map((line) => widthOf(line, height))) / 2 + 0.7 * height;
  const halfHeight = (lines.length * 1.6 * height + 0.5 * height) / 2;
  const x = random.between(0.2, 0.8) * canvas.width, y = random.between(0.15, 0.85) * canvas.height;
  const angle = 0.25 * random.normal();
  const dark = random.uniform() < 0.4;
  const ground = dark ? palette.ink : mixColours(palette.paper, random.pick(palette.colours), random.between(0, 0.35));
  const letters: Colour = dark ? palette.paper : palette.ink;
  const plate = rectangle(x, y, halfWidth, halfHeight, angle, 0.25 * height);
  cast(canvas, plate, height);
  fillShape(canvas, plate, gradient(ground, mixColours(ground, [0, 0, 0], 0.15), x, y, angle + 1, halfWidth));
  const cos = Math.cos(angle), sin = Math.sin(angle), thickness = height * random.between(0.055, 0.1);
  lines.forEach((line, i) => {
    const down = (i - (lines.length - 1) / 2) * 1.6 * height;
    for (const points of strokesOf(line, height)) {
      const placed = points.map(([u, v]) => [x + cos * u - sin * (v + down), y + sin * u + cos * (v + down)] as const);
      fillShape(canvas, stroke(placed, thickness), () => letters);
    }
  });
}

const words = ('ALMOND AMBER ANCHOR BAKERY BIRCH BRIDGE CAFE CANYON CASTLE CEDAR CHERRY CINEMA CLOVER COBALT COMPASS COPPER CORAL CYPRESS DELTA '
  + 'DEPOT DRIFT EMBER FALCON FERRY FJORD GARDEN GINGER GRANITE HARBOR HAZEL HOTEL INDIGO ISLAND JASMINE JUNIPER KIOSK KITE LAGOON LANTERN '
  + 'LINDEN MAGNET MAPLE MARKET MEADOW METRO MUSEUM NORTH OCEAN OLIVE ORBIT ORCHID PARK PEPPER PIANO PLAZA PRISM QUARTZ RADIO RIVER SAFFRON '
  + 'SIERRA STATION STUDIO SUMMIT TAXI THEATER TUNNEL VALLEY VELVET VIOLET WALNUT WEST WINDOW XENON YACHT ZEPHYR ZERO').split(' ');

function randomWord(random: Random): string {
  return random.uniform() < 0.2 ? String(10 + random.integer(9990)) : random.pick(words);
}

/** Small lamps at full white: what smears into streaks. */
function paintLights(canvas: LinearImage, random: Random, side: number): void {
  for (let n = random.integer(9); n > 0; n--) {
    const x = random.between(0, canvas.width), y = random.between(0, canvas.height), radius = side * random.between(0.002, 0.006) + 0.7;
    const glow: Colour = mixColours([1, 1, 1], [1, 0.75, 0.4], random.uniform());
    const halo = 6 * radius;
    eachPixel(canvas, x - halo, y - halo, x + halo, y + halo, (px, py, at) => {
      const fall = Math.max(0, 1 - Math.sqrt((px - x) ** 2 + (py - y) ** 2) / halo) ** 3;
      for (let c = 0; c < 3; c++) canvas.data[at + c] += 0.6 * fall * glow[c];
    });
    fillShape(canvas, disc(x, y, radius), () => [1, 1, 1]);
  }
}

/** Light from one side, darker corners, and a trace of unevenness so that no surface is perfectly flat. */
function finish(canvas: LinearImage, random: Random, side: number): void {
  const { width, height, data } = canvas;
  const angle = random.between(0, 2 * Math.PI), cos = Math.cos(angle), sin = Math.sin(angle);
  const fine = cloudNoise(random.integer(2 ** 31), 3, 2), coarse = cloudNoise(random.integer(2 ** 31), side / 3, 2);
  eachPixel(canvas, 0, 0, width - 1, height - 1, (x, y, at) => {
    const u = (x + 0.5) / width - 0.5, v = (y + 0.5) / height - 0.5;
    const light = 1.05 + 0.35 * (u * cos + v * sin) - 0.5 * (u * u + v * v) + 0.25 * (coarse(x, y) - 0.5) + 0.12 * (fine(x, y) - 0.5);
    for (let c = 0; c < 3; c++) data[at + c] *= light;
  });
}

/** A soft shadow, down and to the right, as wide as the thing is high. */
function cast(canvas: LinearImage, shape: Shape, size: number): void {
  const shift = Math.min(0.12 * size, 14), soft = Math.min(0.3 * size, 30);
  const reach = shape.reach + soft;
  eachPixel(canvas, shape.x + shift - reach, shape.y + shift - reach, shape.x + shift + reach, shape.y + shift + reach, (x, y, at) => {
    const depth = 0.5 - shape.distance(x - shift, y - shift) / (2 * soft);
    if (depth <= 0) return;
    const dark = 1 - 0.55 * Math.min(1, depth) ** 1.5;
    for (let c = 0; c < 3; c++) canvas.data[at + c] *= dark;
  });
}

function fillShape(canvas: LinearImage, shape: Shape, texture: Texture): void {
  const reach = shape.reach + 1;
  eachPixel(canvas, shape.x - reach, shape.y - reach, shape.x + reach, shape.y + reach, (x, y, at) => {
    const alpha = coverage(shape.distance(x, y));
    if (alpha === 0) return;
    const colour = texture(x, y);
    for (let c = 0; c < 3; c++) canvas.data[at + c] += alpha * (colour[c] - canvas.data[at + c]);
  });
}

/** Calls `visit` with every pixel of the canvas in the given bounds and its place in the data. */
function eachPixel({ width, height }: LinearImage, left: number, top: number, right: number, bottom: number,
  visit: (x: number, y: number, at: number) => void): void {
  const x0 = Math.max(0, Math.floor(left)), x1 = Math.min(width - 1, Math.ceil(right));
  const y0 = Math.max(0, Math.floor(top)), y1 = Math.min(height - 1, Math.ceil(bottom));
  for (let y = y0; y <= y1; y++) for (let x = x0; x <= x1; x++) visit(x, y, 3 * (y * width + x));
}
