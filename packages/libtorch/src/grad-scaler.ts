/** Loss scaling for float16, whose gradients underflow otherwise (torch.cuda.amp.GradScaler's rule, counted in updates: two players that share one count twice a step; bfloat16 needs none). */
import { allFinite, noGrad } from './autograd.js';
import { mulScalar, mulScalar_ } from './generated.js';
import { clipGradNorm, type Optimizer } from './optim.js';
import { scope } from './scope.js';
import type { Tensor } from './tensor.js';

export class GradScaler {
  #scale: number;
  #goodSteps = 0;
  readonly #growth;

  constructor({ initialScale = 65536, growthFactor = 2, backoffFactor = 0.5, growthInterval = 2000 }: { initialScale?: number; growthFactor?: number; backoffFactor?: number; growthInterval?: number } = {}) {
    this.#scale = initialScale;
    this.#growth = { growthFactor, backoffFactor, growthInterval };
  }

  get scale(): number { return this.#scale; }

  /** loss · scale: what to call backward() on. */
  scaled(loss: Tensor): Tensor { return mulScalar(loss, this.#scale); }

  /** Unscales the gradients, clips their joint norm to `clip` on request, and steps; skips the step and halves the scale when one is infinite or NaN. Returns whether it stepped. */
  step(optimizer: Optimizer, clip: number | null = null): boolean {
    const stepped = noGrad(() => scope(() => {
      const gradients = optimizer.parameters.map((parameter) => parameter.grad).filter((gradient) => gradient !== null);
      if (!allFinite(gradients)) return false;
      for (const gradient of gradients) mulScalar_(gradient, 1 / this.#scale);
      if (clip !== null) clipGradNorm(optimizer.parameters, clip);
      optimizer.step();
      return true;
    }));
    if (!stepped) {
      this.#scale *= this.#growth.backoffFactor;
      this.#goodSteps = 0;
    } else if (++this.#goodSteps === this.#growth.growthInterval) {
      this.#scale *= this.#growth.growthFactor;
      this.#goodSteps = 0;
    }
    return stepped;
  }

  state(): { scale: number; goodSteps: number } { return { scale: this.#scale, goodSteps: this.#goodSteps }; }
  load({ scale, goodSteps }: { scale: number; goodSteps: number }): void { this.#scale = scale; this.#goodSteps = goodSteps; }
}
