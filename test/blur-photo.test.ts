import { test } from 'node:test';
import assert from 'node:assert/strict';
import { expose, reachOf, seenAt, type Pose } from '../src/blur/exposure.js';
import { blurPhoto, blurRecipes } from '../src/blur/index.js';
import { convolve, padLinear } from '../src/blur/kernel.js';
import { toLinear, type LinearImage } from '../src/blur/linear.js';
import { cameraPoses, randomLength, randomPath } from '../src/blur/motion.js';
import { randomObject } from '../src/blur/objects.js';
import { photoShares } from '../src/blur/photo.js';
import { generateScene } from '../src/blur/scenes.js';
import { isOpen, momentsFor, openPath } from '../src/blur/shutter.js';
import { kernelOfPath, pathLength } from '../src/blur/trajectory.js';
import { cropImage, type RgbImage } from '../src/image/image.js';
import { randomAt } from '../src/random.js';

function photo(seed: number, width: number, height: number, low = 0): RgbImage {
  const random = randomAt(seed);
  return { width, height, channels: 3, data: Uint8Array.from({ length: width * height * 3 }, () => low + random.integer(256 - low)) };
}

function noiseScene(seed: number, side: number): LinearImage {
  const random = randomAt(seed);
  const white = { width: side, height: side, data: Float32Array.from({ length: side * side * 3 }, () => random.uniform()) };
  return convolve(white, { size: 3, data: new Float64Array(9).fill(1 / 9) });
}

/** A white spot on black, whose centre of light tells the slightest shift. */
function spot(side: number): RgbImage {
  const data = new Uint8Array(side * side * 3), middle = (side - 1) / 2;
  for (let y = 0; y < side; y++) for (let x = 0; x < side; x++) {
    data.fill(Math.round(255 * Math.exp(-((x - middle) ** 2 + (y - middle) ** 2) / 18)), 3 * (y * side + x), 3 * (y * side + x) + 3);
  }
  return { width: side, height: side, channels: 3, data };
}

function centreOfLight(image: RgbImage): [number, number] {
  const { data } = toLinear(image);
  let x = 0, y = 0, light = 0;
  for (let i = 0; i < data.length; i += 3) {
    light += data[i];
    x += data[i] * (i / 3 % image.width);
    y += data[i] * Math.floor(i / 3 / image.width);
  }
  return [x / light, y / light];
}

test('same size, same bytes for the same seed, other bytes for another, input untouched', () => {
  for (const recipe of blurRecipes) {
    for (const [width, height] of [[40, 29], [3, 50], [1, 1]]) {
      const sharp = photo(1, width, height), before = sharp.data.slice();
      const first = blurPhoto(sharp, randomAt(2), recipe), again = blurPhoto(sharp, randomAt(2), recipe);
      assert.deepEqual(first, again);
      for (const image of [first.blur, first.sharp]) {
        assert.deepEqual([image.width, image.height, image.channels, image.data.length], [width, height, 3, width * height * 3]);
      }
      assert.deepEqual(sharp.data, before);
      assert.notEqual(first.blur.data.buffer, first.sharp.data.buffer);
    }
    const seeds = Array.from({ length: 6 }, (_, seed) => blurPhoto(photo(1, 20, 20), randomAt(3, seed), recipe).blur.data.join());
    assert.ok(new Set(seeds).size >= 5, recipe);
  }
});

test('a plain picture stays plain: exactly by shake, but for noise by photo', () => {
  for (const level of [0, 1, 77, 255]) {
    const plain: RgbImage = { width: 33, height: 21, channels: 3, data: new Uint8Array(33 * 21 * 3).fill(level) };
    for (let seed = 0; seed < 12; seed++) {
      assert.ok(blurPhoto(plain, randomAt(4, seed), 'shake').blur.data.every((v) => v === level), `level ${level}`);
      const { blur, sharp } = blurPhoto(plain, randomAt(4, seed), 'photo');
      assert.ok(sharp.data.every((v) => v === level));
      const mean = blur.data.reduce((total, v) => total + v, 0) / blur.data.length;
      assert.ok(Math.abs(mean - level) < 3, `level ${level}, mean ${mean}`);
    }
  }
});

