/**
 * Distances between features of a network that was trained to classify ImageNet; Johnson, Alahi, Fei-Fei 2016.
 *
 * `vgg16`            mean |difference| of VGG16 relu2_2: DGF's released code (which fed it BGR in [−1, 1]; here its input is normalised as it was trained)
 * `vgg16-blocks`     the same of relu1_2, 2_2, 3_3 and 4_3, summed, of pictures resized to 224×224: the PyTorch port of DGF that the report began with
 * `vgg19`            mean square difference of VGG19 relu3_3: DeblurGAN's paper (its released code stops just before the ReLU)
 * `squeezenet`       mean |difference| of SqueezeNet 1.1's first convolution and its second and fourth fire module, summed
 * `lpips`            LPIPS v0.1 (lpips.ts)
 * `lpips-as-printed` Σ wᵢ·½(1 − SSIM(fᵢ))², what the report prints as LPIPS, of the features that LPIPS compares; wᵢ, which it leaves open, are equal and sum to 1
 */
import {
  Module, add, addScalar, autocast, buffer, div, l1Loss, matmul, mean, mseLoss, mulScalar, neg, scope, square, sub, tensor, to, toDtype, unitNormalize,
  type AutocastOptions, type Device, type Tensor,
} from '@unshake/libtorch';
import type { Config } from '../config.js';
import { WeightsError, messageOf } from '../errors.js';
import { fromRange, toRange, type Generator } from '../models/index.js';
import { inFloat } from '../precision.js';
import { claimedBy, findWeights, type Need } from '../weights/catalogue.js';
import { readWeights } from '../weights/read.js';
import { Backbone, type BackboneName } from './backbones.js';
import { featureSsim } from './feature-ssim.js';
import { Lpips, LpipsFeatures, backboneOf } from './lpips.js';

export const perceptualTypes = ['vgg16', 'vgg16-blocks', 'vgg19', 'squeezenet', 'lpips', 'lpips-as-printed'] as const;
export type PerceptualType = (typeof perceptualTypes)[number];
export { lpipsNetworks } from './lpips.js';

type PerceptualConfig = NonNullable<Config['losses']['perceptual']>;
type FeatureType = Exclude<PerceptualType, 'lpips' | 'lpips-as-printed'>;

const recipes: Record<FeatureType, { backbone: BackboneName; taps: readonly number[]; distance: (a: Tensor, b: Tensor) => Tensor; size?: number }> = {
  vgg16: { backbone: 'vgg16', taps: [8], distance: l1Loss },
  'vgg16-blocks': { backbone: 'vgg16', taps: [3, 8, 15, 22], distance: l1Loss, size: 224 },
  vgg19: { backbone: 'vgg19', taps: [15], distance: mseLoss },
  squeezenet: { backbone: 'squeezenet1_1', taps: [1, 4, 7], distance: l1Loss },
};

const isLpips = (type: PerceptualType): type is 'lpips' | 'lpips-as-printed' => type.startsWith('lpips');
const backboneNameOf = ({ type, network }: PerceptualConfig): BackboneName => isLpips(type) ? backboneOf(network) : recipes[type].backbone;
const isOfficial = (path: string | null): boolean => path === null || claimedBy(path) !== null;

/**
 * The loss's name in logs and tables. `lpips(vgg)` is said of the official weights alone, `lpips-as-printed(vgg)` of the report's formula; anything else is
 * `perceptual(NETWORK)`, whatever linear heads it ends in.
 */
export function perceptualName(config: PerceptualConfig): string {
  const { type, network, backbone, heads } = config;
  if (isLpips(type) && isOfficial(backbone) && (type === 'lpips-as-printed' || isOfficial(heads))) return `${type}(${network})`;
  return `perceptual(${backboneNameOf(config).replace('1_1', '')})`;
}

export interface Perceptual {
  name: string;
  weight: number;
  jitter: number;
  /** Mean over the batch, float32; N, 3, H, W in the generator's range. `sharp` takes no gradient. The network runs in autocast, what follows doesn't. */
  distance(generated: Tensor, sharp: Tensor, mixed: AutocastOptions): Tensor;
  release(): void;
}

const total = (terms: readonly Tensor[]): Tensor => terms.reduce((sum, term) => add(sum, term));

/** Rows that interpolate `from` samples to `size`, bilinear with half-pixel centres (align_corners false, no smoothing): size, from. */
function interpolation(from: number, size: number): Float64Array {
  const rows = new Float64Array(size * from);
  for (let i = 0; i < size; i++) {
    const place = Math.max(0, ((i + 0.5) * from) / size - 0.5), low = Math.floor(place), high = Math.min(low + 1, from - 1);
    rows[i * from + low] += 1 - (place - low);
    rows[i * from + high] += place - low;
  }
  return rows;
}

/** N, C, H, W → N, C, size, size. */
export function resizeBilinear(x: Tensor, size: number): Tensor {
  const [, , height, width] = x.shape;
  const like = (rows: Float64Array, shape: readonly number[]): Tensor => to(toDtype(tensor(rows, shape), x.dtype), x.device);
  const across = Float64Array.from({ length: width * size }, ((rows) => (_, i: number) => rows[(i % size) * width + Math.floor(i / size)])(interpolation(width, size))); // width, size
  return matmul(like(interpolation(height, size), [size, height]), matmul(x, like(across, [width, size])));
}

