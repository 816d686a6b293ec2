/**
 * Layers as plain classes: parameters are tensors in fields, children are modules in fields, names are PyTorch's.
 * `forward` keeps channels-last memory. Default initialisation is PyTorch's too, drawn from the CPU generator.
 */
import { batchNorm, channelsLast, conv2d, convTranspose2d, copy_, dropout, instanceNorm, layerNorm2d, linear, prelu, to, toDtype, uniform_, zeros, full } from './generated.js';
import { noGrad } from './autograd.js';
import { outsideScopes } from './scope.js';
import { Tensor, type Device, type DType } from './tensor.js';

/** A tensor that is trained. Lives outside of scopes; what `make` needs on the way doesn't. */
export function parameter(make: () => Tensor): Tensor { return buffer(make).setRequiresGrad(true); }

/** A tensor that is saved but not trained. Lives outside of scopes. */
export function buffer(make: () => Tensor): Tensor { return outsideScopes(() => noGrad(make)); }

/** The modules of a field: itself, or those of a list, of lists too (PyTorch's ModuleList and Sequential), by their dotted names. */
function* modulesIn(name: string, value: unknown): Generator<[string, Module]> {
  if (value instanceof Module) yield [name, value];
  else if (Array.isArray(value)) for (const [i, item] of value.entries()) yield* modulesIn(`${name}.${i}`, item);
}

/** Names and keeps what its fields hold. Subclasses add a `forward`. */
export abstract class Module {
  /** Batch norm and dropout look at it. Set it with train() and eval(). */
  training = true;

  /** Own tensors and children's, by PyTorch's dotted names, in the order of the fields. */
  *namedTensors(prefix = ''): Generator<[string, Tensor, Module]> {
    for (const [key, value] of Object.entries(this)) {
      if (value instanceof Tensor) yield [prefix + key, value, this];
      else for (const [name, module] of modulesIn(key, value)) yield* module.namedTensors(`${prefix}${name}.`);
    }
  }

  *children(): Generator<Module> {
    for (const [key, value] of Object.entries(this)) for (const [, module] of modulesIn(key, value)) yield module;
  }

  /** The trained tensors. */
  parameters(): Tensor[] { return [...this.namedTensors()].filter(([, tensor]) => tensor.requiresGrad).map(([, tensor]) => tensor); }

  /** Every tensor to be saved, by name. */
  stateDict(): Map<string, Tensor> { return new Map([...this.namedTensors()].map(([name, tensor]) => [name, tensor])); }

  /** Copies values in, by name, casting as needed. Throws with the names when some are missing, unknown, or of another shape. */
  loadStateDict(state: Map<string, Tensor>): this {
    const own = this.stateDict();
    const missing = [...own.keys()].filter((name) => !state.has(name));
    const unknown = [...state.keys()].filter((name) => !own.has(name) && !name.endsWith('.num_batches_tracked')); // PyTorch's batch norms carry one; see BatchNorm2d
    const shapes = [...own].filter(([name, tensor]) => state.has(name) && state.get(name)!.shape.join() !== tensor.shape.join())
      .map(([name, tensor]) => `${name} [${state.get(name)!.shape.join(',')}] where [${tensor.shape.join(',')}] is expected`);
    if (missing.length + unknown.length + shapes.length > 0) {
      const some = (label: string, names: string[]) => names.length === 0 ? [] : [`${label}: ${names.slice(0, 4).join(', ')}${names.length > 4 ? ` and ${names.length - 4} more` : ''}`];
      throw new Error(`the weights don't fit this network: ${[...some('missing', missing), ...some('unknown', unknown), ...some('shapes', shapes)].join('; ')}`);
    }
    noGrad(() => own.forEach((tensor, name) => copy_(tensor, state.get(name)!)));
    return this;
  }

  train(training = true): this {
    this.training = training;
    for (const child of this.children()) child.train(training);
    return this;
  }

  eval(): this { return this.train(false); }

  /** Number of trained values. */
  get parameterCount(): number { return this.parameters().reduce((total, tensor) => total + tensor.numel, 0); }

  /** Moves every tensor to a device and dtype, 4-D weights into channels-last memory. Call it before making optimizers. */
  moveTo(device: Device, dtype?: DType): this {
    for (const [name, tensor, holder] of this.namedTensors()) {
      const moved = buffer(() => {
        const there = to(dtype ? toDtype(tensor, dtype) : tensor, device);
        return there.shape.length === 4 ? channelsLast(there) : there;
      });
      moved.setRequiresGrad(tensor.requiresGrad);
      (holder as unknown as Record<string, Tensor>)[name.slice(name.lastIndexOf('.') + 1)] = moved;
      tensor.release();
    }
    return this;
  }

  /** Frees every tensor. */
  release(): void { for (const [, tensor] of this.namedTensors()) tensor.release(); }
}

const pair = (value: number | readonly number[]): readonly number[] => typeof value === 'number' ? [value, value] : value;