test('shake moves nothing: the centre of light stays', () => {
  const sharp = spot(129), [x0, y0] = centreOfLight(sharp);
  for (let seed = 0; seed < 12; seed++) {
    const [x, y] = centreOfLight(blurPhoto(sharp, randomAt(5, seed), 'shake').blur);
    assert.ok(Math.hypot(x - x0, y - y0) < 0.15, `seed ${seed}: ${x - x0}, ${y - y0}`);
  }
});

test('photo has no systematic shift, and the middle of the exposure is at zero', () => {
  const random = randomAt(6);
  let x = 0, y = 0, squares = 0;
  const n = 3000;
  for (let i = 0; i < n; i++) {
    const length = randomLength(random), path = randomPath(random, length, 33);
    assert.ok(path.x[16] === 0 && path.y[16] === 0);
    const [mx, my] = [path.x, path.y].map((values) => values.reduce((total, v) => total + v, 0) / 33);
    assert.ok(Math.hypot(mx, my) < 0.5 * length, 'the mean stays near the middle');
    x += mx / n;
    y += my / n;
    squares += (mx * mx + my * my) / n;
  }
  const doubt = 4 * Math.sqrt(squares / 2 / n);
  assert.ok(Math.abs(x) < doubt && Math.abs(y) < doubt, `${x}, ${y} ± ${doubt}`);
  assert.ok(Math.sqrt(squares) < 2, `typical shift ${Math.sqrt(squares)}`);
});

/** Means of 8×8 pixels, all channels together: noise goes, misplaced light stays. */
function blockMeans({ width, height, data }: RgbImage): number[] {
  const means: number[] = [];
  for (let y = 0; y + 8 <= height; y += 8) for (let x = 0; x + 8 <= width; x += 8) {
    let sum = 0;
    for (let row = y; row < y + 8; row++) for (let i = 3 * (row * width + x); i < 3 * (row * width + x + 8); i++) sum += data[i];
    means.push(sum / 192);
  }
  return means;
}

test('an area is blurred as it is in the whole picture, with the light of its surroundings', () => {
  const sharp = generateScene(randomAt(41), 96, 80), area = { x: 30, y: 17, width: 48, height: 40 };
  const within = (image: RgbImage) => cropImage(image, area.x, area.y, area.width, area.height);
  for (const recipe of blurRecipes) {
    let foreign = 0;
    const draws = 60;
    for (let seed = 0; seed < draws; seed++) {
      const part = blurPhoto(sharp, randomAt(42, seed), recipe, { area }), whole = blurPhoto(sharp, randomAt(42, seed), recipe);
      if (recipe !== 'photo') {
        assert.deepEqual(part, { blur: within(whole.blur), sharp: within(whole.sharp) });
        continue;
      }
      // A foreign object shows something else then.
      if (Buffer.compare(part.sharp.data, within(sharp).data) !== 0) { foreign++; continue; }
      const means = blockMeans(part.blur);
      blockMeans(within(whole.blur)).forEach((mean, i) => assert.ok(Math.abs(mean - means[i]) < 1.5, `${recipe} ${seed}: ${mean} became ${means[i]}`));
    }
    assert.ok(foreign < 0.2 * draws, `${foreign} foreign objects`);
  }
  assert.throws(() => blurPhoto(sharp, randomAt(42), 'photo', { area: { ...area, x: 60 } }), RangeError);
});

