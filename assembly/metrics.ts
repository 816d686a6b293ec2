/**
 * The metrics' inner loops for WebAssembly SIMD, in AssemblyScript (TypeScript's syntax, WebAssembly's types).
 * `node assembly/build.mjs` compiles it into src/metrics/kernels-wasm.ts; src/metrics/kernels-plain.ts says the same in plain
 * TypeScript, and documents each function. Positions and counts are in 32-bit floats from the start of the shared memory.
 */

// @ts-ignore: decorator
@inline function at(position: i32): usize { return <usize>position << 2; }
// @ts-ignore: decorator
@inline function load(pointer: usize): v128 { return v128.load(pointer); }
// @ts-ignore: decorator
@inline function add(a: v128, b: v128): v128 { return f32x4.add(a, b); }
// @ts-ignore: decorator
@inline function sub(a: v128, b: v128): v128 { return f32x4.sub(a, b); }
// @ts-ignore: decorator
@inline function mul(a: v128, b: v128): v128 { return f32x4.mul(a, b); }

export function symmetricSum(source: i32, stride: i32, weights: i32, half: i32, out: i32, count: i32): void {
  const step = at(stride), w = at(weights);
  let from = at(source), to = at(out);
  for (let i = 0; i < count; i += 16) {
    let k = v128.load_splat<f32>(w);
    let s0 = mul(k, load(from)), s1 = mul(k, v128.load(from, 16)), s2 = mul(k, v128.load(from, 32)), s3 = mul(k, v128.load(from, 48));
    let before = from, after = from;
    for (let tap = 1; tap <= half; tap++) {
      before -= step;
      after += step;
      k = v128.load_splat<f32>(w + (<usize>tap << 2));
      s0 = add(s0, mul(k, add(load(before), load(after))));
      s1 = add(s1, mul(k, add(v128.load(before, 16), v128.load(after, 16))));
      s2 = add(s2, mul(k, add(v128.load(before, 32), v128.load(after, 32))));
      s3 = add(s3, mul(k, add(v128.load(before, 48), v128.load(after, 48))));
    }
    v128.store(to, s0);
    v128.store(to, s1, 16);
    v128.store(to, s2, 32);
    v128.store(to, s3, 48);
    from += 64;
    to += 64;
  }
}

export function widen(source: i32, out: i32, count: i32): void {
  let from = at(source), to = at(out);
  for (let i = 0; i < count; i += 4) {
    v128.store(to, f64x2.promote_low_f32x4(v128.load_zero<u64>(from)));
    v128.store(to, f64x2.promote_low_f32x4(v128.load_zero<u64>(from, 8)), 16);
    from += 16;
    to += 32;
  }
}

// @ts-ignore: decorator
@inline function fusedAdd(sum: v128, weight: v128, value: v128): v128 {
  return f64x2.promote_low_f32x4(f32x4.demote_f64x2_zero(f64x2.add(sum, f64x2.mul(weight, value))));
}
// @ts-ignore: decorator
@inline function plainAdd(sum: v128, weight: v128, value: v128): v128 { return f64x2.add(sum, f64x2.mul(weight, value)); }
// @ts-ignore: decorator
@inline function binade(sum: v128): v128 { return v128.and(sum, i64x2.splat(0x7ff0000000000000)); }
// @ts-ignore: decorator
@inline function ballast(sum: v128): v128 { return f64x2.mul(binade(sum), f64x2.splat(1073741822)); }
// @ts-ignore: decorator
@inline function outgrown(loaded: v128, start: v128): v128 { return f64x2.gt(loaded, f64x2.mul(binade(start), f64x2.splat(1073741826))); }
// @ts-ignore: decorator
@inline function narrow(low: v128, high: v128): v128 {
  return v128.shuffle<i64>(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 2);
}

/**
 * Rounding to 32 bits after every product costs two conversions. Instead a ballast is added, so large that 64-bit addition
 * itself rounds where 32-bit addition would: for a sum in [b, 2b), b a power of two, b·(2³⁰ − 2) puts the 64-bit number's last
 * place on the 32-bit sum's, and its next power of two on the sum's, 2b. That serves sums up to 4b. Sums of products that are not
 * negative only grow, so one look at the end of a row of taps, or of half a row at the top, where sums grow faster, tells whether
 * it did; if not, those taps are summed again with conversions, like the first row of all.
 */
