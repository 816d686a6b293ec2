/** Opens a MODEL of the command line for ONNX Runtime, whatever it is: a checkpoint is exported first. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
  // Loaded only here: exporting brings libtorch, which deblurring must not need.
  const { exportModel } = await import('./export.js');
  const folder = await mkdtemp(join(tmpdir(), 'unshake-'));
  try {
    const { output } = await exportModel(file.path, join(folder, 'model.onnx'));
    return await openModel(output, options);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
