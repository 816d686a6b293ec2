/**
 * The recipe `photo`: blur meant to resemble that of real photos and of GoPro's and REDS's pairs, so that a network
 * trained on it helps on pictures nobody synthesised. Drawn for each picture (shares are of the pictures that are blurred; those of roll and motion towards the scene, of those whose camera moves):
 *
 *   no blur at all           8 %   blur = sharp, byte for byte: a sharp photo must come back unharmed
 *   camera shift             all others, path lengths log-normal around 10 px (motion.ts)
 *   camera roll              45 %  some pixels at the picture's corner, about a centre that may lie outside
 *   motion towards the scene 12 %  radial blur
 *   a moving object          20 %  a soft-edged piece with its own path; half of these before a still background
 *   bright highlights        50 %  clipped lights up to 6 times brighter, smeared, then clipped again
 *   a shutter that closes    35 %  7 to 13 short exposures with gaps between them instead of one long exposure: what is left
 *                                  when the frames of a fast camera are averaged, as GoPro's were
 *   another tone curve       50 %  a γ from 1 to 2.15 instead of 2.2: cameras' curves differ, and much published blur
 *                                  was averaged with little decoding or none (GoPro's training pairs keep their encoded mean)
 *   sensor noise             60 %  shot and read noise after the blur, σ up to about five 8-bit levels
 *
 * Not modelled: JPEG compression (the loader adds it: a source's `jpeg`), defocus, rolling shutter, depth.
 */
import { cropImage, type RgbImage } from '../image/image.js';
import type { Random } from '../random.js';
import { expose, reachOf, type Pose } from './exposure.js';
import { convolveInside, radiusOf } from './kernel.js';
import { defaultGamma, fromLinear, toLinear, type Area, type LinearImage } from './linear.js';
import { cameraPoses, randomLength, randomPath, type Turn } from './motion.js';
import { randomObject } from './objects.js';
import { addSensorNoise, boostHighlights } from './sensor.js';
import { isOpen, momentsFor, openPath, randomShutter, type Shutter } from './shutter.js';
import { kernelOfPath, type Path } from './trajectory.js';

/** Shares of pictures; each is drawn independently. */
export const photoShares = {
  unblurred: 0.08, roll: 0.45, zoom: 0.12, object: 0.2, stillBackground: 0.5, foreignObject: 0.5, highlights: 0.5, frames: 0.35, otherCurve: 0.5, noise: 0.6,
} as const;

/** Short exposures averaged at most; warped copies lie about a pixel apart, as one more would change nothing. */
const mostCopies = 32;

/** Few, as each takes a millisecond to tabulate the first time. */
const otherCurves = Array.from({ length: 24 }, (_, i) => 1 + i / 20);

const still: Pose = { x: 0, y: 0, angle: 0, zoom: 1 };

/** Blurs the `area` of `sharp` as described above. The target is the frame in the middle of the exposure. Same bytes for the same `random`. */
export function blurAsCamera(sharp: RgbImage, random: Random, area: Area): { blur: RgbImage; sharp: RgbImage } {
  const target = cropImage(sharp, area.x, area.y, area.width, area.height);
  if (random.uniform() < photoShares.unblurred) return { blur: { ...target, data: target.data.slice() }, sharp: target };
  const gamma = random.uniform() < photoShares.otherCurve ? random.pick(otherCurves) : defaultGamma;
  const boost = random.uniform() < photoShares.highlights ? random.between(1, 6) : 1;
  const hasObject = random.uniform() < photoShares.object;
  const cameraMoves = !hasObject || random.uniform() >= photoShares.stillBackground;
  const turn = cameraMoves ? randomTurn(random, sharp) : { angle: 0, zoom: 0, acceleration: 0 };
  const length = cameraMoves ? randomLength(random) : 0;
  const shutter = random.uniform() < photoShares.frames ? randomShutter(random) : undefined;
  const shot = { picture: sharp, area, gamma, boost, length, turn, shutter };

  const pair = hasObject ? exposeWithObject(random, shot) : { blur: exposeCamera(random, shot), sharp: undefined };
  if (random.uniform() < photoShares.noise) {
    addSensorNoise(pair.blur, random, { shot: 2e-5 * 20 ** random.uniform(), read: 4e-4 * random.uniform() });
  }
  return { blur: fromLinear(pair.blur, { gamma }), sharp: pair.sharp ?? target };
}

interface Shot { picture: RgbImage; area: Area; gamma: number; boost: number; length: number; turn: Turn; shutter?: Shutter }

