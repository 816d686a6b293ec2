/** What the sensor adds: light beyond white that still smears, and noise. */
import type { Random } from '../random.js';
import type { LinearImage } from './linear.js';

/**
 * Brightens, in place, what the photo has clipped: light above `knee` grows up to `boost` times at white. A lamp that is
 * 255 in the photo was far brighter in the scene; without this its streak comes out gray. The knee is high: what the
 * photo resolves must look alike in blur and target.
 */
export function boostHighlights({ data }: LinearImage, boost: number, knee = 0.97): void {
  for (let i = 0; i < data.length; i += 3) {
    const brightest = Math.max(data[i], data[i + 1], data[i + 2]);
    if (brightest <= knee) continue;
    const gain = 1 + (boost - 1) * ((brightest - knee) / (1 - knee)) ** 2;
    data[i] *= gain;
    data[i + 1] *= gain;
    data[i + 2] *= gain;
  }
}

// Standard normal quantiles at the middles of 4096 equal shares, by inverting the distribution function in a walk.
// A look-up by random bits is several times faster than Box and Muller, and 150 000 draws a crop are needed.
const quantileCount = 4096;
let quantiles: Float32Array | undefined;

function normalQuantiles(): Float32Array {
  if (quantiles !== undefined) return quantiles;
  quantiles = new Float32Array(quantileCount);
  const step = 1e-4;
  let share = 0.5, z = 0;
  for (let i = quantileCount / 2; i < quantileCount; i++) {
    const wanted = (i + 0.5) / quantileCount;
    while (share < wanted) {
      share += step * Math.exp(-((z + step / 2) ** 2) / 2) / Math.sqrt(2 * Math.PI);
      z += step;
    }
    quantiles[i] = z;
    quantiles[quantileCount - 1 - i] = -z;
  }
  return quantiles;
}

/**
 * Adds sensor noise to linear light, in place: variance `shot`·light + `read`² in each sample, independent.
 * Orders of size: shot 1e-4 and read 2e-4 give about one 8-bit level after encoding.
 */
export function addSensorNoise({ data }: LinearImage, random: Random, { shot, read }: { shot: number; read: number }): void {
  const normal = normalQuantiles();
  const floor = read * read;
  for (let i = 0; i < data.length; i += 2) {
    // One 32-bit draw serves two samples.
    const bits = random.uniform() * 2 ** 24;
    const high = bits / quantileCount | 0;
    data[i] += normal[high] * Math.sqrt(shot * data[i] + floor);
    if (i + 1 < data.length) data[i + 1] += normal[(bits | 0) & (quantileCount - 1)] * Math.sqrt(shot * data[i + 1] + floor);
  }
}
