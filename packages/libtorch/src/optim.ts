/** Optimizers, PyTorch's update rules. State lives outside of scopes and is saved with a checkpoint. */
import { noGrad } from './autograd.js';
import { add, addScalar_, add_, addcmul_, clone, copy_, div, mulScalar, mulScalar_, sqrt, zerosLike } from './generated.js';
import { native } from './native.js';
import { outsideScopes, scope } from './scope.js';
import { Tensor, tensor } from './tensor.js';

/** What the training loop and the checkpoint need of an optimizer. */
export interface Optimizer {
  /** Learning rate; may be changed between steps. */
  lr: number;
  readonly parameters: readonly Tensor[];
  /** One update from the parameters' gradients; parameters without one are left alone. */
  step(): void;
  /** Drops all gradients. */
  zeroGrad(): void;
  /** Tensors to save, by `index.name`; and the number of steps taken. */
  state(): Map<string, Tensor>;
  load(state: Map<string, Tensor>): void;
  release(): void;
}

type Slots = Record<string, Tensor>;
/** A parameter that has a gradient, and what the optimizer keeps of it. */
interface Update { parameter: Tensor; gradient: Tensor; slots: Slots; step: number }
type RuleForAll = (all: readonly Update[], lr: number) => void;

/** The bookkeeping that all rules share: `slots` zero tensors a parameter, a step count, saving and loading. */
function optimizer(parameters: readonly Tensor[], lr: number, slotNames: readonly string[], rule: RuleForAll): Optimizer {
  if (parameters.length === 0) throw new RangeError('optimizer: no parameters');
  const slots: Slots[] = outsideScopes(() => parameters.map((parameter) => Object.fromEntries(slotNames.map((name) => [name, noGrad(() => zerosLike(parameter))]))));
  const steps = parameters.map(() => 0);
  const self: Optimizer = {
    lr,
    parameters,
    step: () => noGrad(() => scope(() => {
      const all = parameters.flatMap((parameter, i) => {
        const gradient = parameter.grad;
        return gradient ? [{ parameter, gradient, slots: slots[i], step: ++steps[i] }] : [];
      });
      rule(all, self.lr);
    })),
    zeroGrad: () => { for (const parameter of parameters) parameter.grad = null; },
    state: () => new Map([
      ...slots.flatMap((own, i) => Object.entries(own).map(([name, value]): [string, Tensor] => [`${i}.${name}`, value])),
      ['steps', tensor(BigInt64Array.from(steps, BigInt))] as [string, Tensor],
    ]),
    load: (state) => {
      const expected = [...slots.flatMap((own, i) => Object.keys(own).map((name) => `${i}.${name}`)), 'steps'];
      const missing = expected.filter((name) => !state.has(name));
      if (missing.length > 0 || state.size !== expected.length) throw new Error(`the optimizer's state has ${state.size} entries, this optimizer ${expected.length}; missing: ${missing.slice(0, 3).join(', ') || 'none'}`);
      const counts = state.get('steps')!.toArray() as BigInt64Array;
      if (counts.length !== parameters.length) throw new Error(`the optimizer's state is of ${counts.length} parameters, this optimizer has ${parameters.length}`);
      slots.forEach((own, i) => Object.entries(own).forEach(([name, value]) => {
        const shape = state.get(`${i}.${name}`)!.shape;
        if (shape.join() !== value.shape.join()) throw new Error(`the optimizer's state has ${i}.${name} [${shape.join(',')}] where [${value.shape.join(',')}] is expected`);
      }));
      noGrad(() => slots.forEach((own, i) => Object.entries(own).forEach(([name, value]) => copy_(value, state.get(`${i}.${name}`)!))));
      counts.forEach((count, i) => { steps[i] = Number(count); });
    },
    release: () => slots.forEach((own) => Object.values(own).forEach((value) => value.release())),
  };
  return self;
}

export interface AdamOptions { lr?: number; betas?: readonly [number, number]; eps?: number; weightDecay?: number }

function adamRule({ betas, eps, weightDecay, decoupled }: Required<Omit<AdamOptions, 'lr'>> & { decoupled: boolean }): RuleForAll {
  return (all, lr) => {
    const handles = (pick: (one: (typeof all)[0]) => Tensor) => all.map((one) => pick(one).handle);
    native().adamStep(handles(({ parameter }) => parameter), handles(({ gradient }) => gradient), handles(({ slots }) => slots.exp_avg), handles(({ slots }) => slots.exp_avg_sq),
      all.map(({ step }) => step), [lr, ...betas, eps, weightDecay], decoupled);
  };
}