/** Features of pictures in [0, 1], normalised as the network was trained. */
class Features extends Module {
  net: Backbone;
  mean: Tensor;
  std: Tensor;
  readonly taps;
  readonly #size;

  constructor({ backbone, taps, size }: (typeof recipes)[FeatureType]) {
    super();
    this.taps = taps;
    this.#size = size;
    this.net = new Backbone(backbone, { last: Math.max(...taps) });
    this.mean = buffer(() => tensor([0.485, 0.456, 0.406], [1, 3, 1, 1]));
    this.std = buffer(() => tensor([0.229, 0.224, 0.225], [1, 3, 1, 1]));
  }

  prepare(x: Tensor): Tensor {
    const normalised = div(sub(x, this.mean), this.std);
    return this.#size === undefined ? normalised : resizeBilinear(normalised, this.#size);
  }
}

/** Weights of `features.N…` into a backbone. Throws WeightsError naming the file. */
function loadBackbone(net: Backbone, path: string): void {
  const own = net.stateDict();
  const weights = readWeights(path, (name) => own.has(name));
  fitting(path, () => net.loadStateDict(new Map([...weights].filter(([name]) => own.has(name)))));
}

function fitting(path: string, load: () => void): void {
  try {
    load();
  } catch (error) {
    throw new WeightsError(`${path}: ${messageOf(error)}`, { cause: error });
  }
}

/** Official names are lin0.model.1.weight, lin1.…, one a layer. */
function loadHeads({ lins }: Lpips, path: string): void {
  const weights = readWeights(path, (name) => name.startsWith('lin'));
  lins.forEach((head, i) => {
    const name = `lin${i}.model.1.weight`, weight = weights.get(name);
    if (!weight) throw new WeightsError(`${path}: expected linear heads of LPIPS v0.1, ${name} is missing`);
    fitting(path, () => head.loadStateDict(new Map([['weight', weight]])));
  });
}

/** What the loss must read, and where it is. Throws MissingError with the command that fetches it. */
function weightFiles(config: PerceptualConfig): { backbone: string; heads: string | undefined } {
  const { type, network, backbone, heads } = config;
  const needs: Need[] = [{ name: backboneNameOf(config), path: backbone, key: 'losses.perceptual.backbone' }];
  if (type === 'lpips') needs.push({ name: `lpips-${network}`, path: heads, key: 'losses.perceptual.heads' });
  const [net, lins] = findWeights(needs);
  return { backbone: net, heads: lins };
}

/** What is compared, and how: features of prepared pictures, both lists of the layers `taps`. */
interface Measure { module: Module; features: Features | LpipsFeatures; compare: (a: Tensor[], b: Tensor[]) => Tensor }

function makeMeasure({ type, network }: PerceptualConfig): Measure {
  switch (type) {
    case 'lpips': {
      const module = new Lpips(network);
      return { module, features: module.features, compare: (a, b) => mean(total(module.layers(a, b))) };
    }
    case 'lpips-as-printed': {
      const module = new LpipsFeatures(network);
      const term = (a: Tensor, b: Tensor): Tensor => mulScalar(mean(square(addScalar(neg(featureSsim(unitNormalize(a), unitNormalize(b))), 1))), 0.5);
      return { module, features: module, compare: (a, b) => mulScalar(total(a.map((layer, i) => term(layer, b[i]))), 1 / a.length) };
    }
    default: {
      const module = new Features(recipes[type]);
      return { module, features: module, compare: (a, b) => total(a.map((layer, i) => recipes[type].distance(layer, b[i]))) };
    }
  }
}

/** The loss that a run asks for, on a device, or null. Throws MissingError (weights are not here), WeightsError (they can't be read, or are another network's). */
export function makePerceptual({ losses: { perceptual: config } }: Pick<Config, 'losses'>, range: Generator['range'], device: Device): Perceptual | null {
  if (!config) return null;
  const files = weightFiles(config);
  const { module, features, compare } = makeMeasure(config);
  try {
    scope(() => {
      loadBackbone(features.net, files.backbone);
      if (module instanceof Lpips) loadHeads(module, files.heads!);
    });
  } catch (error) {
    module.release();
    throw error;
  }
  module.moveTo(device);
  // LPIPS is made for [−1, 1]; to feed it [0, 1] is one of the report's slips.
  const signed = isLpips(config.type) && config.range === 'signed';
  const extract = (x: Tensor, mixed: AutocastOptions): Tensor[] => {
    const prepared = features.prepare(signed ? toRange(fromRange(x, range), 'signed') : fromRange(x, range));
    return autocast(() => features.net.forward(prepared, features.taps), mixed).map(inFloat);
  };
  return {
    name: perceptualName(config), weight: config.weight, jitter: config.jitter,
    distance: (generated, sharp, mixed) => compare(extract(generated, mixed), extract(sharp, mixed)),
    release: () => module.release(),
  };
}
