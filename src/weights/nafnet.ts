/** NAFNet's weights as its authors publish them (NAFNet-GoPro-width32.pth and the like): PyTorch's state_dict, whose shapes say which NAFNet it is. */
import { basename } from 'node:path';
import { outsideScopes, scope, type Tensor } from '@unshake/libtorch';
import { parseConfig, type Config } from '../config.js';
import { CheckpointError, messageOf } from '../errors.js';
import { makeGenerator, type Generator } from '../models/index.js';
import { readWeights } from './read.js';

/** The network's settings from the names and shapes of its weights; undefined where they aren't NAFNet's. */
function settingsOf(weights: ReadonlyMap<string, Tensor>): object | undefined {
  const width = weights.get('intro.weight')?.shape[0];
  const countOf = (prefix: string): number => { let count = 0; while (weights.has(`${prefix}.${count}.conv1.weight`)) count++; return count; };
  const scales = (prefix: string): number[] => { const counts: number[] = []; while (countOf(`${prefix}.${counts.length}`) > 0) counts.push(countOf(`${prefix}.${counts.length}`)); return counts; };
  const encoder = scales('encoders');
  return width && encoder.length > 0 ? { type: 'nafnet', width, encoder, middle: countOf('middle_blks'), decoder: scales('decoders') } : undefined;
}

/**
 * The network of a .pth file, in eval mode, on the CPU, and settings that would make it; its name is the file's. Release it when done.
 * @param changed what to change of the settings before the network is made
 * @throws CheckpointError for a file that can't be read or holds another network
 */
export function loadNafnet(path: string, changed: (config: Config) => Config = (config) => config): { generator: Generator; config: Config } {
  return scope(() => {
    let weights: Map<string, Tensor>;
    try {
      weights = readWeights(path, () => true);
    } catch (error) {
      throw new CheckpointError(messageOf(error), { cause: error });
    }
    const settings = settingsOf(weights);
    if (!settings) throw new CheckpointError(`${path}: of .pth files only NAFNet's weights are known, and this one has ${[...weights.keys()].slice(0, 3).join(', ')}…; a network of yours is opened as the .safetensors of its run`);
    let config: Config;
    let generator: Generator | undefined;
    try {
      config = changed(parseConfig({ name: basename(path, '.pth').replace(/[^\w.-]+/g, '-'), generator: settings }, path));
      generator = outsideScopes(() => makeGenerator(config.generator));
      generator.loadStateDict(weights);
    } catch (error) {
      generator?.release();
      throw new CheckpointError(`${path}: it looks like NAFNet's weights, but ${messageOf(error)}`, { cause: error });
    }
    return { generator: generator.eval() as Generator, config };
  });
}
