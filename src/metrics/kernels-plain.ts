/**
 * The metrics' inner loops in plain TypeScript, for engines without WebAssembly SIMD, and the definition of what each does.
 *
 * All of them work on one memory of 32-bit floats; positions and counts are indices into it. Vector code handles up to 16
 * values at a time, so callers leave room: 15 values after `symmetricSum`'s output, 11 after `fusedSum`'s, 3 after `widen`'s,
 * plane sizes that are multiples of 4, and at least 4 values in a row of a transform. A complex array of `size` values is two
 * planes, real then imaginary, `size` apart.
 */
export interface Kernels {
  /** out[i] = Σₜ weights[|t|] · source[i + t·stride], −half ≤ t ≤ half: vertical when `stride` is a row, horizontal when it is 1. */
  symmetricSum(source: number, stride: number, weights: number, half: number, out: number, count: number): void;
  /** Copies `count` floats as doubles: value i lies at floats out + 2i and out + 2i + 1. */
  widen(source: number, out: number, count: number): void;
  /**
   * out[i] = Σ weights[y][x] · source[y][i + x] over a window of `size` rows and columns, one product after another along the
   * rows, each added with a single rounding to 32 bits (a fused multiply-add). Source and weights are doubles made by `widen`,
   * not negative (where they are, vector code may round a little more coarsely); `pitch` counts the floats from row to row.
   */
  fusedSum(source: number, pitch: number, weights: number, size: number, out: number, count: number): void;
  /** One radix-2 butterfly each for `count` neighbours: inputs `step` apart, outputs `outStep` apart; the second output times w. */
  radix2(source: number, step: number, out: number, outStep: number, size: number, count: number, wr: number, wi: number): void;
  /** The same for radix 4: output j times wⱼ. */
  radix4(source: number, step: number, out: number, outStep: number, size: number, count: number,
    wr1: number, wi1: number, wr2: number, wi2: number, wr3: number, wi3: number): void;
  /**
   * The same for any odd radix. `table` holds `radix` values each of cos(2πk/radix), sin(2πk/radix) and the outputs' factors,
   * real and imaginary; `scratch` has room for 8·radix values.
   */
  oddRadix(radix: number, source: number, step: number, out: number, outStep: number, size: number, count: number, table: number, scratch: number): void;
  /** out[x][y] = source[y][x]. */
  transpose(source: number, rows: number, columns: number, out: number): void;
  /** out = i · conj(spectrum) · radial · angular: real and imaginary parts change places, which makes a forward transform an inverse one. */
  filterSpectrum(spectrum: number, radial: number, angular: number, out: number, size: number): void;
  /**
   * Phase congruency of one orientation from its `scales` complex responses (odd plane, then even plane, one after another):
   * energy += max(Σ even·ē + odd·ō − |even·ō − odd·ē| − threshold, 0) and amplitude += Σ √(even² + odd²),
   * where (ē, ō) is the direction of the summed response, its length increased by `epsilon`.
   */
  addEnergy(responses: number, scales: number, size: number, threshold: number, epsilon: number, energy: number, amplitude: number): void;
}

