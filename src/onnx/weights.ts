/** The other way round: the parameters of an exported network, by their names, to train it further. */
import { messageOf, ModelError } from '../errors.js';
import { fromFloat16 } from './float16.js';
import { dataTypes, ModelProto } from './schema.js';

export interface Weights { shape: number[]; data: Float32Array }

interface Initializer { name: string; dims?: number[]; dataType: number; rawData?: Uint8Array }

/**
 * The constants of an ONNX file in float32, widened from half precision where they are stored so. Integers are left out, and so
 * are numbers that were not stored as raw bytes, as we store them.
 * @param file what to call the file in an error
 * @throws ModelError when the bytes are not an ONNX model
 */
export function readWeights(bytes: Uint8Array, file: string): Map<string, Weights> {
  let initializers: Initializer[];
  try {
    const model = ModelProto.toObject(ModelProto.decode(bytes), { longs: Number }) as { graph?: { initializer?: Initializer[] } };
    initializers = model.graph?.initializer ?? [];
  } catch (error) {
    throw new ModelError(`${file} is not an ONNX model, or is cut short (${messageOf(error)}); export it again or fetch it again`, { cause: error });
  }
  const weights = new Map<string, Weights>();
  for (const { name, dims = [], dataType, rawData } of initializers) {
    const width = dataType === dataTypes.float32 ? 4 : dataType === dataTypes.float16 ? 2 : 0;
    if (width === 0 || rawData === undefined || rawData.length !== width * dims.reduce((count, dim) => count * dim, 1)) continue;
    const view = new DataView(rawData.buffer, rawData.byteOffset, rawData.byteLength);
    const data = Float32Array.from({ length: rawData.length / width }, (_, i) => (width === 4 ? view.getFloat32(4 * i, true) : fromFloat16(view.getUint16(2 * i, true))));
    weights.set(name, { shape: dims, data });
  }
  return weights;
}
