/**
 * The inner loops of synthetic blur for WebAssembly SIMD, in AssemblyScript (TypeScript's syntax, WebAssembly's types).
 * `node assembly/build.mjs` compiles it into src/blur/loops-wasm.ts; src/blur/loops-plain.ts says the same in plain TypeScript, and
 * documents each function. Positions and counts are in 32-bit floats from the start of the shared memory.
 */

// @ts-ignore: decorator
@inline function at(position: i32): usize { return <usize>position << 2; }
// @ts-ignore: decorator
@inline function added(sum: v128, weight: v128, value: v128): v128 { return f32x4.add(sum, f32x4.mul(weight, value)); }

export function sumOfTaps(source: i32, offsets: i32, weights: i32, taps: i32, out: i32, count: i32): void {
  let from = at(source), to = at(out);
  for (let i = 0; i < count; i += 16) {
    let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
    let offset = at(offsets), weight = at(weights);
    for (let tap = 0; tap < taps; tap++) {
      const here = from + at(load<i32>(offset)), k = v128.load_splat<f32>(weight);
      s0 = added(s0, k, v128.load(here));
      s1 = added(s1, k, v128.load(here, 16));
      s2 = added(s2, k, v128.load(here, 32));
      s3 = added(s3, k, v128.load(here, 48));
      offset += 4;
      weight += 4;
    }
    v128.store(to, s0);
    v128.store(to, s1, 16);
    v128.store(to, s2, 32);
    v128.store(to, s3, 48);
    from += 64;
    to += 64;
  }
}

// Positions in steps of 2⁻³² pixels: integers are split into pixel and share faster than floating-point numbers.
// @ts-ignore: decorator
@inline function fixed(position: f64): i64 { return <i64>Math.round(position * 4294967296.0); }
// @ts-ignore: decorator
@inline function share(position: i64): f32 { return <f32>(<i32>(<u32>position >>> 8)) * 5.9604644775390625e-8; } // 2⁻²⁴

export function addWarpedRow(scene: i32, stride: i32, x: f64, y: f64, stepX: f64, stepY: f64, out: i32, pixels: i32): void {
  const start = at(scene), row = at(stride), moveX = fixed(stepX), moveY = fixed(stepY), end = at(out) + 16 * pixels;
  let px = fixed(x), py = fixed(y);
  for (let to = at(out); to < end; to += 16) {
    const fx = share(px), fy = share(py);
    const w11 = fx * fy, w01 = fx - w11, w10 = fy - w11, w00 = <f32>1 - fx - w10;
    const a = start + <usize>(py >> 32) * row + 12 * <usize>(px >> 32), b = a + row;
    const above = f32x4.add(f32x4.mul(f32x4.splat(w00), v128.load(a)), f32x4.mul(f32x4.splat(w01), v128.load(a, 12)));
    const below = f32x4.add(f32x4.mul(f32x4.splat(w10), v128.load(b)), f32x4.mul(f32x4.splat(w11), v128.load(b, 12)));
    v128.store(to, f32x4.add(v128.load(to), f32x4.add(above, below)));
    px += moveX;
    py += moveY;
  }
}
