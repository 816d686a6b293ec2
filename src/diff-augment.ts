/**
 * Differentiable augmentation: Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training", NeurIPS 2020, to the arithmetic of
 * mit-han-lab/data-efficient-gans. Everything that the discriminator judges is augmented, real and fake, in both players' steps; the
 * generator's gradient passes through. Zero, which moves in and which fills holes, is mid-grey of [−1, 1], which the method was made for; with a
 * generator whose range is [0, 1] it is black, and brightness and contrast change twice as much.
 *
 * A conditional discriminator judges pairs: both pictures of a pair get the same draw, else it would see inconsistent pairs; means that a
 * colour change refers to are each picture's own.
 */
import { add, cat, mean, mul, narrow, sub, tensor, to, toDtype, zeroPad2d, type Tensor } from '@unshake/libtorch';
import type { Random } from './random.js';

export const augmentations = ['color', 'translation', 'cutout'] as const;
export type Augmentation = (typeof augmentations)[number];

/** A number a sample → N, 1, 1, 1 like `x`. */
const perSample = (values: readonly number[], x: Tensor): Tensor => to(toDtype(tensor([...values], [values.length, 1, 1, 1]), x.dtype), x.device);

/** Moves away from `centre`, or towards it: centre + (x − centre) · factor. */
const stretch = (x: Tensor, centre: Tensor, factor: Tensor): Tensor => add(mul(sub(x, centre), factor), centre);

/** Brightness ± ½, saturation × 0…2 around each pixel's mean, contrast × ½…1½ around each picture's mean. */
function color(images: readonly Tensor[], randoms: readonly Random[]): Tensor[] {
  const brightness = randoms.map((random) => random.uniform() - 0.5);
  const saturation = randoms.map((random) => 2 * random.uniform());
  const contrast = randoms.map((random) => random.uniform() + 0.5);
  return images.map((image) => {
    const bright = add(image, perSample(brightness, image));
    const saturated = stretch(bright, mean(bright, [1], { keepDim: true }), perSample(saturation, image));
    return stretch(saturated, mean(saturated, [1, 2, 3], { keepDim: true }), perSample(contrast, image));
  });
}

/** Shifts by up to an eighth of the size; zeros enter. */
function translation(images: readonly Tensor[], randoms: readonly Random[]): Tensor[] {
  const [, , height, width] = images[0].shape;
  const shift = (random: Random, size: number): number => { const most = Math.floor(size / 8 + 0.5); return random.integer(2 * most + 1) - most; };
  const shifts = randoms.map((random) => ({ y: shift(random, height), x: shift(random, width) }));
  return images.map((image) => cat(shifts.map(({ x, y }, i) => zeroPad2d(narrow(image, 0, i, 1), [x, -x, y, -y])), 0));
}

/** Zeroes a rectangle of half the height and width, around a centre anywhere: it may lie partly outside. */
function cutout(images: readonly Tensor[], randoms: readonly Random[]): Tensor[] {
  const [n, , height, width] = images[0].shape;
  const mask = new Float32Array(n * height * width).fill(1);
  const span = (random: Random, size: number): [number, number] => {
    const hole = Math.floor(size / 2 + 0.5);
    const from = random.integer(size + 1 - (hole % 2)) - Math.floor(hole / 2);
    return [Math.max(0, from), Math.min(size, from + hole)];
  };
  randoms.forEach((random, i) => {
    const [top, bottom] = span(random, height), [left, right] = span(random, width);
    for (let y = top; y < bottom; y++) mask.fill(0, (i * height + y) * width + left, (i * height + y) * width + right);
  });
  return images.map((image) => mul(image, to(toDtype(tensor(mask, [n, 1, height, width]), image.dtype), image.device)));
}

const methods: Record<Augmentation, (images: readonly Tensor[], randoms: readonly Random[]) => Tensor[]> = { color, translation, cutout };

/**
 * The same draw for all `images` (N, 3, H, W each, one size), a draw a sample from its `randoms`; the policy's steps in its order. An empty policy
 * returns the images themselves.
 */
export function diffAugment(images: readonly Tensor[], policy: readonly Augmentation[], randoms: readonly Random[]): Tensor[] {
  return policy.reduce((current, step) => methods[step](current, randoms), [...images]);
}
