/**
 * A conditional diffusion model that deblurs by stochastic refinement, after Whang et al. ("Deblurring via Stochastic Refinement", CVPR 2022), for the
 * comparison with the GANs: from noise, step by step, to one of the sharp pictures that a blurry one may come from.
 *
 * What is diffused is the difference from the blurry picture, in units of its usual deviation: x_t = cos(πt/2) · x_0 + sin(πt/2) · ε, t from 0 to 1.
 * The network sees x_t and the blurry picture and answers v = cos(πt/2) · ε − sin(πt/2) · x_0 (Salimans & Ho, "Progressive Distillation", ICLR 2022,
 * §4 and appendix D), and pictures are drawn by DDIM (Song et al., ICLR 2021) without fresh noise between the steps. Unlike Whang's there is no
 * first guess by a second network: with `steps: 1` this one is that guess, the mean of all pictures that are possible.
 */
import { Linear, Module, add, addScalar, cat, mul, mulScalar, reshape, silu, sub, tensor, to, type Tensor } from '@unshake/libtorch';
import { randomAt, type Random } from '../random.js';
import type { Generator } from './index.js';
import { ResidualUNet, type ResidualUNetOptions } from './residual-unet.js';

export interface DiffusionOptions extends Pick<ResidualUNetOptions, 'width' | 'blocks' | 'shuffle'> {
  /** From noise to picture; the network runs once in each. More: sharper, and further from the mean. */
  steps?: number;
  /** Pictures that are drawn and averaged: nearer to the mean again. */
  samples?: number;
  /** Usual deviation of sharp pictures from their blurry ones, in [0, 1]. */
  spread?: number;
}

const frequencies = 8, hidden = 64;

/** sin and cos of the time at eight frequencies, a row a sample. */
const timeFeatures = (times: readonly number[]): Float32Array =>
  Float32Array.from(times.flatMap((t) => Array.from({ length: frequencies }, (_, k) => [Math.sin(Math.PI * t * 2 ** (k / 2)), Math.cos(Math.PI * t * 2 ** (k / 2))]).flat()));

/** N, 3, H, W in [0, 1] → the same; H and W multiples of the U-Net's. Twice with the same picture: the same result, for its noise follows from its size. */
export class Diffusion extends Module implements Generator {
  unet; time1; time2; shifts;
  readonly range = 'unit';
  readonly whole = true; // tiles would draw noise of their own
  readonly drawsNoise = true;
  readonly #steps: number;
  readonly #samples: number;
  readonly #spread: number;

  constructor({ width = 48, blocks = [2, 2, 6], shuffle = 2, steps = 10, samples = 1, spread = 0.07 }: DiffusionOptions = {}) {
    super();
    this.unet = new ResidualUNet({ width, blocks, shuffle, pictures: 2 });
    this.time1 = new Linear(2 * frequencies, hidden);
    this.time2 = new Linear(hidden, hidden);
    this.shifts = [0, 1, 2].map((scale) => new Linear(hidden, width * 2 ** scale));
    this.#steps = steps;
    this.#samples = samples;
    this.#spread = spread;
  }

  get multiple(): number { return this.unet.multiple; }
  get receptiveRadius(): number { return this.#steps * this.unet.receptiveRadius; }

  /** Draws `samples` pictures, each in `steps` steps, and averages them. */
  forward(blur: Tensor): Tensor {
    const [n] = blur.shape;
    const sum = Array.from({ length: this.#samples }, (_, sample) => this.#draw(blur, this.#noise(blur, Array.from({ length: n }, (_row, image) => randomAt(sample, image)))))
      .reduce((a, b) => add(a, b));
    return add(blur, mulScalar(sum, this.#spread / this.#samples));
  }

  /** In training: noise is put over the sharp picture's difference from the blurry one, at a time drawn for each; what the network takes the sharp one for. */
  guess(blur: Tensor, sharp: Tensor, randoms: readonly Random[]): Tensor {
    const times = randoms.map((random) => random.uniform());
    const noisy = this.#mix(mulScalar(sub(sharp, blur), 1 / this.#spread), this.#noise(blur, randoms), times, [Math.cos, Math.sin]);
    const clean = this.#clean(noisy, this.#velocity(blur, noisy, times), times);
    return add(blur, mulScalar(clean, this.#spread));
  }

  #draw(blur: Tensor, noise: Tensor): Tensor {
    const [n] = blur.shape, at = (t: number): number[] => new Array<number>(n).fill(t);
    let x = noise;
    for (let step = this.#steps; step > 0; step--) {
      const times = at(step / this.#steps), v = this.#velocity(blur, x, times);
      const rest = this.#mix(x, v, times, [Math.sin, Math.cos]);
      x = this.#mix(this.#clean(x, v, times), rest, at((step - 1) / this.#steps), [Math.cos, Math.sin]);
    }
    return x;
  }

  /** x_0, of x_t and v. */
  #clean(x: Tensor, v: Tensor, times: readonly number[]): Tensor { return this.#mix(x, v, times, [Math.cos, (angle) => -Math.sin(angle)]); }

  /** a · f(πt/2) + b · g(πt/2), each sample at its own time. */
  #mix(a: Tensor, b: Tensor, times: readonly number[], [f, g]: readonly [(angle: number) => number, (angle: number) => number]): Tensor {
    const factors = (h: (angle: number) => number): Tensor => to(tensor(Float32Array.from(times, (t) => h(Math.PI * t / 2)), [times.length, 1, 1, 1]), a.device);
    return add(mul(a, factors(f)), mul(b, factors(g)));
  }

  #velocity(blur: Tensor, x: Tensor, times: readonly number[]): Tensor {
    const features = to(tensor(timeFeatures(times), [times.length, 2 * frequencies]), blur.device);
    const code = silu(this.time2.forward(silu(this.time1.forward(features))));
    const shifts = this.shifts.map((shift) => { const y = shift.forward(code); return reshape(y, [...y.shape, 1, 1]); });
    return this.unet.correction(cat([addScalar(mulScalar(blur, 2), -1), x], 1), shifts);
  }

  /** Standard normal, of the picture's shape, a stream a sample. */
  #noise(like: Tensor, randoms: readonly Random[]): Tensor {
    const [n, , height, width] = like.shape, size = 3 * height * width, values = new Float32Array(n * size);
    randoms.forEach((random, sample) => { for (let i = 0; i < size; i++) values[sample * size + i] = random.normal(); });
    return to(tensor(values, [n, 3, height, width]), like.device);
  }
}
