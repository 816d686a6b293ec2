/** Gradients, and the modes around them. Every mode is restored in `finally`. */
import { explained } from './dispatch.js';
import { native } from './native.js';
import { Tensor, type Device, type DType } from './tensor.js';

/** Adds d loss / d leaf to the gradient of every leaf that requires one. `createGraph` keeps the gradients differentiable. */
export function backward(loss: Tensor, { createGraph = false }: { createGraph?: boolean } = {}): void {
  explained('backward', ['loss'], [loss], () => native().backward(loss.handle, createGraph));
}

/** d (Σ outputs · gradOutputs) / d inputs, without touching `.grad`; null for an input the outputs don't depend on. */
export function gradients(outputs: readonly Tensor[], inputs: readonly Tensor[], { gradOutputs = null, createGraph = false }: { gradOutputs?: readonly Tensor[] | null; createGraph?: boolean } = {}): (Tensor | null)[] {
  const handles = (tensors: readonly Tensor[]) => tensors.map((tensor) => tensor.handle);
  return explained('gradients', ['outputs', 'inputs'], [outputs, inputs], () =>
    native().gradients(handles(outputs), handles(inputs), gradOutputs && handles(gradOutputs), createGraph).map((handle) => handle && new Tensor(handle)));
}

function withGradMode<T>(enabled: boolean, fn: () => T): T {
  const previous = native().setGradEnabled(enabled);
  try {
    return synchronous(fn());
  } finally {
    native().setGradEnabled(previous);
  }
}

function synchronous<T>(result: T): T {
  if (result instanceof Promise) {
    result.catch(() => {});
    throw new TypeError('grad mode and autocast are per thread and end with the function: it must be synchronous');
  }
  return result;
}

/** Runs `fn` without recording a graph. */
export function noGrad<T>(fn: () => T): T { return withGradMode(false, fn); }

/** Runs `fn` with graph recording on, inside a noGrad. */
export function enableGrad<T>(fn: () => T): T { return withGradMode(true, fn); }

export interface AutocastOptions {
  device?: Device;
  /** bfloat16 on CPU; bfloat16 or float16 on CUDA. */
  dtype?: 'bfloat16' | 'float16';
  enabled?: boolean;
}

/**
 * Runs `fn` in mixed precision: convolutions and matrix products in `dtype`, what needs range in float32. Casts of weights are cached
 * until the outermost autocast ends, so weights may change between two calls but not inside one.
 */
export function autocast<T>(fn: () => T, { device = 'cpu', dtype = 'bfloat16', enabled = true }: AutocastOptions = {}): T {
  const previous: { enabled: boolean; dtype: DType } = explained('autocast', ['device', 'dtype'], [device, dtype], () => native().autocastEnter(device, dtype, enabled));
  try {
    return synchronous(fn());
  } finally {
    native().autocastLeave(device, previous.dtype, previous.enabled);
  }
}

/** Whether every element of every tensor is finite; one wait for the device. */
export function allFinite(tensors: readonly Tensor[]): boolean { return native().allFinite(tensors.map((tensor) => tensor.handle)); }