function randomTurn(random: Random, { width, height }: RgbImage): Turn {
  const corner = Math.hypot(width, height) / 2;
  const angle = random.uniform() < photoShares.roll ? 5 * random.normal() / corner : 0;
  const zoom = random.uniform() < photoShares.zoom ? 4 * random.normal() / corner : 0;
  return { angle, zoom, acceleration: 0.3 * random.normal() };
}

/** The optical centre: the picture may be a crop of a larger one, so up to its own size away from its middle. */
function randomCentre(random: Random, { width, height }: RgbImage): { x: number; y: number } {
  return { x: width * random.between(-0.5, 1.5), y: height * random.between(-0.5, 1.5) };
}

function exposeCamera(random: Random, shot: Shot): LinearImage {
  const { picture, area, gamma, boost, length, turn, shutter } = shot;
  if (turn.angle === 0 && turn.zoom === 0) {
    const moments = 8 * Math.ceil(length) + 1;
    const kernel = kernelOfPath(openPath(randomPath(random, length, momentsFor(moments, shutter)), shutter), { centre: 'given' });
    const scene = toLinear(picture, { gamma, area, padding: radiusOf(kernel) });
    if (boost > 1) boostHighlights(scene, boost);
    return convolveInside(scene, kernel);
  }
  const centre = randomCentre(random, picture);
  const copies = copiesFor(length, turn, centre, picture);
  return exposeAlong(shot, randomPath(random, length, momentsFor(copies, shutter)), centre).blur;
}

/** An odd number, so that one copy is the target's own moment. */
function copiesFor(length: number, turn: Turn, centre: { x: number; y: number }, { width, height }: RgbImage): number {
  const first = { ...still, angle: turn.angle, zoom: Math.exp(turn.zoom) };
  const longest = length + reachOf(first, centre, width, height);
  return 2 * Math.ceil(Math.min(mostCopies, Math.max(4, longest)) / 2) + 1;
}

/** `about`: the centre of turns, in the picture's pixels. `sharp`: the target, when a foreign object covers a part of the picture. */
function exposeAlong({ picture, area, gamma, boost, turn, shutter }: Shot, path: Path, about: { x: number; y: number }, object?: { path: Path; random: Random }): { blur: LinearImage; sharp?: RgbImage } {
  const centre = { x: about.x - area.x, y: about.y - area.y };
  const all = cameraPoses(path, turn), poses = shutter ? all.filter(isOpen(shutter, all.length)) : all;
  let reach = poses.reduce((most, pose) => Math.max(most, reachOf(pose, centre, area.width, area.height)), 0);
  object?.path.x.forEach((x, i) => { reach = Math.max(reach, Math.abs(x), Math.abs(object.path.y[i])); });
  const padding = Math.ceil(reach) + 2;
  const scene = toLinear(picture, { gamma, area, padding });
  if (boost > 1) boostHighlights(scene, boost);
  if (object === undefined) return { blur: expose({ scene, padding, poses, centre }) };
  const layer = randomObject(object.random, { scene, padding, picture, area }, object.path, photoShares.foreignObject);
  const blur = expose({ scene, padding, poses, centre, object: layer });
  if (!layer.foreign) return { blur };
  const middle = expose({ scene, padding, poses: [still], centre, object: { ...layer, x: new Float64Array(1), y: new Float64Array(1) } });
  const sharp = fromLinear(middle, { gamma });
  // Where nothing covers it the target is the picture: the scene has brighter highlights.
  for (let y = 0; y < area.height; y++) {
    for (let x = 0; x < area.width; x++) {
      if (layer.opacity[(y + padding) * scene.width + x + padding] > 0) continue;
      const from = 3 * ((area.y + y) * picture.width + area.x + x);
      sharp.data.set(picture.data.subarray(from, from + 3), 3 * (y * area.width + x));
    }
  }
  return { blur, sharp };
}

function exposeWithObject(random: Random, shot: Shot): { blur: LinearImage; sharp?: RgbImage } {
  const { picture, length, turn, shutter } = shot;
  const ownLength = randomLength(random) + 3;
  const centre = randomCentre(random, picture);
  const copies = momentsFor(copiesFor(Math.max(ownLength, length), turn, centre, picture), shutter);
  const path = length > 0 ? randomPath(random, length, copies) : { x: new Float64Array(copies), y: new Float64Array(copies) };
  // The object is seen by the moving camera: its own motion adds to the camera's.
  const own = randomPath(random, ownLength, copies);
  const seen = { x: own.x.map((v, i) => v + path.x[i]), y: own.y.map((v, i) => v + path.y[i]) };
  return exposeAlong(shot, path, centre, { path: openPath(seen, shutter), random });
}