test('whole photos are not shifted against their targets, objects included', () => {
  const sharp = spot(97);
  let x = 0, y = 0, squares = 0, n = 0;
  for (let seed = 0; seed < 200; seed++) {
    const pair = blurPhoto(sharp, randomAt(17, seed), 'photo');
    // An object may have covered the spot.
    if (Math.max(...pair.sharp.data) < 200) continue;
    const [ax, ay] = centreOfLight(pair.blur), [bx, by] = centreOfLight(pair.sharp);
    n++;
    x += (ax - bx - x) / n;
    y += (ay - by - y) / n;
    squares += ((ax - bx) ** 2 + (ay - by) ** 2 - squares) / n;
  }
  assert.ok(n > 160);
  assert.ok(Math.sqrt(squares) < 2.5, `typical shift ${Math.sqrt(squares)}`);
  const doubt = 3.5 * Math.sqrt(squares / 2 / n);
  assert.ok(Math.abs(x) < doubt && Math.abs(y) < doubt, `${x}, ${y} ± ${doubt}`);
});

test('uniform: the same kernel everywhere, displacing nothing on the whole; half of the pictures darken towards their edge', () => {
  const size = 81, plain: RgbImage = { width: size, height: size, channels: 3, data: new Uint8Array(size * size * 3).fill(180) };
  let dark = 0, x = 0, y = 0;
  const sharp = spot(size), [x0, y0] = centreOfLight(sharp), draws = 60;
  for (let seed = 0; seed < draws; seed++) {
    const { blur, sharp: target } = blurPhoto(plain, randomAt(31, seed), 'uniform');
    assert.deepEqual(target, plain);
    const middle = blur.data[3 * (40 * size + 40)];
    assert.equal(middle, 180, 'no kernel reaches from the edge to the middle');
    if (blur.data.some((v) => v < 180)) dark++;
    assert.ok(blur.data.every((v) => v <= 180));
    const [cx, cy] = centreOfLight(blurPhoto(sharp, randomAt(32, seed), 'uniform').blur);
    x += (cx - x0) / draws;
    y += (cy - y0) / draws;
  }
  assert.ok(dark > draws * 0.25 && dark < draws * 0.75, `${dark} of ${draws} darken`);
  assert.ok(Math.hypot(x, y) < 2, `mean shift ${x}, ${y}`);
});

test('uniform: some kernels are straight lines, level or upright', () => {
  const size = 81, middle = (size - 1) / 2;
  const dot: RgbImage = { width: size, height: size, channels: 3, data: new Uint8Array(size * size * 3) };
  dot.data.fill(255, 3 * (middle * size + middle), 3 * (middle * size + middle) + 3);
  let level = 0, upright = 0;
  for (let seed = 0; seed < 120; seed++) {
    const { blur } = blurPhoto(dot, randomAt(33, seed), 'uniform');
    const lit = Array.from({ length: size * size }, (_, i) => i).filter((i) => blur.data[3 * i] > 0);
    const columns = new Set(lit.map((i) => i % size)).size, rows = new Set(lit.map((i) => Math.floor(i / size))).size;
    if (rows === 1 && columns > 2) level++;
    if (columns === 1 && rows > 2) upright++;
  }
  assert.ok(level >= 3 && upright >= 3, `${level} level and ${upright} upright of 120`);
});

test('a shutter keeps the middle of each frame, the middle of the exposure, and the part of its time that it is open', () => {
  for (const frames of [7, 13]) {
    const moments = momentsFor(40, { frames, open: 0 });
    assert.ok(moments >= 40 && moments % frames === 0 && moments % 2 === 1);
    const seen = (open: number): number[] => Array.from({ length: moments }, (_, i) => i).filter(isOpen({ frames, open }, moments));
    assert.equal(seen(0).length, frames);
    assert.ok(seen(0).includes((moments - 1) / 2));
    assert.equal(seen(1).length, moments);
    const path = openPath({ x: Float64Array.from({ length: moments }, (_, i) => i), y: new Float64Array(moments) }, { frames, open: 0 });
    assert.deepEqual([...path.x], seen(0));
    assert.equal(path.y.length, frames);
  }
  assert.equal(momentsFor(17), 17);
});

