/** Down-sampling by means of blocks, as the metrics do it before they look. */
import type { Planes } from './planes.js';

/** max(1, round(min(width, height) / 256)), halves to even as Python rounds: 384 → 2, 640 → 2, 720 → 3. MATLAB's 640 gives 3. */
export function poolFactor(width: number, height: number): number {
  const ratio = Math.min(width, height) / 256, below = Math.floor(ratio);
  const nearest = ratio - below === 0.5 ? below + (below % 2) : Math.round(ratio);
  return Math.max(1, nearest);
}

/** Means of `factor`×`factor` blocks; what is left at the right and bottom is dropped. Factor 1 returns the picture itself. */
export function meanPool(image: Planes, factor: number): Planes {
  if (factor === 1) return image;
  const width = Math.floor(image.width / factor), height = Math.floor(image.height / factor);
  return { width, height, planes: image.planes.map((plane) => pooledPlane(plane, image.width, width, height, factor)) };
}

function pooledPlane(plane: Float32Array | Float64Array, stride: number, width: number, height: number, factor: number): Float32Array {
  const out = new Float32Array(width * height), sums = new Float64Array(width), scale = 1 / (factor * factor);
  const threes = factor - factor % 3;
  for (let y = 0; y < height; y++) {
    const top = y * factor * stride;
    sums.fill(0);
    // Nine samples at a time where there are as many: less traffic to and from the sums.
    for (let dx = 0; dx < threes; dx += 3) {
      for (let dy = 0; dy < threes; dy += 3) addBlock(sums, plane, top + dy * stride + dx, stride, factor);
      for (let dy = threes; dy < factor; dy++) addThree(sums, plane, top + dy * stride + dx, factor);
    }
    for (let dx = threes; dx < factor; dx++) {
      for (let dy = 0; dy < factor; dy++) addOne(sums, plane, top + dy * stride + dx, factor);
    }
    for (let x = 0; x < width; x++) out[y * width + x] = sums[x] * scale;
  }
  return out;
}

function addBlock(sums: Float64Array, plane: Float32Array | Float64Array, from: number, stride: number, step: number): void {
  for (let x = 0, a = from, b = a + stride, c = b + stride; x < sums.length; x++, a += step, b += step, c += step) {
    sums[x] += plane[a] + plane[a + 1] + plane[a + 2] + plane[b] + plane[b + 1] + plane[b + 2] + plane[c] + plane[c + 1] + plane[c + 2];
  }
}

function addThree(sums: Float64Array, plane: Float32Array | Float64Array, from: number, step: number): void {
  for (let x = 0; x < sums.length; x++, from += step) sums[x] += plane[from] + plane[from + 1] + plane[from + 2];
}

function addOne(sums: Float64Array, plane: Float32Array | Float64Array, from: number, step: number): void {
  for (let x = 0; x < sums.length; x++, from += step) sums[x] += plane[from];
}
