/** The inner loops of synthetic blur in plain TypeScript, for engines without WebAssembly SIMD, and the definition of what each does. */

/**
 * Both work on one memory of 32-bit floats; positions and counts are indices into it. Vector code handles up to 16 values at a time, so callers
 * leave room: 15 values after `sumOfTaps`' output and what it reads, 1 after the scene.
 */
export interface BlurLoops {
  /** out[i] = Σₜ weights[t] · source[i + offsets[t]]; the offsets are 32-bit integers, none below 0. */
  sumOfTaps(source: number, offsets: number, weights: number, taps: number, out: number, count: number): void;
  /**
   * Adds what a row of pixels sees of a scene of interleaved RGB rows, `stride` floats each, bilinearly: the first pixel at (x, y), the next one
   * (stepX, stepY) further; all inside of the scene. `out` has four floats a pixel, of which the last is of no meaning.
   */
  addWarpedRow(scene: number, stride: number, x: number, y: number, stepX: number, stepY: number, out: number, pixels: number): void;
}

export function plainLoops(m: Float32Array): BlurLoops {
  const integers = new Int32Array(m.buffer);
  return {
    sumOfTaps(source, offsets, weights, taps, out, count) {
      m.fill(0, out, out + count);
      for (let tap = 0; tap < taps; tap++) {
        const weight = m[weights + tap], from = source + integers[offsets + tap];
        for (let i = 0; i < count; i++) m[out + i] += weight * m[from + i];
      }
    },

    addWarpedRow(scene, stride, x, y, stepX, stepY, out, pixels) {
      for (let i = out; i < out + 4 * pixels; i += 4, x += stepX, y += stepY) {
        const column = x | 0, line = y | 0;
        const fx = x - column, fy = y - line;
        const w11 = fx * fy, w01 = fx - w11, w10 = fy - w11, w00 = 1 - fx - w10;
        const a = scene + line * stride + 3 * column, b = a + stride;
        m[i] += w00 * m[a] + w01 * m[a + 3] + w10 * m[b] + w11 * m[b + 3];
        m[i + 1] += w00 * m[a + 1] + w01 * m[a + 4] + w10 * m[b + 1] + w11 * m[b + 4];
        m[i + 2] += w00 * m[a + 2] + w01 * m[a + 5] + w10 * m[b + 2] + w11 * m[b + 5];
      }
    },
  };
}
