/**
 * VIF with the rounding of `piq.vif_p` 0.8 on PyTorch's CPU convolutions (1.13, oneDNN): luminance as it is, 32-bit numbers
 * throughout, and each step rounded where piq's tensor operations round. `f` below is that rounding.
 */
import { fusedMeans } from './filter.js';
import { lumaWeights, type Planes } from './planes.js';
import { epsilon, halfSize, LogSum, type Arithmetic, type Gray, type Information } from './vif-arithmetic.js';
import { gaussianWindow } from './vif-window.js';

const f = Math.fround;

export const float32: Arithmetic = { luminance, blurredHalf, information };

function luminance({ width, height, planes }: Planes): Gray {
  const values = new Float32Array(width * height);
  if (planes.length !== 3) {
    for (let i = 0; i < values.length; i++) values[i] = f(planes[0][i]) * 255;
    return { width, height, values };
  }
  const [r, g, b] = planes, [wr, wg, wb] = lumaWeights.map(f);
  for (let i = 0; i < values.length; i++) {
    const red = f(wr * f(f(r[i]) * 255)), green = f(wg * f(f(g[i]) * 255)), blue = f(wb * f(f(b[i]) * 255));
    values[i] = f(red + green) + blue;
  }
  return { width, height, values };
}

function blurredHalf(image: Gray, length: number): Gray {
  const half = halfSize(image, length), values = new Float32Array(half.width * half.height);
  fusedMeans({ ...image, window: length, weights: gaussianWindow(length), maps: 1, rowStep: 2 }, ({ memory, at: [row] }, y) => {
    memory.set(image.values.subarray(y * image.width, (y + 1) * image.width), row);
  }, ({ memory, at: [means] }, y) => {
    for (let x = 0, to = (y / 2) * half.width; x < half.width; x++) values[to + x] = memory[means + 2 * x];
  });
  return { ...half, values };
}

function information(test: Gray, reference: Gray, length: number, noise: number): Information {
  const { width, height } = test, x = test.values, y = reference.values, columns = width - length + 1, noise32 = f(noise), epsilon32 = f(epsilon);
  const received = new LogSum(), sent = new LogSum();
  fusedMeans({ width, height, window: length, weights: gaussianWindow(length), maps: 5 }, ({ memory, at: [xs, ys, xx, yy, xy] }, row) => {
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
      const a = memory[xs + i], b = memory[ys + i], covariance = f(memory[xy + i] - f(a * b));
      const varianceX = Math.max(0, f(memory[xx + i] - f(a * a)));
      let varianceY = Math.max(0, f(memory[yy + i] - f(b * b)));
      let gain = f(covariance / f(varianceY + epsilon32)), rest = f(varianceX - f(gain * covariance));
      if (varianceY < epsilon32) { gain = 0; rest = varianceX; varianceY = 0; }
      if (varianceX < epsilon32) { gain = 0; rest = 0; }
      if (gain < 0) { gain = 0; rest = varianceX; }
      received.add(f(1 + f(f(f(gain * gain) * varianceY) / f(Math.max(rest, epsilon32) + noise32))));
      sent.add(f(1 + f(varianceY / noise32)));
    }
  });
  return { received: received.log10(), sent: sent.log10() };
}
