/**
 * The errors a user can meet. One class a kind, each with a stable `code`.
 *
 * A message says four things where they apply: what was expected, where (file or key), what was received, what to try.
 * Everything else that is thrown is a bug of ours and keeps its stack.
 */
export class UnshakeError extends Error {
  /** Stable, upper-case, printed by the command line as `unshake: CODE: message`. */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** The command line was used wrongly (exit code 2). */
export class UsageError extends UnshakeError {
  constructor(message: string, options?: ErrorOptions) { super('USAGE', message, options); }
}

/** A setting of a run is unknown, of the wrong type, or out of range. */
export class ConfigError extends UnshakeError {
  constructor(message: string, options?: ErrorOptions) { super('CONFIG', message, options); }
}

/** A folder or file of a dataset is missing, empty, unpaired or of the wrong size. */
export class DataError extends UnshakeError {
  constructor(message: string, options?: ErrorOptions) { super('DATA', message, options); }
}

/** An image file can't be read or written. */
export class ImageError extends UnshakeError {
  constructor(message: string, options?: ErrorOptions) { super('IMAGE', message, options); }
}

/** A video file can't be read or written. */
export class VideoError extends UnshakeError {
  constructor(message: string, options?: ErrorOptions) { super('VIDEO', message, options); }
}

/** A model name, ONNX file or network description is unknown or unusable. */
export class ModelError extends UnshakeError {
  constructor(message: string, options?: ErrorOptions) { super('MODEL', message, options); }
}

/** A checkpoint is missing, damaged, or belongs to another network. */
export class CheckpointError extends UnshakeError {
  constructor(message: string, options?: ErrorOptions) { super('CHECKPOINT', message, options); }
}

/** A file of weights for a loss is damaged, of an unknown kind, or could not be fetched. */
export class WeightsError extends UnshakeError {
  constructor(message: string, options?: ErrorOptions) { super('WEIGHTS', message, options); }
}

/** Two images can't be compared: sizes differ, or one is under the metric's minimum. */
export class MetricError extends UnshakeError {
  constructor(message: string, options?: ErrorOptions) { super('METRIC', message, options); }
}

/** A training step can't be computed: the networks don't take crops of this size, or memory is short. */
export class TrainingError extends UnshakeError {
  constructor(message: string, options?: ErrorOptions) { super('TRAINING', message, options); }
}

/** Training produced NaN or infinity, or left the range of pictures. */
export class DivergedError extends UnshakeError {
  constructor(message: string, options?: ErrorOptions) { super('DIVERGED', message, options); }
}

/** libtorch, a device, or another optional piece is not there. */
export class MissingError extends UnshakeError {
  constructor(message: string, options?: ErrorOptions) { super('MISSING', message, options); }
}

/** One of several training processes is gone, or they could not find each other. */
export class ParallelError extends UnshakeError {
  constructor(message: string, options?: ErrorOptions) { super('PARALLEL', message, options); }
}

/** The caller's AbortSignal, or Ctrl-C, ended the work. */
export class AbortedError extends UnshakeError {
  constructor(message = 'aborted', options?: ErrorOptions) { super('ABORTED', message, options); }
}

/** Throws AbortedError when `signal` has fired. Call it between units of long work. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new AbortedError('aborted by the caller');
}

/** What went wrong, in one line: the message of an Error, or the thing itself. */
export function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0];
}
