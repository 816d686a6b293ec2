/** Random motions of a camera and of things: what is drawn, and how often. Time runs over n moments around the exposure's middle. */
import type { Random } from '../random.js';
import type { Pose } from './exposure.js';
import { pathLength, randomTrajectory, type Path } from './trajectory.js';

/**
 * Lengths of motion blur in pixels, 1 to 50, log-normal with median 10. Chosen so that sharp 224×224 crops of GoPro's and
 * REDS's training frames at half scale, blurred by the recipe, lie about as far from their targets as the real pairs do
 * (quartiles of PSNR 24.5, 29.8, 38.5 dB; the real pairs' 25.2, 28.1, 31.8). At full scale, 1280×720, real blur is longer.
 */
export function randomLength(random: Random): number {
  return Math.min(50, Math.max(1, 10 * Math.exp(0.75 * random.normal())));
}

/** Equally spaced times from −½ to ½, the middle of each of `n` short exposures; odd `n` has one at 0. */
const timeAt = (moment: number, n: number): number => (moment + 0.5) / n - 0.5;

/**
 * A path of about `length` pixels with `n` moments that passes (0, 0) in the middle of the exposure. Three in four are
 * smooth: nearly constant velocity, a little curvature, acceleration and tremble. The others are hand shake
 * (randomTrajectory), a piece of it scaled to the length.
 */
export function randomPath(random: Random, length: number, n: number): Path {
  const path = random.uniform() < 0.75 ? smoothPath(random, length, n) : shakePath(random, length, n);
  return centreInTime(path);
}

function smoothPath(random: Random, length: number, n: number): Path {
  const angle = random.between(0, 2 * Math.PI);
  const cos = Math.cos(angle), sin = Math.sin(angle);
  const acceleration = 0.35 * random.normal(), curvature = 0.3 * random.normal();
  const tremble = 0.04 * random.normal(), cycles = random.between(0.5, 2), phase = random.between(0, 2 * Math.PI);
  const x = new Float64Array(n), y = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    const t = timeAt(i, n);
    const along = length * (t + acceleration * t * t);
    const across = length * (curvature * t * t + tremble * Math.sin(2 * Math.PI * cycles * t + phase));
    x[i] = cos * along - sin * across;
    y[i] = sin * along + cos * across;
  }
  return { x, y };
}

function shakePath(random: Random, length: number, n: number): Path {
  const samples = 600;
  const { x, y } = randomTrajectory(random, { samples });
  // Steps of a shake are equal, so the scale is exact whatever the turns.
  const scale = length / pathLength({ x, y });
  const at = (values: Float64Array) => Float64Array.from({ length: n }, (_, i) => scale * values[Math.round((i + 0.5) / n * (samples - 1))]);
  return { x: at(x), y: at(y) };
}

/** The path shifted so that the middle of the exposure is at (0, 0): the moment whose frame is the target. */
function centreInTime({ x, y }: Path): Path {
  const n = x.length, a = Math.floor((n - 1) / 2), b = Math.ceil((n - 1) / 2);
  const x0 = (x[a] + x[b]) / 2, y0 = (y[a] + y[b]) / 2;
  return { x: x.map((v) => v - x0), y: y.map((v) => v - y0) };
}

/** What the camera does in one exposure, besides its shift. */
export interface Turn {
  /** Radians turned, and natural logarithm of the zoom passed, in the whole exposure. */
  readonly angle: number;
  readonly zoom: number;
  readonly acceleration: number;
}

/** The camera at each moment of `path`. Turn and zoom are 0 in the middle of the exposure. */
export function cameraPoses(path: Path, turn: Turn): Pose[] {
  const n = path.x.length;
  return Array.from(path.x, (x, i) => {
    const t = timeAt(i, n);
    const s = t + turn.acceleration * t * t;
    return { x, y: path.y[i], angle: turn.angle * s, zoom: Math.exp(turn.zoom * s) };
  });
}
