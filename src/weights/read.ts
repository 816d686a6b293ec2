/** Weight files of any kind that a loss can take, told apart by what is in them. */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { SafetensorsError, loadSafetensors, type Tensor } from '@unshake/libtorch';
import { WeightsError, messageOf } from '../errors.js';
import { readCaffeSqueezeNet } from './caffe-squeezenet.js';
import { claimedBy, digitsOf } from './catalogue.js';
import { PickleError } from './pickle.js';
import { readPth } from './pth.js';

/** SHA-256 of a file, in hexadecimal, without holding it in memory. */
export function sha256(path: string): string {
  const hash = createHash('sha256'), file = openSync(path, 'r'), chunk = new Uint8Array(2 ** 20);
  try {
    for (let count = readSync(file, chunk); count > 0; count = readSync(file, chunk)) hash.update(chunk.subarray(0, count));
  } finally {
    closeSync(file);
  }
  return hash.digest('hex');
}

function firstByte(path: string): number {
  const file = openSync(path, 'r'), byte = new Uint8Array(1);
  try {
    readSync(file, byte);
    return byte[0];
  } finally {
    closeSync(file);
  }
}

function read(path: string, wanted: (name: string) => boolean): Map<string, Tensor> {
  if (path.endsWith('.json') || statSync(path).isDirectory()) return readCaffeSqueezeNet(path);
  if (firstByte(path) === 0x80 || firstByte(path) === 0x50) return readPth(path, wanted); // a pickle's PROTO, or the P of a zip archive's PK
  return loadSafetensors(path).tensors;
}

/**
 * The tensors of a safetensors file, of a .pth file (which is not executed: pth.ts), or of a folder with Caffe's SqueezeNet, on the CPU; of a .pth file only those that
 * `wanted` asks for. A file that is named as an official one must have its SHA-256. Throws WeightsError naming the file.
 */
export function readWeights(path: string, wanted: (name: string) => boolean): Map<string, Tensor> {
  try {
    const official = claimedBy(path);
    if (official && !sha256(path).startsWith(digitsOf(official))) throw new WeightsError(`${path}: the SHA-256 of the official file begins with ${digitsOf(official)}, this one's with ${sha256(path).slice(0, 8)}: damaged, or another file under its name`);
    return read(path, wanted);
  } catch (error) {
    if (error instanceof SafetensorsError) throw new WeightsError(`${messageOf(error)}; expected safetensors or a .pth file of torch.save`, { cause: error });
    if (error instanceof PickleError || error instanceof Error && !(error instanceof WeightsError)) throw new WeightsError(`${path}: the weights can't be read: ${messageOf(error)}`, { cause: error });
    throw error;
  }
}
