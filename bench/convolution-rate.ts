/** The limit that bench/train-step.ts compares with: how fast this machine convolves, through ATen (oneDNN), in the precision of the run. */
import { channelsLast, conv2d, noGrad, randn, scope, toDtype, type DType } from '@unshake/libtorch';

/** Images, channels in and out, kernel, side: shapes of the networks, of the kind that libraries are good at. */
const shapes = [[2, 64, 64, 3, 256], [2, 128, 32, 3, 256], [1, 256, 64, 3, 256], [1, 256, 256, 3, 128], [2, 416, 128, 1, 256]] as const;

/** The best of several forward convolutions, channels-last, in TFLOP/s (two operations a multiply-add). */
export function bestConvolution(dtype: DType): number {
  return Math.max(...shapes.map(([n, from, to, kernel, side]) => noGrad(() => scope(() => {
    const x = toDtype(channelsLast(randn([n, from, side, side])), dtype), weight = toDtype(channelsLast(randn([to, from, kernel, kernel])), dtype);
    const padding = (kernel - 1) / 2;
    const seconds = Array.from({ length: 5 }, () => scope(() => {
      const start = performance.now();
      conv2d(x, weight, null, { padding: [padding, padding] });
      return (performance.now() - start) / 1000;
    }));
    return 2 * n * from * to * kernel ** 2 * side ** 2 / Math.min(...seconds) / 1e12;
  }))));
}
