/** A network that is ready to run, wherever it runs. Node and browsers make one each; deblur.ts needs only this. */
import { ModelError } from '../errors.js';

/** Where networks can run. `auto` is the fastest of those that are certain to work here. */
export const devices = ['auto', 'cpu', 'wasm', 'cuda', 'webgpu', 'coreml', 'dml'] as const;
export type Device = (typeof devices)[number];

/** What a network demands of the picture it gets, from the ONNX file's metadata. */
export interface ModelTraits {
  /** The network's name, `unshake.name`. */
  readonly name: string;
  /** SPDX licence of the weights, `unshake.license`; `unknown` when the file doesn't say. */
  readonly license: string;
  /** Height and width must be divisible by it, `unshake.multiple`. */
  readonly multiple: number;
  /** Pixels of context that a result depends on, to each side: `unshake.overlap`. */
  readonly overlap: number;
  /** True when the network takes statistics over the whole picture, so that tiles would come out differently: `unshake.whole`. */
  readonly whole: boolean;
  /** True when the network was trained to look right, by a discriminator or a perceptual loss: it may add detail that was never there. `unshake.invents` */
  readonly invents: boolean;
}

export interface Model extends ModelTraits {
  /** What it runs on. */
  readonly device: Exclude<Device, 'auto'>;
  /** Why `auto` chose that device and not another, in words. */
  readonly choice?: string;
  /**
   * Runs the network once.
   * @param input (1, 3, height, width), RGB in [0, 1], row-major; height and width divisible by `multiple`
   * @returns an array of the same shape; values may leave [0, 1] a little
   * @throws ModelError when the network fails or gives another size
   */
  run(input: Float32Array, width: number, height: number): Promise<Float32Array>;
  /** What one run needs and what is free now, in bytes. Measured by a small run of its own at the first call. */
  memory(): Promise<{ bytesPerPixel: number; free: number }>;
  /** The same network in 32-bit arithmetic on the CPU, for when this one gives NaN or black; undefined when it computes so already. Freed with this one. */
  inFloat32?(): Promise<Model | undefined>;
  /** Frees the network. Nothing else may be called afterwards. */
  release(): Promise<void>;
}

/**
 * Reads the traits from an ONNX file's metadata. A file of someone else's may lack them: without `unshake.overlap` the receptive
 * field is unknown and the network runs whole; without `unshake.multiple` 32 is assumed, which suits the usual five-level U-Net.
 * @param file what to call the file in an error
 * @throws ModelError when a value is not what it has to be
 */
export function traitsOf(metadata: Record<string, string>, file: string): ModelTraits {
  const count = (key: string, least: number, fallback: number): number => {
    if (metadata[key] === undefined) return fallback;
    const value = metadata[key].trim() === '' ? NaN : Number(metadata[key]);
    if (Number.isInteger(value) && value >= least) return value;
    throw new ModelError(`${file}: metadata ${key} should be a whole number from ${least} on, but is '${metadata[key]}'; export the model again`);
  };
  return {
    name: metadata['unshake.name'] || file.replace(/^.*[\\/]/, '').replace(/\.onnx$/, ''),
    license: metadata['unshake.license'] || 'unknown',
    multiple: count('unshake.multiple', 1, 32),
    overlap: count('unshake.overlap', 0, 0),
    whole: metadata['unshake.whole'] === '1' || metadata['unshake.overlap'] === undefined,
    invents: metadata['unshake.invents'] === '1',
  };
}
