/** NAFNet's weights as its authors publish them (NAFNet-GoPro-width32.pth and the like): PyTorch's state_dict, whose shapes say which NAFNet it is. */
import type { Tensor } from '@unshake/libtorch';
import { WeightsError } from '../errors.js';
import type { NafnetOptions } from '../models/nafnet.js';
import { readWeights } from './read.js';

/** The network's settings from the names and shapes of its weights; undefined where they aren't NAFNet's. */
function settingsOf(weights: ReadonlyMap<string, Tensor>): NafnetOptions | undefined {
  const width = weights.get('intro.weight')?.shape[0];
  const blocksOf = (prefix: string): number => { let count = 0; while (weights.has(`${prefix}.${count}.conv1.weight`)) count++; return count; };
  const scalesOf = (prefix: string): number[] => { const counts: number[] = []; for (let count; (count = blocksOf(`${prefix}.${counts.length}`)) > 0;) counts.push(count); return counts; };
  const encoder = scalesOf('encoders');
  return width && encoder.length > 0 ? { width, encoder, middle: blocksOf('middle_blks'), decoder: scalesOf('decoders') } : undefined;
}

/** A .pth file's tensors and which NAFNet they are of, on the CPU. Throws WeightsError naming the file when it can't be read or holds another network. */
export function readNafnet(path: string): { settings: NafnetOptions; weights: Map<string, Tensor> } {
  const weights = readWeights(path, () => true), settings = settingsOf(weights);
  if (!settings) throw new WeightsError(`${path}: of .pth files only NAFNet's weights are known, and this one has ${[...weights.keys()].slice(0, 3).join(', ')}…; a network of yours is opened as the .safetensors of its run`);
  return { settings, weights };
}