export function fusedSum(source: i32, pitch: i32, weights: i32, size: i32, out: i32, count: i32): void {
  let first = at(source), to = at(out);
  for (let i = 0; i < count; i += 12) {
    let s0 = f64x2.splat(0), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, row = first;
    for (let y = 0; y < size; y++) {
      const part = y < 3 ? (size + 1) >> 1 : size;
      for (let x = 0; x < size; x += part) {
        const start = row + 2 * at(x), startWeight = at(weights + 2 * (y * size + x)), end = startWeight + 2 * at(min(part, size - x));
        let from = start, weight = startWeight, convert = y == 0;
        if (!convert) {
          let a0 = f64x2.add(s0, ballast(s0)), a1 = f64x2.add(s1, ballast(s1)), a2 = f64x2.add(s2, ballast(s2));
          let a3 = f64x2.add(s3, ballast(s3)), a4 = f64x2.add(s4, ballast(s4)), a5 = f64x2.add(s5, ballast(s5));
          while (weight < end) {
            const k = v128.load_splat<f64>(weight);
            a0 = plainAdd(a0, k, load(from));
            a1 = plainAdd(a1, k, v128.load(from, 16));
            a2 = plainAdd(a2, k, v128.load(from, 32));
            a3 = plainAdd(a3, k, v128.load(from, 48));
            a4 = plainAdd(a4, k, v128.load(from, 64));
            a5 = plainAdd(a5, k, v128.load(from, 80));
            weight += 8;
            from += 8;
          }
          const over = v128.or(v128.or(outgrown(a0, s0), outgrown(a1, s1)), v128.or(outgrown(a2, s2), outgrown(a3, s3)));
          convert = v128.any_true(v128.or(over, v128.or(outgrown(a4, s4), outgrown(a5, s5))));
          if (!convert) {
            s0 = f64x2.sub(a0, ballast(s0));
            s1 = f64x2.sub(a1, ballast(s1));
            s2 = f64x2.sub(a2, ballast(s2));
            s3 = f64x2.sub(a3, ballast(s3));
            s4 = f64x2.sub(a4, ballast(s4));
            s5 = f64x2.sub(a5, ballast(s5));
          }
        }
        if (convert) {
          from = start;
          weight = startWeight;
          while (weight < end) {
            const k = v128.load_splat<f64>(weight);
            s0 = fusedAdd(s0, k, load(from));
            s1 = fusedAdd(s1, k, v128.load(from, 16));
            s2 = fusedAdd(s2, k, v128.load(from, 32));
            s3 = fusedAdd(s3, k, v128.load(from, 48));
            s4 = fusedAdd(s4, k, v128.load(from, 64));
            s5 = fusedAdd(s5, k, v128.load(from, 80));
            weight += 8;
            from += 8;
          }
        }
      }
      row += at(pitch);
    }
    v128.store(to, narrow(s0, s1));
    v128.store(to, narrow(s2, s3), 16);
    v128.store(to, narrow(s4, s5), 32);
    first += 96;
    to += 48;
  }
}

// @ts-ignore: decorator
@inline function storeTwiddled(re: v128, im: v128, wr: v128, wi: v128, to: usize, imaginary: usize): void {
  v128.store(to, sub(mul(re, wr), mul(im, wi)));
  v128.store(to + imaginary, add(mul(re, wi), mul(im, wr)));
}

export function radix2(source: i32, step: i32, out: i32, outStep: i32, size: i32, count: i32, wr: f32, wi: f32): void {
  const plane = at(size), far = at(step), outFar = at(outStep), vr = f32x4.splat(wr), vi = f32x4.splat(wi);
  for (let i = 0; i < count; i += 4) {
    const first = min(i, count - 4), from = at(source + first), to = at(out + first);
    const ar = load(from), ai = load(from + plane), br = load(from + far), bi = load(from + far + plane);
    v128.store(to, add(ar, br));
    v128.store(to + plane, add(ai, bi));
    storeTwiddled(sub(ar, br), sub(ai, bi), vr, vi, to + outFar, plane);
  }
}

