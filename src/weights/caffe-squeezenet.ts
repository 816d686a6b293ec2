/**
 * SqueezeNet 1.1 as its authors trained it with Caffe (MIT), as flat float32 with a manifest: an array of {name, shape, layout HWIO or O, bin_offset, bytes}
 * beside one .bin file. Becomes torchvision's network under torchvision's names: Caffe's input (BGR, 0…255, mean subtracted) is folded into the first
 * convolution, exactly, since it has no padding.
 */
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { contiguous, permute, tensor, type Tensor } from '@unshake/libtorch';
import { z } from 'zod';
import { WeightsError } from '../errors.js';

const count = z.int().min(0);
const manifest = z.array(z.object({ name: z.string(), shape: z.array(z.int().positive()), layout: z.enum(['HWIO', 'O']), bin_offset: count, bytes: count }));

/** Places of the fire modules in torchvision's `features`. */
const fires: Record<string, number> = { fire2: 3, fire3: 4, fire4: 6, fire5: 7, fire6: 9, fire7: 10, fire8: 11, fire9: 12 };
const parts: Record<string, string> = { squeeze1x1: 'squeeze', expand1x1: 'expand1x1', expand3x3: 'expand3x3' };

function torchvisionName(name: string): string | null {
  const [, fire, part, field] = /^(?:(fire\d)\/)?(\w+)\.(weight|bias)$/.exec(name) ?? [];
  if (fire === undefined) return part === 'conv1' ? `features.0.${field}` : null;
  return fire in fires && part in parts ? `features.${fires[fire]}.${parts[part]}.${field}` : null;
}

/** What the networks' inputs are made of, R, G, B in [0, 1]. */
const torchvisionInput = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
const caffeMean = [123.68, 116.779, 103.939];

/** In place: a first convolution O, (B, G, R), kH, kW for Caffe's input becomes one O, (R, G, B), kH, kW for torchvision's. */
function foldInput(weight: Float32Array, bias: Float32Array): void {
  const window = weight.length / bias.length / 3;
  for (let out = 0; out < bias.length; out++) {
    const kernels = weight.slice(out * 3 * window, (out + 1) * 3 * window);
    for (let rgb = 0; rgb < 3; rgb++) {
      const kernel = kernels.subarray((2 - rgb) * window, (3 - rgb) * window);
      bias[out] += kernel.reduce((sum, value) => sum + value, 0) * (255 * torchvisionInput.mean[rgb] - caffeMean[rgb]);
      weight.set(kernel.map((value) => value * 255 * torchvisionInput.std[rgb]), (out * 3 + rgb) * window);
    }
  }
}

/** State dict of torchvision's `squeezenet1_1().features`. `path`: the folder, or its manifest. Throws WeightsError, or the file system's error. */
export function readCaffeSqueezeNet(path: string): Map<string, Tensor> {
  const folder = statSync(path).isDirectory() ? path : dirname(path);
  const parsed = manifest.safeParse(JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')));
  const [bin, ...others] = readdirSync(folder).filter((name) => name.endsWith('.bin'));
  if (!parsed.success || bin === undefined || others.length > 0) throw new WeightsError(`${folder}: expected a manifest.json of SqueezeNet's layers and one .bin file`);
  const bytes = readFileSync(join(folder, bin));
  const state = new Map(parsed.data.map(({ name, shape, layout, bin_offset: offset, bytes: length }) => {
    const official = torchvisionName(name);
    if (official === null || length !== 4 * shape.reduce((a, b) => a * b, 1) || offset + length > bytes.length) throw new WeightsError(`${folder}: the entry ${name} is not one of SqueezeNet 1.1, or lies beyond the ${bytes.length} bytes of ${bin}`);
    const data = new Float32Array(Uint8Array.prototype.slice.call(bytes, offset, offset + length).buffer);
    const value = tensor(data, shape);
    return [official, layout === 'O' ? value : contiguous(permute(value, [3, 2, 0, 1]))];
  }));
  const weight = state.get('features.0.weight'), bias = state.get('features.0.bias');
  if (!weight || !bias) throw new WeightsError(`${folder}: conv1 is missing`);
  const folded = { weight: weight.toArray() as Float32Array, bias: bias.toArray() as Float32Array };
  foldInput(folded.weight, folded.bias);
  return state.set('features.0.weight', tensor(folded.weight, weight.shape)).set('features.0.bias', tensor(folded.bias, bias.shape));
}
