/** The one call every op passes: unwraps, runs, explains failures, wraps, records. */
import { LibtorchMissingError, native, type NativeHandle } from './native.js';
import { Tensor, TensorReleasedError } from './tensor.js';
import { recorder } from './trace.js';

export interface OpSpec { name: string; args: readonly string[]; differentiable: boolean }

export type OpArg = Tensor | readonly Tensor[] | readonly number[] | number | boolean | string | null;
type NativeOp = (...args: unknown[]) => NativeHandle | NativeHandle[];

/** libtorch refused an op. The message names the op and its arguments; no C++ frames (TORCH_DEBUG=1 shows them). */
export class TorchError extends Error {
  override name = 'TorchError';
  constructor(readonly op: string, message: string, options?: ErrorOptions) { super(message, options); }
}

const isTensors = (arg: OpArg): arg is readonly Tensor[] => Array.isArray(arg) && arg[0] instanceof Tensor;

function describe(arg: OpArg): string {
  if (arg instanceof Tensor) {
    if (arg.released) return 'released';
    try {
      return `[${arg.shape.join(',')}] ${arg.device} ${arg.dtype}`;
    } catch { // a handle that is not ours: the error being explained says so
      return 'not a tensor';
    }
  }
  if (isTensors(arg)) return `(${arg.map(describe).join('; ')})`;
  return Array.isArray(arg) ? `[${arg.join(',')}]` : typeof arg === 'string' ? `'${arg}'` : String(arg);
}

/** Calls `body`; turns a native error into a TorchError that says what the op was given. */
export function explained<T>(op: string, names: readonly string[], args: readonly OpArg[], body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (error instanceof LibtorchMissingError) throw error;
    if (error instanceof TensorReleasedError) throw new TensorReleasedError(`${op}: ${error.message}`);
    const message = (error as Error).message.trim().split('\n')[0].replace(/^\[enforce fail at .*?\. /, '');
    const advice = /(not enough|out of|can't allocate|cannot allocate) memory/i.test(message) ? ` — ${native().memory().bytes / 2 ** 20 | 0} MiB live; try a smaller crop or batch` : '';
    throw new TorchError(op, `${op}: ${message}${advice} — ${names.map((name, i) => `${name} ${describe(args[i])}`).join(', ')}`, { cause: error });
  }
}

function call(spec: OpSpec, args: readonly OpArg[]): NativeHandle | NativeHandle[] {
  return explained(spec.name, spec.args, args, () => {
    const op = (native() as unknown as Record<string, NativeOp>)[spec.name];
    return op(...args.map((arg) => arg instanceof Tensor ? arg.handle : isTensors(arg) ? arg.map((tensor) => tensor.handle) : arg));
  });
}

/** An op with one result. */
export function run(spec: OpSpec, args: readonly OpArg[]): Tensor {
  const result = new Tensor(call(spec, args) as NativeHandle);
  recorder.current?.record(spec, args, [result]);
  return result;
}

/** An op with several results. */
export function runAll(spec: OpSpec, args: readonly OpArg[]): Tensor[] {
  const results = (call(spec, args) as NativeHandle[]).map((handle) => new Tensor(handle));
  recorder.current?.record(spec, args, results);
  return results;
}

/** An op that changes its first argument and returns it. */
export function runInPlace(spec: OpSpec, args: readonly OpArg[]): Tensor {
  recorder.current?.refuse(spec.name);
  call(spec, args);
  return args[0] as Tensor;
}
