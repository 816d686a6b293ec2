/** Small ONNX models with seeded weights, made on the fly. Each takes `input` to `output`, (batch, 3, height, width) in [0, 1]. */
import { buildOnnx, type OnnxAttribute, type OnnxNode, type OnnxTensor } from '../src/onnx/build.js';
import { toFloat16 } from '../src/onnx/float16.js';
import { randomAt } from '../src/random.js';

interface Traits { multiple: number; overlap: number; whole: boolean; name: string; invents?: boolean }

function finish(nodes: OnnxNode[], initializers: OnnxTensor[], { multiple, overlap, whole, name, invents = false }: Traits): Uint8Array {
  const dims = ['batch', 3, 'height', 'width'];
  return buildOnnx({
    nodes, initializers, inputs: [{ name: 'input', dims }], outputs: [{ name: 'output', dims }],
    metadata: {
      'unshake.multiple': String(multiple), 'unshake.overlap': String(overlap), 'unshake.whole': whole ? '1' : '0',
      'unshake.name': name, 'unshake.license': 'MIT', 'unshake.invents': invents ? '1' : '0',
    },
  });
}

/** Collects nodes and weights; each method appends one node and returns the name of its output. */
class Chain {
  readonly nodes: OnnxNode[] = [];
  readonly weights: OnnxTensor[] = [];
  #random = randomAt(11);

  add(op: string, inputs: string[], attributes: Record<string, OnnxAttribute> = {}, output = `v${this.nodes.length}`): string {
    this.nodes.push({ op, inputs, outputs: [output], attributes });
    return output;
  }

  weight(dims: number[], value: (index: number) => number): string {
    const name = `w${this.weights.length}`;
    const data = Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, index) => value(index));
    this.weights.push({ name, dims, type: 'float32', data });
    return name;
  }

  conv(from: string, inputs: number, outputs: number, stride = 1): string {
    const scale = Math.sqrt(3 / (inputs * 9));
    const weight = this.weight([outputs, inputs, 3, 3], () => this.#random.between(-scale, scale));
    return this.add('Conv', [from, weight], { kernel_shape: { ints: [3, 3] }, pads: { ints: [1, 1, 1, 1] }, strides: { ints: [stride, stride] } });
  }
}

/** output = input. */
export function identityModel({ invents = false } = {}): Uint8Array {
  const chain = new Chain();
  chain.add('Identity', ['input'], {}, 'output');
  return finish(chain.nodes, chain.weights, { multiple: 1, overlap: 0, whole: false, name: 'identity', invents });
}

/** A 9×9 mean with zero padding: symmetric, and sees exactly 4 pixels to each side. `overlap` may lie about that. */
export function boxModel(overlap = 4): Uint8Array {
  const chain = new Chain();
  const weight = chain.weight([3, 1, 9, 9], () => 1 / 81);
  chain.add('Conv', ['input', weight], { kernel_shape: { ints: [9, 9] }, pads: { ints: [4, 4, 4, 4] }, group: { int: 3 } }, 'output');
  return finish(chain.nodes, chain.weights, { multiple: 1, overlap, whole: false, name: 'box' });
}

/** Works on 4×4 blocks (strided convolution, then depth to space) and adds the input: multiple 4, far from shift-invariant. */
export function blockModel({ channels = 8, depth = 2, multiple = 4, overlap = 16 } = {}): Uint8Array {
  const chain = new Chain();
  let value = chain.add('SpaceToDepth', ['input'], { blocksize: { int: 4 } });
  value = chain.conv(value, 48, channels);
  for (let layer = 0; layer < depth; layer++) value = chain.conv(chain.add('Relu', [value]), channels, channels);
  value = chain.conv(value, channels, 48);
  value = chain.add('DepthToSpace', [value], { blocksize: { int: 4 }, mode: { string: 'DCR' } });
  chain.add('Add', [chain.add('Mul', [value, chain.weight([1], () => 0.3)]), 'input'], {}, 'output');
  return finish(chain.nodes, chain.weights, { multiple, overlap, whole: false, name: 'block' });
}

/** Convolutions at full resolution with `channels` channels: needs memory like a real network. */
export function wideModel(channels = 32, depth = 4, whole = false): Uint8Array {
  const chain = new Chain();
  let value = chain.conv('input', 3, channels);
  for (let layer = 0; layer < depth; layer++) value = chain.add('Add', [value, chain.conv(chain.add('Relu', [value]), channels, channels)]);
  chain.add('Add', [chain.conv(value, channels, 3), 'input'], {}, 'output');
  return finish(chain.nodes, chain.weights, { multiple: 4, overlap: depth + 2, whole, name: 'wide' });
}

/** Subtracts the mean over height and width and adds one half: only right on the whole picture. */
export function meanModel(): Uint8Array {
  const chain = new Chain();
  const mean = chain.add('ReduceMean', ['input'], { axes: { ints: [2, 3] } });
  chain.add('Add', [chain.add('Sub', ['input', mean]), chain.weight([1], () => 0.5)], {}, 'output');
  return finish(chain.nodes, chain.weights, { multiple: 1, overlap: 0, whole: true, name: 'mean' });
}

/** Infinity minus infinity wherever a picture is not black. */
export function brokenModel(): Uint8Array {
  const chain = new Chain();
  const large = chain.add('Mul', [chain.add('Mul', ['input', chain.weight([1], () => 1e38)]), chain.weight([1], () => 1e38)]);
  chain.add('Sub', [large, large], {}, 'output');
  return finish(chain.nodes, chain.weights, { multiple: 1, overlap: 0, whole: false, name: 'broken' });
}

/** The picture times 2^20 and back, in half precision by a cast and a stored weight: NaN where halves overflow, the picture itself in float32. */
export function overflowingModel(): Uint8Array {
  const chain = new Chain();
  chain.weights.push({ name: 'scale', dims: [1], type: 'float16', data: Uint16Array.of(toFloat16(1024)) });
  const half = chain.add('Cast', ['input'], { to: { int: 10 } });
  const large = chain.add('Mul', [chain.add('Mul', [half, 'scale']), 'scale']);
  const back = chain.add('Div', [chain.add('Div', [large, 'scale']), 'scale']);
  chain.add('Cast', [back], { to: { int: 1 } }, 'output');
  return finish(chain.nodes, chain.weights, { multiple: 1, overlap: 0, whole: false, name: 'overflowing' });
}

/** Black, whatever it is given. */
export function blackModel(): Uint8Array {
  const chain = new Chain();
  chain.add('Mul', ['input', chain.weight([1], () => 0)], {}, 'output');
  return finish(chain.nodes, chain.weights, { multiple: 1, overlap: 0, whole: false, name: 'black' });
}

/** Gives a picture of twice the size: not a deblurring model. */
export function doublingModel(): Uint8Array {
  const chain = new Chain();
  const scales = chain.weight([4], (index) => (index < 2 ? 1 : 2));
  chain.add('Resize', ['input', '', scales], { mode: { string: 'nearest' } }, 'output');
  return finish(chain.nodes, chain.weights, { multiple: 1, overlap: 0, whole: false, name: 'doubling' });
}
