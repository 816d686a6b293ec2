/** VIF as its formulas say, close to float64: separable windows over values around mid-grey, whose 32-bit squares keep enough digits. */
import { gaussian, slidingMeans } from './filter.js';
import { luminance, type Planes } from './planes.js';
import { epsilon, halfSize, LogSum, type Arithmetic, type Gray, type Information } from './vif-arithmetic.js';

/** A variance below this share of the mean square is rounding of 32-bit sums: the window is flat. */
const roundingShare = 5e-7;

export const float64: Arithmetic = { luminance: centredLuminance, blurredHalf, information };

/** Variances don't change when a constant is subtracted. */
function centredLuminance(image: Planes): Gray {
  const values = luminance(image, 255);
  for (let i = 0; i < values.length; i++) values[i] -= 127.5;
  return { width: image.width, height: image.height, values };
}

function blurredHalf(image: Gray, length: number): Gray {
  const half = halfSize(image, length), values = new Float32Array(half.width * half.height);
  slidingMeans({ ...image, kernel: gaussian(length, length / 5), maps: 1, rowStep: 2 }, ({ memory, at: [row] }, y) => {
    memory.set(image.values.subarray(y * image.width, (y + 1) * image.width), row);
  }, ({ memory, at: [means] }, y) => {
    for (let x = 0, to = (y / 2) * half.width; x < half.width; x++) values[to + x] = memory[means + 2 * x];
  });
  return { ...half, values };
}

function information(test: Gray, reference: Gray, length: number, noise: number): Information {
  const kernel = gaussian(length, length / 5);
  const { width, height } = test, x = test.values, y = reference.values, columns = width - kernel.length + 1;
  const received = new LogSum(), sent = new LogSum();
  slidingMeans({ width, height, kernel, maps: 5 }, ({ memory, at: [xs, ys, xx, yy, xy] }, row) => {
    for (let i = 0, from = row * width; i < width; i++, from++) {
      const a = x[from], b = y[from];
      memory[xs + i] = a;
      memory[ys + i] = b;
      memory[xx + i] = a * a;
      memory[yy + i] = b * b;
      memory[xy + i] = a * b;
    }
  }, ({ memory, at: [xs, ys, xx, yy, xy] }) => {
    for (let i = 0; i < columns; i++) {
      const a = memory[xs + i], b = memory[ys + i];
      const varianceX = Math.max(0, memory[xx + i] - a * a), covariance = memory[xy + i] - a * b;
      let varianceY = Math.max(0, memory[yy + i] - b * b);
      let gain = covariance / (varianceY + epsilon), rest = varianceX - gain * covariance;
      if (varianceY < Math.max(epsilon, roundingShare * memory[yy + i])) { gain = 0; rest = varianceX; varianceY = 0; }
      if (varianceX < Math.max(epsilon, roundingShare * memory[xx + i])) { gain = 0; rest = 0; }
      if (gain < 0) { gain = 0; rest = varianceX; }
      received.add(1 + gain * gain * varianceY / (Math.max(rest, epsilon) + noise));
      sent.add(1 + varianceY / noise);
    }
  });
  return { received: received.log10(), sent: sent.log10() };
}
