/** What MODEL means on the command line: a shipped model's name, an ONNX file, a checkpoint (NAFNet's .pth too), or a run's folder. */
import type { Stats } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { distance } from 'fastest-levenshtein';
import { messageOf, ModelError } from './errors.js';
import { modelsFolder } from './paths.js';
import { statOf } from './place.js';

export interface ModelFile { kind: 'onnx' | 'checkpoint'; path: string }

/** Names of the models that come with the package, sorted. */
export async function shippedModels(): Promise<string[]> {
  const names = await readdir(modelsFolder).catch(() => []);
  return names.filter((name) => name.endsWith('.onnx')).map((name) => name.slice(0, -'.onnx'.length)).sort();
}

/**
 * Finds the file behind a name. A shipped name wins over a file of the same name (write ./NAME for that); a run's folder stands
 * for its best checkpoint.
 * @throws ModelError when there is no such model
 */
export async function findModel(name: string): Promise<ModelFile> {
  const shipped = await shippedModels();
  if (shipped.includes(name)) return { kind: 'onnx', path: fileURLToPath(new URL(`${name}.onnx`, modelsFolder)) };
  const found = await look(name);
  if (found?.isDirectory()) {
    const path = join(name, 'checkpoints', 'best.safetensors');
    if (await look(path)) return { kind: 'checkpoint', path };
    throw new ModelError(`${name} is a folder without checkpoints/best.safetensors: expected a run that has validated at least once; name a checkpoint in it instead`);
  }
  if (found && name.endsWith('.onnx')) return { kind: 'onnx', path: name };
  if (found && /\.(safetensors|pth)$/.test(name)) return { kind: 'checkpoint', path: name };
  if (found) throw new ModelError(`${name}: expected an .onnx file, a .safetensors checkpoint, NAFNet's .pth or a run's folder`);
  const nearest = shipped.find((other) => distance(other, name) <= 2);
  const list = shipped.length > 0 ? `the shipped ones are ${shipped.join(', ')}` : 'this package came without any';
  throw new ModelError(`no model '${name}': ${nearest ? `did you mean '${nearest}'? ` : ''}expected a shipped model (${list}), an .onnx file, a .safetensors checkpoint, NAFNet's .pth or a run's folder`);
}

async function look(path: string): Promise<Stats | undefined> {
  return statOf(path).catch((error: unknown) => { throw new ModelError(`${path}: can't be read (${messageOf(error)})`, { cause: error }); });
}
