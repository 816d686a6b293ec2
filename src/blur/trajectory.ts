/**
 * Random camera-shake trajectories after Boracchi and Foi, "Modeling the performance of image restoration from motion
 * blur", IEEE TIP 21(8), 2012: a particle on a plane, pushed by Gaussian jerks, pulled back to where it started, and now
 * and then thrown back by a sudden shake, as a hand corrects itself. Parameters and constants are those of the
 * generator that DeblurGAN (Kupyn et al., CVPR 2018) was trained with.
 */
import type { Random } from '../random.js';
import type { Kernel } from './kernel.js';

/** Positions in pixels at equally spaced moments of the exposure. */
export interface Path { readonly x: Float64Array; readonly y: Float64Array }

export interface TrajectoryOptions {
  /** Moments in the whole exposure. */
  samples?: number;
  /** Path length of the whole exposure in pixels; every step has the same length. */
  maxLength?: number;
  /** How nervous the hand is: 0 gives a straight line. Drawn from six values when left out. */
  anxiety?: number;
}

const anxieties = [0.01, 0.009, 0.008, 0.007, 0.005, 0.003] as const;

/** A random trajectory that starts at (0, 0). */
export function randomTrajectory(random: Random, options: TrajectoryOptions = {}): Path {
  const { samples = 2000, maxLength = 60, anxiety = random.pick(anxieties) } = options;
  const centripetal = 0.7 * random.uniform();
  const bigShake = 0.2 * random.uniform();
  const gaussian = 10 * random.uniform();
  const angle = random.between(0, 2 * Math.PI);
  const step = maxLength / (samples - 1);
  const x = new Float64Array(samples), y = new Float64Array(samples);
  let vx = step * Math.cos(angle), vy = step * Math.sin(angle);
  for (let t = 0; t + 1 < samples; t++) {
    let dx = anxiety * (gaussian * random.normal() - centripetal * x[t]) * step;
    let dy = anxiety * (gaussian * random.normal() - centripetal * y[t]) * step;
    if (random.uniform() < bigShake * anxiety) {
      const turn = Math.PI + random.uniform() - 0.5;
      dx += 2 * (vx * Math.cos(turn) - vy * Math.sin(turn));
      dy += 2 * (vx * Math.sin(turn) + vy * Math.cos(turn));
    }
    vx += dx;
    vy += dy;
    const scale = step / Math.hypot(vx, vy);
    vx *= scale;
    vy *= scale;
    x[t + 1] = x[t] + vx;
    y[t + 1] = y[t] + vy;
  }
  return { x, y };
}

/** The first `fraction` of the exposure: what a faster shutter sees. At least one moment. */
export function shortenPath({ x, y }: Path, fraction: number): Path {
  const count = Math.max(1, Math.round(fraction * x.length));
  return { x: x.subarray(0, count), y: y.subarray(0, count) };
}

/** Distance travelled, in pixels. */
export function pathLength({ x, y }: Path): number {
  let length = 0;
  for (let t = 1; t < x.length; t++) length += Math.hypot(x[t] - x[t - 1], y[t] - y[t - 1]);
  return length;
}

/**
 * The path as a kernel that sums to 1: each moment adds the same light, shared bilinearly among the four pixels around
 * it. The path is shifted by a sub-pixel amount so that the kernel's centroid lies on its middle pixel: blurring with it
 * displaces nothing on the whole (bilinear shares keep first moments, so this is exact). `centre: 'given'` keeps the path
 * where it is, with (0, 0) on the middle pixel.
 */
export function kernelOfPath({ x, y }: Path, { centre = 'centroid' as 'centroid' | 'given' } = {}): Kernel {
  const n = x.length;
  const mean = (values: Float64Array): number => values.reduce((sum, v) => sum + v, 0) / n;
  const x0 = centre === 'centroid' ? mean(x) : 0, y0 = centre === 'centroid' ? mean(y) : 0;
  let reach = 0;
  for (let t = 0; t < n; t++) reach = Math.max(reach, Math.abs(x[t] - x0), Math.abs(y[t] - y0));
  const radius = Math.ceil(reach - 1e-9);
  const size = 2 * radius + 1;
  const data = new Float64Array(size * size);
  const add = (column: number, row: number, light: number): void => {
    if (light > 0) data[row * size + column] += light / n;
  };
  for (let t = 0; t < n; t++) {
    const px = Math.min(x[t] - x0 + radius, size - 1), py = Math.min(y[t] - y0 + radius, size - 1);
    const column = Math.max(0, Math.floor(px)), row = Math.max(0, Math.floor(py));
    const fx = Math.max(0, px - column), fy = Math.max(0, py - row);
    add(column, row, (1 - fx) * (1 - fy));
    add(column + 1, row, fx * (1 - fy));
    add(column, row + 1, (1 - fx) * fy);
    add(column + 1, row + 1, fx * fy);
  }
  return { size, data };
}
