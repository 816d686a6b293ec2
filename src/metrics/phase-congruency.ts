/**
 * Phase congruency after Kovesi, "Image features from phase congruency", Videre 1 (1999), with log-Gabor filters and the noise
 * compensation of his phasecong2, as FSIM's authors use it: 4 scales × 4 orientations, smallest wavelength 6 pixels, factor 2
 * between scales, σ/f₀ = 0.55, angular interval / σ = 1.2, noise threshold at k = 2 deviations, divided by 1.7.
 */
import { fft2, fft2Start, fftScratch } from './fft.js';
import { workspace } from './kernels.js';

const scales = 4;
const orientations = 4;
const shortestWavelength = 6;
const wavelengthFactor = 2;
const bandwidth = 0.55;
const angularDeviation = Math.PI / (orientations * 1.2);
const lowPassCutoff = 0.45;
const noiseDeviations = 2;
const noiseOverestimate = 1.7;
/** What keeps 0/0 apart from 0: the spacing of 32-bit floats at 1, as in the reference. */
const epsilon = 2 ** -23;

/** Filters of one picture size, transposed as `fft2` leaves a spectrum, and what the noise threshold needs to know of each orientation. */
interface Filters {
  readonly width: number;
  readonly height: number;
  readonly radial: readonly Float32Array[];
  readonly angular: readonly Float32Array[];
  /** Threshold = factor · √(median of the squared response at the smallest scale). */
  readonly thresholdFactors: readonly number[];
}

let lastFilters: Filters | undefined;

/** Phase congruency in [0, 1] of two gray pictures of one size, row by row. Both sides at least 4. */
export function phaseCongruency(x: Float32Array, y: Float32Array, width: number, height: number): [Float32Array, Float32Array] {
  const count = width * height, size = Math.ceil(count / 4) * 4;
  const filters = lastFilters?.width === width && lastFilters.height === height ? lastFilters : makeFilters(width, height);
  lastFilters = filters;
  const { memory, at, kernels } = workspace({
    spectra: 4 * size, radial: scales * size, angular: orientations * size, responses: scales * 2 * size, other: 2 * size,
    energy: size, amplitude: size, scratch: fftScratch(height, width),
  });
  const place = { memory, kernels, scratch: at.scratch };
  filters.radial.forEach((filter, scale) => memory.set(filter, at.radial + scale * size));
  filters.angular.forEach((filter, orientation) => memory.set(filter, at.angular + orientation * size));

  const packed = [at.responses, at.other] as const, input = packed[fft2Start(height, width)];
  memory.set(x, input);
  memory.set(y, input + size);
  fft2(place, height, width, size, packed);
  separate(memory, at.responses, at.spectra, width, height, size);

  const inverseStart = fft2Start(width, height);
  return [0, 1].map((picture) => {
    memory.fill(0, at.energy, at.energy + size);
    memory.fill(0, at.amplitude, at.amplitude + size);
    for (let orientation = 0; orientation < orientations; orientation++) {
      for (let scale = 0; scale < scales; scale++) {
        const response = at.responses + scale * 2 * size, arrays = [response, at.other] as const;
        kernels.filterSpectrum(at.spectra + picture * 2 * size, at.radial + scale * size, at.angular + orientation * size, arrays[inverseStart], size);
        fft2(place, width, height, size, arrays);
      }
      const threshold = filters.thresholdFactors[orientation] * Math.sqrt(medianPower(memory, at.responses, size, count));
      kernels.addEnergy(at.responses, scales, size, threshold, epsilon, at.energy, at.amplitude);
    }
    const congruency = new Float32Array(count);
    for (let i = 0; i < count; i++) congruency[i] = (memory[at.energy + i] + epsilon) / (memory[at.amplitude + i] + epsilon);
    return congruency;
  }) as [Float32Array, Float32Array];
}

/** The spectra of x and y from that of x + iy, divided by the number of pixels, which the inverse transforms don't do. */
function separate(memory: Float32Array, packed: number, spectra: number, width: number, height: number, size: number): void {
  const scale = 0.5 / (width * height);
  for (let u = 0; u < width; u++) {
    const mirrorRow = packed + ((width - u) % width) * height, row = packed + u * height;
    for (let v = 0; v < height; v++) {
      const mirror = mirrorRow + (v === 0 ? 0 : height - v), here = row + v, to = spectra + u * height + v;
      const re = memory[here], im = memory[here + size], mirrorRe = memory[mirror], mirrorIm = memory[mirror + size];
      memory[to] = (re + mirrorRe) * scale;
      memory[to + size] = (im - mirrorIm) * scale;
      memory[to + 2 * size] = (im + mirrorIm) * scale;
      memory[to + 3 * size] = (mirrorRe - re) * scale;
    }
  }
}