export function radix4(
  source: i32, step: i32, out: i32, outStep: i32, size: i32, count: i32,
  wr1: f32, wi1: f32, wr2: f32, wi2: f32, wr3: f32, wi3: f32,
): void {
  const plane = at(size), far = at(step), outFar = at(outStep);
  const r1 = f32x4.splat(wr1), i1 = f32x4.splat(wi1), r2 = f32x4.splat(wr2), i2 = f32x4.splat(wi2), r3 = f32x4.splat(wr3), i3 = f32x4.splat(wi3);
  for (let i = 0; i < count; i += 4) {
    const first = min(i, count - 4), from = at(source + first), to = at(out + first);
    const ar = load(from), ai = load(from + plane), br = load(from + far), bi = load(from + far + plane);
    const cr = load(from + 2 * far), ci = load(from + 2 * far + plane), dr = load(from + 3 * far), di = load(from + 3 * far + plane);
    const acr = add(ar, cr), aci = add(ai, ci), bdr = add(br, dr), bdi = add(bi, di);
    const amr = sub(ar, cr), ami = sub(ai, ci), bmr = sub(br, dr), bmi = sub(bi, di);
    v128.store(to, add(acr, bdr));
    v128.store(to + plane, add(aci, bdi));
    storeTwiddled(add(amr, bmi), sub(ami, bmr), r1, i1, to + outFar, plane);
    storeTwiddled(sub(acr, bdr), sub(aci, bdi), r2, i2, to + 2 * outFar, plane);
    storeTwiddled(sub(amr, bmi), add(ami, bmr), r3, i3, to + 3 * outFar, plane);
  }
}

// @ts-ignore: decorator
@inline function storeMirrored(
  er: v128, ei: v128, or: v128, oi: v128, k: i32, radix: i32, twiddlesRe: usize, twiddlesIm: usize, to: usize, outFar: usize, plane: usize,
): void {
  const low = <usize>k << 2, high = <usize>(radix - k) << 2;
  storeTwiddled(add(er, oi), sub(ei, or), v128.load_splat<f32>(twiddlesRe + low), v128.load_splat<f32>(twiddlesIm + low), to + <usize>k * outFar, plane);
  storeTwiddled(sub(er, oi), add(ei, or), v128.load_splat<f32>(twiddlesRe + high), v128.load_splat<f32>(twiddlesIm + high), to + <usize>(radix - k) * outFar, plane);
}

export function oddRadix(radix: i32, source: i32, step: i32, out: i32, outStep: i32, size: i32, count: i32, table: i32, scratch: i32): void {
  const plane = at(size), far = at(step), outFar = at(outStep), half = radix >> 1;
  const cosines = at(table), sines = at(table + radix), twiddlesRe = at(table + 2 * radix), twiddlesIm = at(table + 3 * radix), pairs = at(scratch);
  for (let i = 0; i < count; i += 4) {
    const first = min(i, count - 4), from = at(source + first), to = at(out + first);
    const zr = load(from), zi = load(from + plane);
    let totalRe = zr, totalIm = zi;
    for (let j = 1; j <= half; j++) {
      const low = from + <usize>j * far, high = from + <usize>(radix - j) * far, pair = pairs + (<usize>(j - 1) << 6);
      const lr = load(low), li = load(low + plane), hr = load(high), hi = load(high + plane);
      const sr = add(lr, hr), si = add(li, hi);
      v128.store(pair, sr);
      v128.store(pair, si, 16);
      v128.store(pair, sub(lr, hr), 32);
      v128.store(pair, sub(li, hi), 48);
      totalRe = add(totalRe, sr);
      totalIm = add(totalIm, si);
    }
    v128.store(to, totalRe);
    v128.store(to + plane, totalIm);
    // Two outputs and their mirror images at a time: enough independent sums to hide the additions' latency.
    for (let k = 1; k <= half; k += 2) {
      const k0 = max(1, min(k, half - 1)), k1 = min(k0 + 1, half);
      let er0 = zr, ei0 = zi, or0 = f32x4.splat(0), oi0 = f32x4.splat(0), index0 = 0;
      let er1 = zr, ei1 = zi, or1 = f32x4.splat(0), oi1 = f32x4.splat(0), index1 = 0, pair = pairs;
      for (let j = 1; j <= half; j++) {
        index0 += k0;
        if (index0 >= radix) index0 -= radix;
        index1 += k1;
        if (index1 >= radix) index1 -= radix;
        const sr = load(pair), si = v128.load(pair, 16), dr = v128.load(pair, 32), di = v128.load(pair, 48);
        const c0 = v128.load_splat<f32>(cosines + (<usize>index0 << 2)), s0 = v128.load_splat<f32>(sines + (<usize>index0 << 2));
        const c1 = v128.load_splat<f32>(cosines + (<usize>index1 << 2)), s1 = v128.load_splat<f32>(sines + (<usize>index1 << 2));
        er0 = add(er0, mul(c0, sr));
        ei0 = add(ei0, mul(c0, si));
        or0 = add(or0, mul(s0, dr));
        oi0 = add(oi0, mul(s0, di));
        er1 = add(er1, mul(c1, sr));
        ei1 = add(ei1, mul(c1, si));
        or1 = add(or1, mul(s1, dr));
        oi1 = add(oi1, mul(s1, di));
        pair += 64;
      }
      storeMirrored(er0, ei0, or0, oi0, k0, radix, twiddlesRe, twiddlesIm, to, outFar, plane);
      storeMirrored(er1, ei1, or1, oi1, k1, radix, twiddlesRe, twiddlesIm, to, outFar, plane);
    }
  }
}

