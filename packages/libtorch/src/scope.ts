/**
 * Memory by scopes. Garbage collection can't keep up with a training loop (finalizers wait for the event loop), so tensors
 * belong to the scope they were made in and are released at its end. Without a scope they live until release().
 */
import type { Tensor } from './tensor.js';

let current: Set<Tensor> | null = null;
const owner = new WeakMap<Tensor, Set<Tensor>>();

/** Called by the Tensor itself. */
export function inScope(tensor: Tensor): void {
  if (!current) return;
  current.add(tensor);
  owner.set(tensor, current);
}

/** Called by the Tensor itself, and by keep(). */
export function leaveScope(tensor: Tensor): void {
  owner.get(tensor)?.delete(tensor);
  owner.delete(tensor);
}

/** The tensors inside a returned value: itself, in arrays, sets and maps, or in plain objects. */
function* tensorsIn(value: unknown): Generator<Tensor> {
  if (typeof value !== 'object' || value === null) return;
  if ('handle' in value && 'release' in value) { yield value as Tensor; return; }
  if (Array.isArray(value) || value instanceof Set) { for (const item of value) yield* tensorsIn(item); return; }
  if (value instanceof Map) { for (const item of value.values()) yield* tensorsIn(item); return; }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) for (const item of Object.values(value)) yield* tensorsIn(item);
}

/**
 * Runs `fn`; every tensor made inside is released at the end, except those in the returned value (a tensor, or arrays, sets,
 * maps and plain objects of them), which move to the enclosing scope. Synchronous only: throws TypeError when `fn` returns a promise.
 */
export function scope<T>(fn: () => T): T {
  const outer = current;
  const own = new Set<Tensor>();
  current = own;
  try {
    const result = fn();
    if (result instanceof Promise) {
      result.catch(() => {}); // the TypeError below is what the caller must see
      throw new TypeError('scope(fn): fn must be synchronous; a scope across await would release tensors under the feet of other work');
    }
    for (const tensor of tensorsIn(result)) {
      if (!own.has(tensor)) continue;
      leaveScope(tensor);
      current = outer;
      inScope(tensor);
      current = own;
    }
    return result;
  } finally {
    current = outer;
    for (const tensor of own) tensor.release();
  }
}

/** Takes a tensor out of every scope: it lives until release(). Returns it. */
export function keep<T extends Tensor>(tensor: T): T {
  leaveScope(tensor);
  return tensor;
}

/** Runs `fn` in a scope whose result belongs to no scope: it lives until release(). For parameters, buffers and optimizer state. */
export function outsideScopes<T>(fn: () => T): T {
  const outer = current;
  current = null;
  try {
    return scope(fn);
  } finally {
    current = outer;
  }
}
