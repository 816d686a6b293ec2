/** The two engines that evaluation can run a network with, behind the same interface as deblurring: what is measured is what `deblur` does. */
import { messageOf, MissingError, ModelError, UsageError } from './errors.js';
import { findModel } from './model-path.js';
import { openNamedModel } from './open-model.js';
import type { Model } from './runtime/model.js';
import { openModel } from './runtime/session.js';

export const engines = ['onnx', 'libtorch'] as const;
export type Engine = typeof engines[number];

/**
 * Opens MODEL (a shipped name, an ONNX file, a checkpoint or a run's folder). Without `engine`: ONNX Runtime for ONNX files,
 * libtorch for checkpoints, of which `set` changes settings (see loadGenerator). A checkpoint with engine `onnx` is exported first, to a temporary file. Throws ModelError,
 * CheckpointError, and MissingError where libtorch is needed and not there.
 */
export async function openEngine(name: string, engine?: Engine, set: readonly string[] = []): Promise<{ model: Model; engine: Engine }> {
  const file = await findModel(name);
  if (file.kind === 'onnx') {
    if (engine === 'libtorch') throw new ModelError(`${file.path} is an ONNX file, which libtorch can't run; leave --engine out, or name the checkpoint it was exported from`);
    if (set.length > 0) throw new ModelError(`${file.path} is an ONNX file, whose settings are fixed; --set is for checkpoints`);
    return { model: await openModel(file.path), engine: 'onnx' };
  }
  if (engine !== 'onnx') return { model: await openCheckpoint(file.path, set), engine: 'libtorch' };
  if (set.length > 0) throw new UsageError('--set is for the engine libtorch');
  return { model: await openNamedModel(file.path), engine };
}

/** The averaged weights in float32, on a GPU where libtorch has one. Pictures run whole. */
async function openCheckpoint(path: string, set: readonly string[]): Promise<Model> {
  const [{ loadGenerator }, { learnsFromLooks }, { restore }, torch] = await Promise.all([import('./checkpoint.js'), import('./losses/notes.js'), import('./models/index.js'), import('@unshake/libtorch')]);
  const { available, reason } = torch.status();
  if (!available) throw new MissingError(`a checkpoint is evaluated by libtorch: ${reason}`);
  const { generator, config, step } = loadGenerator(path, { set });
  const device = torch.chooseDevice();
  generator.moveTo(device);
  return {
    name: step === null ? config.name : `${config.name} step ${step}`, license: 'unknown', multiple: generator.multiple, overlap: generator.receptiveRadius, whole: true,
    invents: learnsFromLooks(config),
    device: device === 'cpu' ? 'cpu' : 'cuda',
    async run(input, width, height) {
      try {
        return torch.scope(() => torch.noGrad(() => {
          const image = torch.channelsLast(torch.to(torch.tensor(input, [1, 3, height, width]), device));
          return torch.contiguous(restore(generator, image)).toArray() as Float32Array;
        }));
      } catch (error) {
        throw new ModelError(`${path}: the network failed on ${width}×${height} (${messageOf(error)})`, { cause: error });
      }
    },
    memory: async () => ({ bytesPerPixel: 0, free: Infinity }), // libtorch itself says when a picture doesn't fit
    release: async () => generator.release(),
  };
}