test('path lengths: mostly a few to some twenty pixels', () => {
  const random = randomAt(7);
  const lengths = Array.from({ length: 2000 }, () => randomLength(random)).sort((a, b) => a - b);
  assert.ok(lengths[0] >= 1 && lengths[1999] <= 50);
  assert.ok(lengths[200] > 2 && lengths[1000] > 8 && lengths[1000] < 12 && lengths[1800] > 20 && lengths[1800] < 35);
  for (let i = 0; i < 50; i++) {
    const path = randomPath(random, 20, 161);
    const length = pathLength(path);
    // A tremble adds length and a turn back takes some away at the moments sampled.
    assert.ok(length > 8 && length < 50, `${length}`);
  }
});

test('a shifting camera blurs as the path’s kernel does', () => {
  const scene = noiseScene(8, 60), padding = 12;
  const path = randomPath(randomAt(9), 12, 25);
  const poses = cameraPoses(path, { angle: 0, zoom: 0, acceleration: 0 });
  const direct = expose({ scene: padLinear(scene, padding), padding, poses, centre: { x: 0, y: 0 } });
  const byKernel = convolve(scene, kernelOfPath(path, { centre: 'given' }));
  direct.data.forEach((v, i) => assert.ok(Math.abs(v - byKernel.data[i]) < 1e-5));
});

test('a turning camera leaves its centre sharp and blurs more with distance', () => {
  const side = 81, padding = 12, scene = noiseScene(10, side + 2 * padding);
  const still = { x: new Float64Array(17), y: new Float64Array(17) };
  const poses = cameraPoses(still, { angle: 0.25, zoom: 0, acceleration: 0 });
  const out = expose({ scene, padding, poses, centre: { x: 40, y: 40 } });
  const errors = [0, 0, 0], counts = [0, 0, 0];
  for (let y = 0; y < side; y++) for (let x = 0; x < side; x++) {
    const radius = Math.hypot(x - 40, y - 40);
    const error = Math.abs(out.data[3 * (y * side + x)] - scene.data[3 * ((y + padding) * scene.width + x + padding)]);
    if (radius === 0) assert.ok(error < 1e-6, 'the centre itself');
    const band = radius < 5 ? 0 : radius < 15 ? 1 : 2;
    errors[band] += error;
    counts[band]++;
  }
  const [near, mid, far] = errors.map((error, i) => error / counts[i]);
  assert.ok(near < 0.6 * mid && mid < 0.9 * far, `${near} ${mid} ${far}`);
});

test('poses: shift, turn and zoom of the point seen; reach covers every pixel', () => {
  const centre = { x: 10, y: 20 }, near = (a: { x: number; y: number }, x: number, y: number) => assert.ok(Math.hypot(a.x - x, a.y - y) < 1e-9);
  near(seenAt({ x: 3, y: -2, angle: 0, zoom: 1 }, centre, 13, 18), 10, 20);
  near(seenAt({ x: 0, y: 0, angle: Math.PI / 2, zoom: 1 }, centre, 10, 25), 15, 20);
  near(seenAt({ x: 0, y: 0, angle: 0, zoom: 2 }, centre, 14, 26), 12, 23);
  const pose: Pose = { x: 2, y: 1, angle: 0.1, zoom: 1.05 };
  const reach = reachOf(pose, centre, 30, 50);
  for (let y = 0; y < 50; y++) for (let x = 0; x < 30; x++) {
    const seen = seenAt(pose, centre, x, y);
    assert.ok(Math.max(Math.abs(seen.x - x), Math.abs(seen.y - y)) <= reach + 1e-9);
  }
});