export function transpose(source: i32, rows: i32, columns: i32, out: i32): void {
  const line = at(columns), outLine = at(rows);
  for (let y = 0; y < rows; y += 4) {
    const row = min(y, rows - 4);
    for (let x = 0; x < columns; x += 4) {
      const column = min(x, columns - 4), from = at(source + row * columns + column), to = at(out + column * rows + row);
      const a = load(from), b = load(from + line), c = load(from + 2 * line), d = load(from + 3 * line);
      const ab0 = v128.shuffle<i32>(a, b, 0, 4, 1, 5), ab1 = v128.shuffle<i32>(a, b, 2, 6, 3, 7);
      const cd0 = v128.shuffle<i32>(c, d, 0, 4, 1, 5), cd1 = v128.shuffle<i32>(c, d, 2, 6, 3, 7);
      v128.store(to, v128.shuffle<i64>(ab0, cd0, 0, 2));
      v128.store(to + outLine, v128.shuffle<i64>(ab0, cd0, 1, 3));
      v128.store(to + 2 * outLine, v128.shuffle<i64>(ab1, cd1, 0, 2));
      v128.store(to + 3 * outLine, v128.shuffle<i64>(ab1, cd1, 1, 3));
    }
  }
}

export function filterSpectrum(spectrum: i32, radial: i32, angular: i32, out: i32, size: i32): void {
  const plane = at(size);
  let from = at(spectrum), r = at(radial), a = at(angular), to = at(out);
  for (let i = 0; i < size; i += 4) {
    const gain = mul(load(r), load(a));
    v128.store(to, mul(load(from + plane), gain));
    v128.store(to + plane, mul(load(from), gain));
    from += 16; r += 16; a += 16; to += 16;
  }
}

export function addEnergy(responses: i32, scales: i32, size: i32, threshold: f32, epsilon: f32, energy: i32, amplitude: i32): void {
  const plane = at(size), noise = f32x4.splat(threshold), tiny = f32x4.splat(epsilon), zero = f32x4.splat(0);
  let from = at(responses), e = at(energy), a = at(amplitude);
  for (let i = 0; i < size; i += 4) {
    let sumOdd = zero, sumEven = zero, total = zero, pointer = from;
    for (let scale = 0; scale < scales; scale++) {
      const odd = load(pointer), even = load(pointer + plane);
      sumOdd = add(sumOdd, odd);
      sumEven = add(sumEven, even);
      total = add(total, f32x4.sqrt(add(mul(odd, odd), mul(even, even))));
      pointer += 2 * plane;
    }
    const norm = f32x4.div(f32x4.splat(1), add(f32x4.sqrt(add(mul(sumOdd, sumOdd), mul(sumEven, sumEven))), tiny));
    const meanOdd = mul(sumOdd, norm), meanEven = mul(sumEven, norm);
    let strength = add(mul(sumEven, meanEven), mul(sumOdd, meanOdd));
    pointer = from;
    for (let scale = 0; scale < scales; scale++) {
      strength = sub(strength, f32x4.abs(sub(mul(load(pointer + plane), meanOdd), mul(load(pointer), meanEven))));
      pointer += 2 * plane;
    }
    v128.store(e, add(load(e), f32x4.max(sub(strength, noise), zero)));
    v128.store(a, add(load(a), total));
    from += 16; e += 16; a += 16;
  }
}