/** PyTorch's default: kaiming_uniform with a = √5, that is U(±1/√fanIn), for weight and bias. */
const uniformParameter = (shape: readonly number[], fanIn: number): Tensor => parameter(() => uniform_(zeros(shape), -1 / Math.sqrt(fanIn), 1 / Math.sqrt(fanIn)));

export interface ConvOptions { stride?: number; padding?: number; dilation?: number; groups?: number; bias?: boolean }

/** nn.Conv2d. N, in, H, W → N, out, H', W'. */
export class Conv2d extends Module {
  weight: Tensor;
  bias: Tensor | null;
  readonly #options;

  constructor(inChannels: number, outChannels: number, kernel: number, { stride = 1, padding = 0, dilation = 1, groups = 1, bias = true }: ConvOptions = {}) {
    super();
    const fanIn = (inChannels / groups) * kernel * kernel;
    this.weight = uniformParameter([outChannels, inChannels / groups, kernel, kernel], fanIn);
    this.bias = bias ? uniformParameter([outChannels], fanIn) : null;
    this.#options = { stride: pair(stride), padding: pair(padding), dilation: pair(dilation), groups };
  }

  forward(x: Tensor): Tensor { return conv2d(x, this.weight, this.bias, this.#options); }
}

/** nn.ConvTranspose2d. */
export class ConvTranspose2d extends Module {
  weight: Tensor;
  bias: Tensor | null;
  readonly #options;

  constructor(inChannels: number, outChannels: number, kernel: number, { stride = 1, padding = 0, outputPadding = 0, bias = true }: { stride?: number; padding?: number; outputPadding?: number; bias?: boolean } = {}) {
    super();
    const fanIn = outChannels * kernel * kernel; // PyTorch counts dimension 1 of the weight, which is `out` here
    this.weight = uniformParameter([inChannels, outChannels, kernel, kernel], fanIn);
    this.bias = bias ? uniformParameter([outChannels], fanIn) : null;
    this.#options = { stride: pair(stride), padding: pair(padding), outputPadding: pair(outputPadding) };
  }

  forward(x: Tensor): Tensor { return convTranspose2d(x, this.weight, this.bias, this.#options); }
}

/** nn.Linear. …, in → …, out. */
export class Linear extends Module {
  weight: Tensor;
  bias: Tensor | null;

  constructor(inFeatures: number, outFeatures: number, { bias = true }: { bias?: boolean } = {}) {
    super();
    this.weight = uniformParameter([outFeatures, inFeatures], inFeatures);
    this.bias = bias ? uniformParameter([outFeatures], inFeatures) : null;
  }

  forward(x: Tensor): Tensor { return linear(x, this.weight, this.bias); }
}

/** nn.BatchNorm2d: the batch's statistics in training, the running ones in eval. (num_batches_tracked is not kept: nothing reads it at a fixed momentum.) */
export class BatchNorm2d extends Module {
  weight: Tensor;
  bias: Tensor;
  running_mean: Tensor;
  running_var: Tensor;
  readonly #options;

  constructor(channels: number, { momentum = 0.1, eps = 1e-5 }: { momentum?: number; eps?: number } = {}) {
    super();
    this.weight = parameter(() => full([channels], 1));
    this.bias = parameter(() => zeros([channels]));
    this.running_mean = buffer(() => zeros([channels]));
    this.running_var = buffer(() => full([channels], 1));
    this.#options = { momentum, eps };
  }

  forward(x: Tensor): Tensor { return batchNorm(x, this.weight, this.bias, this.running_mean, this.running_var, this.training, this.#options); }
}

/** nn.InstanceNorm2d without affine weights or running statistics: each image's own statistics, always. */
export class InstanceNorm2d extends Module {
  readonly #eps;
  constructor({ eps = 1e-5 }: { eps?: number } = {}) { super(); this.#eps = eps; }
  forward(x: Tensor): Tensor { return instanceNorm(x, null, null, { eps: this.#eps }); }
}

/** NAFNet's LayerNorm2d: per pixel over channels. */
export class LayerNorm2d extends Module {
  weight: Tensor;
  bias: Tensor;
  readonly #eps;

  constructor(channels: number, { eps = 1e-6 }: { eps?: number } = {}) {
    super();
    this.weight = parameter(() => full([channels], 1));
    this.bias = parameter(() => zeros([channels]));
    this.#eps = eps;
  }

  forward(x: Tensor): Tensor { return layerNorm2d(x, this.weight, this.bias, { eps: this.#eps }); }
}

/** nn.PReLU with one slope a channel, 0.25 at first. */
export class PReLU extends Module {
  weight: Tensor;
  constructor(channels: number) { super(); this.weight = parameter(() => full([channels], 0.25)); }
  forward(x: Tensor): Tensor { return prelu(x, this.weight); }
}

/** nn.Dropout. */
export class Dropout extends Module {
  constructor(readonly p: number) { super(); }
  forward(x: Tensor): Tensor { return dropout(x, this.p, this.training); }
}
