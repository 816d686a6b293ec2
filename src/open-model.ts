/** Opens a MODEL of the command line for ONNX Runtime, whatever it is: a checkpoint is exported first. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { messageOf, ModelError } from './errors.js';
import { findModel } from './model-path.js';
import type { Model } from './runtime/model.js';
import { openModel, type ModelOptions } from './runtime/session.js';

/**
 * Opens a shipped model, an ONNX file, a checkpoint or a run's best checkpoint. The last two are exported to a temporary file,
 * which needs libtorch; `unshake export` does that once and for all.
 * @throws ModelError, CheckpointError, and MissingError for a device or a libtorch that is not there
 */
export async function openNamedModel(name: string, options: ModelOptions = {}): Promise<Model> {
  const file = await findModel(name);
  if (file.kind === 'onnx') return openModel(file.path, options);
  const folder = await mkdtemp(join(tmpdir(), 'unshake-')).catch((error: unknown) => {
    throw new ModelError(`${file.path}: can't be exported to a temporary file (${messageOf(error)}): set TMPDIR to a folder that can be written to`, { cause: error });
  });
  try {
    // Loaded only here: exporting brings libtorch, which deblurring must not need.
    const { exportModel } = await import('./export.js');
    const { output } = await exportModel(file.path, join(folder, 'model.onnx'));
    return await openModel(output, options);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