/**
 * The lower median of |response|², exactly. Positive floats order as the integers of their bits, so that counting the upper 16
 * bits leaves few candidates to sort.
 */
function medianPower(memory: Float32Array, response: number, size: number, count: number): number {
  const power = new Float32Array(count), bits = new Uint32Array(power.buffer), counts = new Uint32Array(2 ** 16);
  for (let i = 0; i < count; i++) {
    const odd = memory[response + i], even = memory[response + size + i];
    power[i] = odd * odd + even * even;
    counts[bits[i] >>> 16]++;
  }
  let rank = Math.floor((count - 1) / 2), upper = 0;
  while (rank >= counts[upper]) rank -= counts[upper++];
  const candidates = new Float32Array(counts[upper]);
  for (let i = 0, found = 0; i < count; i++) {
    if (bits[i] >>> 16 === upper) candidates[found++] = power[i];
  }
  return candidates.sort()[rank];
}

function makeFilters(width: number, height: number): Filters {
  const down = frequencies(height), across = frequencies(width), count = width * height;
  const radial = Array.from({ length: scales }, () => new Float32Array(count));
  const angular = Array.from({ length: orientations }, () => new Float32Array(count));
  for (let u = 0, i = 0; u < width; u++) {
    for (let v = 0; v < height; v++, i++) {
      const radius = Math.hypot(down[v], across[u]), theta = Math.atan2(-across[u], down[v]);
      const lowPass = 1 / (1 + (radius / lowPassCutoff) ** 30);
      for (let scale = 0; scale < scales && radius > 0; scale++) {
        const ratio = Math.log(radius * shortestWavelength * wavelengthFactor ** scale);
        radial[scale][i] = lowPass * Math.exp(-ratio * ratio / (2 * Math.log(bandwidth) ** 2));
      }
      for (let orientation = 0; orientation < orientations; orientation++) {
        const turn = Math.abs(theta - orientation * Math.PI / orientations), distance = Math.min(turn, 2 * Math.PI - turn);
        angular[orientation][i] = Math.exp(-distance * distance / (2 * angularDeviation ** 2));
      }
    }
  }
  return { width, height, radial, angular, thresholdFactors: angular.map((spread) => thresholdFactor(radial, spread, width, height)) };
}

/** Cycles per pixel in the order of a transform; an odd size divides by size − 1, as Kovesi's grid does. */
function frequencies(size: number): Float64Array {
  const divisor = size % 2 ? size - 1 : size;
  return Float64Array.from({ length: size }, (_, k) => (k < size / 2 ? k : k - size) / divisor);
}

/**
 * The noise threshold but for the picture's own median. If the smallest scale's response is noise, its squared amplitude has a
 * χ² distribution of mean median/ln 2, and noise power is that mean over ΣF². The energy of noise summed over scales is then
 * E² = 2P·ΣAᵢ² + 4P·Σᵢ<ⱼ AᵢAⱼ, where Aᵢ = √N·Re(inverse transform of Fᵢ): by Parseval these sums need the filters' even parts alone.
 */
function thresholdFactor(radial: readonly Float32Array[], spread: Float32Array, width: number, height: number): number {
  let smallest = 0, squares = 0, all = 0;
  for (let u = 0, i = 0; u < width; u++) {
    for (let v = 0; v < height; v++, i++) {
      const mirror = ((width - u) % width) * height + (height - v) % height;
      let sum = 0;
      for (const [scale, filter] of radial.entries()) {
        const value = filter[i] * spread[i], even = (value + filter[mirror] * spread[mirror]) / 2;
        if (scale === 0) smallest += value * value;
        squares += even * even;
        sum += even;
      }
      all += sum * sum;
    }
  }
  const energy = 2 * squares + 2 * (all - squares); // Σᵢ<ⱼ AᵢAⱼ = ((ΣAᵢ)² − ΣAᵢ²) / 2
  const tau = Math.sqrt(energy / 2 / smallest / Math.LN2);
  return tau * (Math.sqrt(Math.PI / 2) + noiseDeviations * Math.sqrt(2 - Math.PI / 2)) / noiseOverestimate;
}
