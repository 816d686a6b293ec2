/** Things that move by themselves in front of a scene. */
import type { Random } from '../random.js';
import type { Layer } from './exposure.js';
import { borderIndex, type Area, type LinearImage } from './linear.js';
import type { Path } from './trajectory.js';

/** Soft-edged and roundish: radius(φ) = base · (1 + a few harmonics), opacity falling from 1 to 0 over `edge` pixels. */
interface Blob { readonly x: number; readonly y: number; readonly base: number; readonly edge: number; readonly waves: readonly { amount: number; phase: number }[] }

function randomBlob(random: Random, width: number, height: number): Blob {
  const side = Math.min(width, height);
  return {
    x: random.between(0, width), y: random.between(0, height),
    base: side * random.between(0.12, 0.4), edge: random.between(1, 3),
    waves: Array.from({ length: 4 }, (_, k) => ({ amount: random.between(0, 0.35) / (k + 1), phase: random.between(0, 2 * Math.PI) })),
  };
}

function opacityAt(blob: Blob, x: number, y: number): number {
  const dx = x - blob.x, dy = y - blob.y;
  const angle = Math.atan2(dy, dx);
  let radius = 1;
  blob.waves.forEach(({ amount, phase }, k) => { radius += amount * Math.cos((k + 1) * angle + phase); });
  const inside = (blob.base * radius - Math.sqrt(dx * dx + dy * dy)) / blob.edge;
  return inside <= 0 ? 0 : inside >= 1 ? 1 : inside * inside * (3 - 2 * inside);
}

/** What is exposed: the `area` of a picture, with `padding` more pixels of light on each side. */
export interface Seen { readonly scene: LinearImage; readonly padding: number; readonly picture: { readonly width: number; readonly height: number }; readonly area: Area }

/**
 * A random piece of the picture that goes along `path`. It shows what is under it (a thing that is in the photo moves) or,
 * with probability `foreignShare`, another part of the scene, mirrored (a foreign thing before it). The scene is the picture's `area` with
 * `padding` around; the piece may lie outside of it.
 */
export function randomObject(random: Random, { scene, padding, picture: { width, height }, area }: Seen, path: Path, foreignShare: number): Layer {
  const shiftX = padding - area.x, shiftY = padding - area.y; // from the picture to the scene
  const blob = randomBlob(random, width, height);
  const foreign = random.uniform() < foreignShare;
  const offsetX = random.integer(width), offsetY = random.integer(height);
  const reach = blob.base * (1 + blob.waves.reduce((sum, { amount }) => sum + amount, 0));
  const left = Math.max(0, Math.floor(blob.x + shiftX - reach)), right = Math.min(scene.width - 1, Math.ceil(blob.x + shiftX + reach));
  const top = Math.max(0, Math.floor(blob.y + shiftY - reach)), bottom = Math.min(scene.height - 1, Math.ceil(blob.y + shiftY + reach));
  const light = new Float32Array(scene.data.length), opacity = new Float32Array(scene.width * scene.height);
  for (let y = top; y <= bottom; y++) {
    const sourceY = foreign ? borderIndex(y + offsetY, scene.height, 'reflect') : y;
    for (let x = left; x <= right; x++) {
      const alpha = opacityAt(blob, x - shiftX, y - shiftY);
      if (alpha === 0) continue;
      const sourceX = foreign ? borderIndex(scene.width - 1 - x - offsetX, scene.width, 'reflect') : x;
      const to = y * scene.width + x, from = 3 * (sourceY * scene.width + sourceX);
      opacity[to] = alpha;
      for (let c = 0; c < 3; c++) light[3 * to + c] = alpha * scene.data[from + c];
    }
  }
  return { foreign, light, opacity, left, top, right, bottom, x: path.x, y: path.y };
}