/** Adam (Kingma & Ba 2015); weight decay is added to the gradient, as in torch.optim.Adam. */
export function Adam(parameters: readonly Tensor[], { lr = 1e-3, betas = [0.9, 0.999], eps = 1e-8, weightDecay = 0 }: AdamOptions = {}): Optimizer {
  return optimizer(parameters, lr, ['exp_avg', 'exp_avg_sq'], adamRule({ betas, eps, weightDecay, decoupled: false }));
}

/** AdamW (Loshchilov & Hutter 2019); weight decay shrinks the parameter itself. */
export function AdamW(parameters: readonly Tensor[], { lr = 1e-3, betas = [0.9, 0.999], eps = 1e-8, weightDecay = 1e-2 }: AdamOptions = {}): Optimizer {
  return optimizer(parameters, lr, ['exp_avg', 'exp_avg_sq'], adamRule({ betas, eps, weightDecay, decoupled: true }));
}

/** A rule that takes one parameter after the other. */
const each = (rule: (update: Update, lr: number) => void): RuleForAll => (all, lr) => { for (const update of all) scope(() => rule(update, lr)); };

/** SGD with momentum, Nesterov's on request, as in torch.optim.SGD (dampening 0). */
export function SGD(parameters: readonly Tensor[], { lr = 1e-2, momentum = 0, nesterov = false, weightDecay = 0 }: { lr?: number; momentum?: number; nesterov?: boolean; weightDecay?: number } = {}): Optimizer {
  return optimizer(parameters, lr, momentum === 0 ? [] : ['momentum_buffer'], each(({ parameter, gradient, slots }, rate) => {
    let g = weightDecay === 0 ? gradient : add(gradient, mulScalar(parameter, weightDecay));
    if (momentum !== 0) {
      const velocity = add_(mulScalar_(slots.momentum_buffer, momentum), g);
      g = nesterov ? add(g, mulScalar(velocity, momentum)) : velocity;
    }
    add_(parameter, g, { alpha: -rate });
  }));
}

/** RMSprop as in torch.optim.RMSprop (not centred, no momentum). */
export function RMSprop(parameters: readonly Tensor[], { lr = 1e-2, alpha = 0.99, eps = 1e-8, weightDecay = 0 }: { lr?: number; alpha?: number; eps?: number; weightDecay?: number } = {}): Optimizer {
  return optimizer(parameters, lr, ['square_avg'], each(({ parameter, gradient, slots: { square_avg: squares } }, rate) => {
    const g = weightDecay === 0 ? gradient : add(gradient, mulScalar(parameter, weightDecay));
    addcmul_(mulScalar_(squares, alpha), g, g, { value: 1 - alpha });
    add_(parameter, div(g, addScalar_(sqrt(squares), eps)), { alpha: -rate });
  }));
}

/** An exponential moving average of a network's tensors, for evaluation: average += (1 − decay) · (value − average). */
export class Ema {
  readonly average: Map<string, Tensor>;

  constructor(source: Map<string, Tensor>, readonly decay: number) {
    this.average = outsideScopes(() => noGrad(() => new Map([...source].map(([name, value]) => [name, clone(value)]))));
  }

  /** `step` counts from 1: early on the average follows faster, min(decay, (1 + step) / (10 + step)). */
  update(source: Map<string, Tensor>, step: number): void {
    const weight = 1 - Math.min(this.decay, (1 + step) / (10 + step));
    native().lerpAll([...this.average.values()].map(({ handle }) => handle), [...this.average.keys()].map((name) => source.get(name)!.handle), weight);
  }

  release(): void { for (const value of this.average.values()) value.release(); }
}

/** Scales all gradients down so that their joint 2-norm is at most `limit`; returns the norm before, one number on their device. A GPU isn't waited for. */
export function clipGradNorm(parameters: readonly Tensor[], limit: number): Tensor {
  return scope(() => {
    const gradients = parameters.map((parameter) => parameter.grad).filter((gradient) => gradient !== null);
    return new Tensor(native().clipGradNorm(gradients.map(({ handle }) => handle), limit));
  });
}
