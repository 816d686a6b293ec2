/**
 * A long exposure as the mean of many short ones: at each moment the camera (and perhaps an object in front) has a pose,
 * the picture is warped to it, and the warped copies are averaged in linear light. Unlike one kernel for all pixels this
 * gives the blur of rotation, of zoom, and of things that move by themselves.
 */
import type { LinearImage } from './linear.js';
import { workspace } from './loops.js';

/** Shift in pixels, rotation in radians (positive turns x towards y), zoom as a factor; about a centre kept elsewhere. */
export interface Pose { readonly x: number; readonly y: number; readonly angle: number; readonly zoom: number }

/** Something in front: light times opacity, and opacity (0…1), on the padded picture's grid. */
export interface Layer {
  /** Whether it is not what the picture itself shows at this place. */
  readonly foreign: boolean;
  readonly light: Float32Array;
  readonly opacity: Float32Array;
  /** Rows and columns of the padded picture outside of which opacity is 0. */
  readonly left: number; readonly top: number; readonly right: number; readonly bottom: number;
  /** Where it is at each moment, in pixels from where it was painted. */
  readonly x: Float64Array; readonly y: Float64Array;
}

export interface Exposure {
  /** The scene in linear light, `padding` pixels larger on each side than the result. */
  readonly scene: LinearImage;
  readonly padding: number;
  /** Where the camera points at each moment. */
  readonly poses: readonly Pose[];
  /** Centre of rotation and zoom in the result's pixels; it may lie outside. */
  readonly centre: { readonly x: number; readonly y: number };
  readonly object?: Layer;
}

/** How far a pose moves the farthest pixel of a `width`×`height` picture. */
export function reachOf(pose: Pose, centre: { x: number; y: number }, width: number, height: number): number {
  let reach = 0;
  for (const x of [0, width - 1]) {
    for (const y of [0, height - 1]) {
      const { x: sx, y: sy } = seenAt(pose, centre, x, y);
      reach = Math.max(reach, Math.abs(sx - x), Math.abs(sy - y));
    }
  }
  return reach;
}

/** The scene's point that pixel (x, y) sees in a pose. */
export function seenAt(pose: Pose, centre: { x: number; y: number }, x: number, y: number, { cos, sin } = turnOf(pose)): { x: number; y: number } {
  const rx = x - centre.x - pose.x, ry = y - centre.y - pose.y;
  return { x: centre.x + cos * rx + sin * ry, y: centre.y - sin * rx + cos * ry };
}

const turnOf = ({ angle, zoom }: Pose): { cos: number; sin: number } => ({ cos: Math.cos(angle) / zoom, sin: Math.sin(angle) / zoom });

/**
 * The mean of the warped scenes, bilinearly sampled, `padding` smaller on each side. The padding must cover 2 pixels more
 * than every pose's reach and every shift of the object.
 */
export function expose({ scene, padding, poses, centre, object }: Exposure): LinearImage {
  const width = scene.width - 2 * padding, height = scene.height - 2 * padding;
  const { memory, at, kernels } = workspace({ scene: scene.data.length, sums: 4 * width, row: 4 * width });
  memory.set(scene.data, at.scene);
  const sums = memory.subarray(at.sums, at.sums + 4 * width), row = memory.subarray(at.row, at.row + 4 * width);
  const data = new Float32Array(width * height * 3);
  const turns = poses.map(turnOf);
  // Rows outside, moments inside: the few rows that all moments read stay in the cache.
  for (let y = 0, o = 0; y < height; y++) {
    sums.fill(0);
    for (let moment = 0; moment < poses.length; moment++) {
      const turn = turns[moment];
      const warp = (from: number, pixels: number, out: number): void => {
        const { x, y: line } = seenAt(poses[moment], centre, from, y, turn);
        kernels.addWarpedRow(at.scene, 3 * scene.width, x + padding, line + padding, turn.cos, -turn.sin, out, pixels);
      };
      warp(0, width, at.sums);
      if (object === undefined) continue;
      const { first, last } = coveredPixels(object, padding, y, moment, width);
      if (first > last) continue;
      row.fill(0, 4 * first, 4 * (last + 1));
      warp(first, last + 1 - first, at.row + 4 * first);
      coverRow(sums, row, first, last, object, scene.width, padding, y, moment);
    }
    for (let x = 0; x < sums.length; x += 4, o += 3) {
      data[o] = sums[x] / poses.length;
      data[o + 1] = sums[x + 1] / poses.length;
      data[o + 2] = sums[x + 2] / poses.length;
    }
  }
  return { width, height, data };
}

/** The pixels of row `y` of the result that the object may cover at `moment`; none when `first` is beyond `last`. */
function coveredPixels({ left, right, top, bottom, x, y: down }: Layer, padding: number, y: number, moment: number, width: number): { first: number; last: number } {
  const line = Math.floor(y + padding - down[moment]);
  if (line < top - 1 || line > bottom) return { first: 0, last: -1 };
  const shift = padding - x[moment];
  return { first: Math.max(0, Math.floor(left - 1 - shift)), last: Math.min(width - 1, Math.ceil(right - shift)) };
}

/** Puts the object, as it is at `moment`, in place of what it covers of `row`, which is in `sums` already; four values a pixel. */
function coverRow(sums: Float32Array, row: Float32Array, first: number, last: number, object: Layer, sceneWidth: number, padding: number, y: number, moment: number): void {
  const { light, opacity } = object;
  const sy = y + padding - object.y[moment];
  const line = Math.floor(sy), fy = sy - line;
  const shift = padding - object.x[moment];
  for (let x = first; x <= last; x++) {
    const sx = x + shift;
    const column = Math.floor(sx), fx = sx - column;
    const w11 = fx * fy, w01 = fx - w11, w10 = fy - w11, w00 = 1 - fx - w10;
    const a = line * sceneWidth + column, b = a + sceneWidth;
    const covered = w00 * opacity[a] + w01 * opacity[a + 1] + w10 * opacity[b] + w11 * opacity[b + 1];
    if (covered === 0) continue;
    for (let c = 0; c < 3; c++) {
      sums[4 * x + c] += w00 * light[3 * a + c] + w01 * light[3 * a + 3 + c]
        + w10 * light[3 * b + c] + w11 * light[3 * b + 3 + c] - covered * row[4 * x + c];
    }
  }
}