export function plainKernels(m: Float32Array): Kernels {
  const doubles = new Float64Array(m.buffer);
  return {
    symmetricSum(source, stride, weights, half, out, count) {
      const centre = m[weights];
      for (let i = 0; i < count; i++) m[out + i] = centre * m[source + i];
      for (let tap = 1; tap <= half; tap++) {
        const weight = m[weights + tap], before = source - tap * stride, after = source + tap * stride;
        for (let i = 0; i < count; i++) m[out + i] += weight * (m[before + i] + m[after + i]);
      }
    },

    widen(source, out, count) {
      for (let i = 0, to = out / 2; i < count; i++) doubles[to + i] = m[source + i];
    },

    fusedSum(source, pitch, weights, size, out, count) {
      // Products of 24-bit numbers are exact in 53 bits.
      for (let i = 0; i < count; i++) {
        let sum = 0, weight = weights / 2;
        for (let y = 0; y < size; y++) {
          for (let x = 0, from = (source + y * pitch) / 2 + i; x < size; x++) sum = Math.fround(sum + doubles[weight++] * doubles[from + x]);
        }
        m[out + i] = sum;
      }
    },

    radix2(source, step, out, outStep, size, count, wr, wi) {
      for (let i = 0; i < count; i++) {
        const a = source + i, b = a + step, to = out + i;
        const ar = m[a], ai = m[a + size], br = m[b], bi = m[b + size];
        m[to] = ar + br;
        m[to + size] = ai + bi;
        storeTwiddled(m, ar - br, ai - bi, wr, wi, to + outStep, size);
      }
    },

    radix4(source, step, out, outStep, size, count, wr1, wi1, wr2, wi2, wr3, wi3) {
      for (let i = 0; i < count; i++) {
        const a = source + i, b = a + step, c = b + step, d = c + step, to = out + i;
        const sumAcRe = m[a] + m[c], sumAcIm = m[a + size] + m[c + size], sumBdRe = m[b] + m[d], sumBdIm = m[b + size] + m[d + size];
        const difAcRe = m[a] - m[c], difAcIm = m[a + size] - m[c + size], difBdRe = m[b] - m[d], difBdIm = m[b + size] - m[d + size];
        m[to] = sumAcRe + sumBdRe;
        m[to + size] = sumAcIm + sumBdIm;
        storeTwiddled(m, difAcRe + difBdIm, difAcIm - difBdRe, wr1, wi1, to + outStep, size);
        storeTwiddled(m, sumAcRe - sumBdRe, sumAcIm - sumBdIm, wr2, wi2, to + 2 * outStep, size);
        storeTwiddled(m, difAcRe - difBdIm, difAcIm + difBdRe, wr3, wi3, to + 3 * outStep, size);
      }
    },

    oddRadix(radix, source, step, out, outStep, size, count, table, scratch) {
      const half = (radix - 1) / 2, sines = table + radix, factorsRe = table + 2 * radix, factorsIm = table + 3 * radix;
      for (let i = 0; i < count; i++) {
        const zr = m[source + i], zi = m[source + i + size];
        let totalRe = zr, totalIm = zi;
        for (let j = 1; j <= half; j++) {
          const low = source + i + j * step, high = source + i + (radix - j) * step, pair = scratch + 4 * (j - 1);
          totalRe += m[pair] = m[low] + m[high];
          totalIm += m[pair + 1] = m[low + size] + m[high + size];
          m[pair + 2] = m[low] - m[high];
          m[pair + 3] = m[low + size] - m[high + size];
        }
        m[out + i] = totalRe;
        m[out + i + size] = totalIm;
        for (let k = 1; k <= half; k++) {
          let evenRe = zr, evenIm = zi, oddRe = 0, oddIm = 0, index = 0;
          for (let j = 0; j < half; j++) {
            index += k;
            if (index >= radix) index -= radix;
            const cosine = m[table + index], sine = m[sines + index], pair = scratch + 4 * j;
            evenRe += cosine * m[pair];
            evenIm += cosine * m[pair + 1];
            oddRe += sine * m[pair + 2];
            oddIm += sine * m[pair + 3];
          }
          const mirror = radix - k;
          storeTwiddled(m, evenRe + oddIm, evenIm - oddRe, m[factorsRe + k], m[factorsIm + k], out + i + k * outStep, size);
          storeTwiddled(m, evenRe - oddIm, evenIm + oddRe, m[factorsRe + mirror], m[factorsIm + mirror], out + i + mirror * outStep, size);
        }
      }
    },

    transpose(source, rows, columns, out) {
      for (let y = 0; y < rows; y++) {
        for (let x = 0; x < columns; x++) m[out + x * rows + y] = m[source + y * columns + x];
      }
    },

    filterSpectrum(spectrum, radial, angular, out, size) {
      for (let i = 0; i < size; i++) {
        const gain = m[radial + i] * m[angular + i];
        m[out + i] = m[spectrum + size + i] * gain;
        m[out + size + i] = m[spectrum + i] * gain;
      }
    },

    addEnergy(responses, scales, size, threshold, epsilon, energy, amplitude) {
      for (let i = 0; i < size; i++) {
        let sumOdd = 0, sumEven = 0, total = 0;
        for (let scale = 0, at = responses + i; scale < scales; scale++, at += 2 * size) {
          const odd = m[at], even = m[at + size];
          sumOdd += odd;
          sumEven += even;
          total += Math.sqrt(odd * odd + even * even);
        }
        const norm = Math.sqrt(sumOdd * sumOdd + sumEven * sumEven) + epsilon, meanOdd = sumOdd / norm, meanEven = sumEven / norm;
        let strength = sumEven * meanEven + sumOdd * meanOdd;
        for (let scale = 0, at = responses + i; scale < scales; scale++, at += 2 * size) {
          strength -= Math.abs(m[at + size] * meanOdd - m[at] * meanEven);
        }
        m[energy + i] += Math.max(strength - threshold, 0);
        m[amplitude + i] += total;
      }
    },
  };
}

function storeTwiddled(m: Float32Array, re: number, im: number, wr: number, wi: number, to: number, size: number): void {
  m[to] = re * wr - im * wi;
  m[to + size] = re * wi + im * wr;
}