test('an object moves and its surroundings stay', () => {
  const padding = 14, scene = noiseScene(11, 60 + 2 * padding);
  const path = { x: Float64Array.from({ length: 9 }, (_, i) => i - 4), y: new Float64Array(9) };
  const layer = randomObject(randomAt(12), { scene, padding, picture: { width: 60, height: 60 }, area: { x: 0, y: 0, width: 60, height: 60 } }, path, 0.5);
  const still: Pose = { x: 0, y: 0, angle: 0, zoom: 1 };
  const bare = expose({ scene, padding, poses: [still], centre: { x: 0, y: 0 } });
  const blur = expose({ scene, padding, poses: Array.from({ length: 9 }, () => still), centre: { x: 0, y: 0 }, object: layer });
  let moved = 0;
  for (let y = 0; y < 60; y++) for (let x = 0; x < 60; x++) {
    const at = 3 * (y * 60 + x);
    const nearby = Array.from({ length: 9 }, (_, i) => layer.opacity[(y + padding) * scene.width + x + padding + i - 4]);
    const change = Math.abs(blur.data[at] - bare.data[at]);
    if (nearby.every((opacity) => opacity === 0)) assert.ok(change < 1e-6);
    else moved += change > 0.01 ? 1 : 0;
  }
  assert.ok(moved > 50, `${moved} pixels changed`);
});

test('nothing is read from outside the picture: a bright one gets no dark pixel', () => {
  for (let seed = 0; seed < 150; seed++) {
    const { blur, sharp } = blurPhoto(photo(seed, 48, 36, 200), randomAt(13, seed), 'photo');
    assert.ok(Math.min(...blur.data) > 170 && Math.min(...sharp.data) >= 199, `seed ${seed}`);
  }
});

test('the stated share of pictures is not blurred at all', () => {
  const n = 600, sharp = photo(14, 24, 24);
  let unblurred = 0;
  for (let seed = 0; seed < n; seed++) {
    const pair = blurPhoto(sharp, randomAt(15, seed), 'photo');
    if (Buffer.compare(pair.blur.data, pair.sharp.data) === 0) unblurred++;
  }
  const share = photoShares.unblurred, doubt = 3.5 * Math.sqrt(share * (1 - share) / n);
  assert.ok(Math.abs(unblurred / n - share) < doubt, `${unblurred} of ${n}`);
});

test('the target is the photo itself but where a foreign object covers it', () => {
  const sharp = photo(18, 40, 40);
  const n = 400;
  let foreign = 0;
  for (let seed = 0; seed < n; seed++) {
    if (Buffer.compare(blurPhoto(sharp, randomAt(19, seed), 'photo').sharp.data, sharp.data) !== 0) foreign++;
  }
  const share = (1 - photoShares.unblurred) * photoShares.object * photoShares.foreignObject;
  assert.ok(Math.abs(foreign / n - share) < 3.5 * Math.sqrt(share * (1 - share) / n), `${foreign} of ${n}`);
});

test('in the stated share an object moves before a still background', () => {
  const sharp = photo(21, 40, 40), n = 500;
  let still = 0;
  for (let seed = 0; seed < n; seed++) {
    const pair = blurPhoto(sharp, randomAt(22, seed), 'photo');
    const changes = pair.blur.data.map((v, i) => Math.abs(v - pair.sharp.data[i])).sort();
    // Noise alone changes a level or two; the slightest blur of white noise changes dozens.
    if (changes.at(-1) !== 0 && changes[changes.length >> 1] < 8) still++;
  }
  const share = (1 - photoShares.unblurred) * photoShares.object * photoShares.stillBackground;
  assert.ok(still > 0.4 * share * n && still < 1.3 * share * n, `${still} of ${n}`);
});

test('the blur of lamps holds more light than their clipped values do', () => {
  const lamps: RgbImage = { width: 80, height: 80, channels: 3, data: new Uint8Array(80 * 80 * 3) };
  for (const y of [20, 40, 60]) for (let row = y - 2; row < y + 2; row++) lamps.data.fill(255, 3 * (80 * row + 38), 3 * (80 * row + 42));
  const lightOf = (image: RgbImage) => toLinear(image).data.reduce((total, v) => total + v, 0);
  const n = 150;
  let brighter = 0;
  for (let seed = 0; seed < n; seed++) {
    const { blur, sharp } = blurPhoto(lamps, randomAt(20, seed), 'photo');
    if (lightOf(blur) > 1.5 * lightOf(sharp)) brighter++;
  }
  assert.ok(brighter > 0.2 * n && brighter < 0.6 * n, `${brighter} of ${n}`);
});
