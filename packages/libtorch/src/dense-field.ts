/** Densely connected layers as one op, recorded for export as what it does. */
import { cat, denseField, instanceNormLeakyRelu, leakyRelu } from './generated.js';
import { BatchNorm2d, type Conv2d, type InstanceNorm2d } from './nn.js';
import type { Tensor } from './tensor.js';
import { recorder } from './trace.js';

/** 1×1 (all features so far → width) → norm → 3×3 (width → growth; zero padding, `dilation`) → norm. Widths are equal in all layers, and both norms of a kind. */
export interface DenseLayer {
  readonly c1: Conv2d;
  readonly n1: BatchNorm2d | InstanceNorm2d;
  readonly c2: Conv2d;
  readonly n2: BatchNorm2d | InstanceNorm2d;
  readonly dilation: number;
}

export interface DenseFieldOptions {
  /** Batch norm takes the batch's statistics and updates the running ones. */
  training: boolean;
  /** Instance norm (without weights) before each feature's LeakyReLU; the input is feature 0. Not with batch norm. */
  normaliseFeatures?: boolean;
  /** LeakyReLU between the first norm and the 3×3. */
  activateBottleneck?: boolean;
  /** Return the last layer's feature alone (through LeakyReLU, not normalised again) instead of all features. */
  onlyLast?: boolean;
}

const slope = 0.2;

/**
 * N, C, H, W (not yet activated) → N, C + layers · growth, H, W: the LeakyReLU (slope 0.2) of the input and of each layer's output, side by side.
 * With `onlyLast` N, growth, H, W.
 */
export function denseLayers(input: Tensor, layers: readonly DenseLayer[], options: DenseFieldOptions): Tensor {
  if (recorder.current) return opByOp(input, layers, options);
  const { training, normaliseFeatures = false, activateBottleneck = false, onlyLast = false } = options;
  const convolutions = layers.flatMap(({ c1, c2 }) => [c1.weight, c1.bias, c2.weight, c2.bias].filter((tensor) => tensor !== null));
  const norms = layers.flatMap(({ n1, n2 }) => [n1, n2].flatMap((norm) => norm instanceof BatchNorm2d ? [norm.weight, norm.bias, norm.running_mean, norm.running_var] : []));
  return denseField(input, convolutions, norms, layers.map(({ dilation }) => dilation), { training, normaliseFeatures, activateBottleneck, onlyLast });
}

function opByOp(input: Tensor, layers: readonly DenseLayer[], { normaliseFeatures = false, activateBottleneck = false, onlyLast = false }: DenseFieldOptions): Tensor {
  const activate = (x: Tensor): Tensor => normaliseFeatures ? instanceNormLeakyRelu(x, { negativeSlope: slope }) : leakyRelu(x, slope);
  const features = [activate(input)];
  for (const [i, { c1, n1, c2, n2 }] of layers.entries()) {
    const bottleneck = n1.forward(c1.forward(features.length === 1 ? features[0] : cat(features, 1)));
    const z = n2.forward(c2.forward(activateBottleneck ? leakyRelu(bottleneck, slope) : bottleneck));
    if (onlyLast && i === layers.length - 1) return leakyRelu(z, slope);
    features.push(activate(z));
  }
  return cat(features, 1);
}
