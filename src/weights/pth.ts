/** State dicts as torch.save writes them, in its zip form (PyTorch 1.6 and later) and in the older form of pickles and storages one after another. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { tensorFromBytes, type DType, type Tensor } from '@unshake/libtorch';
import { PickleCutError, PickleError, unpickle, type Global, type PickleOptions } from './pickle.js';
import { ZipError, readZipEntries, type ReadAt } from './zip.js';

/** torch.save's storage classes, by the elements they hold. */
const storageTypes: Record<string, { dtype: DType; bytes: number }> = {
  FloatStorage: { dtype: 'float32', bytes: 4 }, DoubleStorage: { dtype: 'float64', bytes: 8 }, HalfStorage: { dtype: 'float16', bytes: 2 }, BFloat16Storage: { dtype: 'bfloat16', bytes: 2 },
  LongStorage: { dtype: 'int64', bytes: 8 }, IntStorage: { dtype: 'int32', bytes: 4 }, ByteStorage: { dtype: 'uint8', bytes: 1 }, BoolStorage: { dtype: 'bool', bytes: 1 },
};

class StorageRef { constructor(readonly key: string, readonly type: string, readonly elements: number) {} }
class TensorRef { constructor(readonly storage: StorageRef, readonly offset: number, readonly shape: readonly number[]) {} }

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isCounts = (value: unknown): value is number[] => Array.isArray(value) && value.every(isCount);

/** torch._utils._rebuild_tensor_v2(storage, offset, size, stride, …). */
function rebuildTensor([storage, offset, shape, stride]: readonly unknown[]): TensorRef {
  if (!(storage instanceof StorageRef) || !isCount(offset) || !isCounts(shape) || !isCounts(stride) || stride.length !== shape.length) throw new PickleError('a tensor of the file is described in an unknown way');
  let expected = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i] > 1 && stride[i] !== expected) throw new PickleError(`a tensor [${shape.join(',')}] of the file is not row-major (strides ${stride.join(',')}); save it with .contiguous()`);
    expected *= shape[i];
  }
  if (offset + expected > storage.elements) throw new PickleError(`a tensor [${shape.join(',')}] of the file lies beyond its storage of ${storage.elements} elements`);
  return new TensorRef(storage, offset, shape);
}

function rebuildParameter([tensor]: readonly unknown[]): TensorRef {
  if (!(tensor instanceof TensorRef)) throw new PickleError('a parameter of the file is described in an unknown way');
  return tensor;
}

/** Empty, to be filled; or, as Python 2 wrote it, with a list of its pairs. */
function orderedDict(args: readonly unknown[]): Map<unknown, unknown> {
  const [pairs = []] = args;
  if (args.length > 1 || !Array.isArray(pairs) || !pairs.every((pair) => Array.isArray(pair) && pair.length === 2)) throw new PickleError('an OrderedDict of the file is described in an unknown way');
  return new Map(pairs as [unknown, unknown][]);
}

const globals: ReadonlyMap<string, Global> = new Map([
  ...Object.keys(storageTypes).map((name): Global => ({ name: `torch.${name}` })),
  { name: 'collections.OrderedDict', make: orderedDict },
  { name: 'torch._utils._rebuild_tensor', make: rebuildTensor },
  { name: 'torch._utils._rebuild_tensor_v2', make: rebuildTensor },
  { name: 'torch._utils._rebuild_parameter', make: rebuildParameter },
].map((global): [string, Global] => [global.name, global]));

/** ('storage', class, key, device, elements), and in the older form a view, which only files of before 2017 have. */
function persistent(id: unknown): StorageRef {
  const [kind, type, key, , elements, window] = Array.isArray(id) ? id as unknown[] : [];
  const name = (type as Global | undefined)?.name?.replace('torch.', '') ?? '';
  if (kind !== 'storage' || !Object.hasOwn(storageTypes, name) || typeof key !== 'string' || !isCount(elements) || (window ?? null) !== null) throw new PickleError('a storage of the file is described in an unknown way');
  return new StorageRef(key, name, elements);
}

const options: PickleOptions = { globals, persistent };

const isState = (value: unknown): value is Map<string, TensorRef> =>
  value instanceof Map && [...value].every(([name, tensor]) => typeof name === 'string' && tensor instanceof TensorRef);

/** What the file is a dictionary of. BasicSR, which NAFNet and others train with, puts it under `params`. */
function stateDict(value: unknown): Map<string, TensorRef> {
  const state = value instanceof Map ? value.get('params') as unknown ?? value : value;
  if (!isState(state)) throw new PickleError('it is not a state_dict (names → tensors); save model.state_dict(), not the model or a training checkpoint');
  return state;
}

type Locate = (storage: StorageRef) => number;

function openZip(read: ReadAt, size: number): { state: Map<string, TensorRef>; locate: Locate } {
  const entries = readZipEntries(read, size);
  const pickle = [...entries.keys()].find((name) => name.endsWith('/data.pkl') || name === 'data.pkl');
  if (pickle === undefined) throw new PickleError('it is a zip archive, but none of torch.save: no data.pkl');
  const folder = pickle.slice(0, -'data.pkl'.length);
  const bytesOf = (name: string): Uint8Array => { const { offset, length } = entries.get(name)!; return read(offset, length); };
  if (entries.has(`${folder}byteorder`) && new TextDecoder().decode(bytesOf(`${folder}byteorder`)) !== 'little') throw new PickleError('it was saved on a big-endian machine');
  return {
    state: stateDict(unpickle(bytesOf(pickle), 0, options).value),
    locate: ({ key, type, elements }) => {
      const entry = entries.get(`${folder}data/${key}`);
      if (!entry || entry.length < elements * storageTypes[type].bytes) throw new PickleError(`the storage ${key} of ${elements} elements is missing or cut off`);
      return entry.offset;
    },
  };
}

/** Pickles — magic number, version, system, state_dict, keys of storages — and then each storage: its length, its bytes. */
function openLegacy(read: ReadAt, size: number): { state: Map<string, TensorRef>; locate: Locate } {
  for (let head = Math.min(size, 2 ** 20); ; head = Math.min(size, head * 2)) {
    try {
      const bytes = read(0, head), parts: unknown[] = [];
      let at = 0;
      for (let i = 0; i < 5; i++) {
        const { value, end } = unpickle(bytes, at, options);
        if (i === 0 && value !== 0x1950a86a20f9469cfc6cn) throw new PickleError('it is a pickle, but none of torch.save');
        parts.push(value);
        at = end;
      }
      const [, version, system, state, keys] = parts;
      if (version !== 1001 || !(system instanceof Map) || system.get('little_endian') !== true) throw new PickleError('it is of an unknown version, or was saved on a big-endian machine');
      return { state: stateDict(state), locate: locateLegacy(read, size, at, stateDict(state), keys) };
    } catch (error) {
      if (!(error instanceof PickleCutError) || head === size) throw error; // else: the pickles are longer than the part that was read
    }
  }
}

function locateLegacy(read: ReadAt, size: number, start: number, state: Map<string, TensorRef>, keys: unknown): Locate {
  const types = new Map([...state.values()].map(({ storage }) => [storage.key, storage]));
  const offsets = new Map<string, number>();
  let at = start;
  for (const key of Array.isArray(keys) ? keys as unknown[] : []) {
    const storage = typeof key === 'string' ? types.get(key) : undefined;
    if (!storage) throw new PickleError(`it lists a storage ${String(key)} that no tensor uses`);
    const length = read(at, 8);
    if (new DataView(length.buffer, length.byteOffset).getBigUint64(0, true) !== BigInt(storage.elements)) throw new PickleError(`the storage ${storage.key} has not the length that is said`);
    offsets.set(storage.key, at + 8);
    at += 8 + storage.elements * storageTypes[storage.type].bytes;
  }
  if (at > size) throw new PickleError(`it ends at ${size} bytes where ${at} are needed: cut off?`);
  return ({ key }) => {
    const offset = offsets.get(key);
    if (offset === undefined) throw new PickleError(`the storage ${key} is missing`);
    return offset;
  };
}

/**
 * The tensors of a .pth file that `wanted` asks for, on the CPU; the others are not read. Nothing in the file is executed. Throws PickleError for a
 * file that is no state_dict or damaged, the file system's error for a missing one.
 */
export function readPth(path: string, wanted: (name: string) => boolean = () => true): Map<string, Tensor> {
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const read: ReadAt = (offset, length) => {
      if (!isCount(offset) || !isCount(length) || offset + length > size) throw new PickleError(`it ends at ${size} bytes where ${offset + length} are needed: cut off?`);
      const bytes = new Uint8Array(length);
      for (let done = 0; done < length;) {
        const count = readSync(file, bytes, done, length - done, offset + done);
        if (count === 0) throw new PickleError(`it ended while it was read, at ${offset + done} bytes`);
        done += count;
      }
      return bytes;
    };
    const zip = size >= 4 && new DataView(read(0, 4).buffer).getUint32(0, true) === 0x04034b50;
    const { state, locate } = zip ? openZip(read, size) : openLegacy(read, size);
    return new Map([...state].filter(([name]) => wanted(name)).map(([name, { storage, offset, shape }]) => {
      const { dtype, bytes } = storageTypes[storage.type];
      return [name, tensorFromBytes(read(locate(storage) + offset * bytes, shape.reduce((a, b) => a * b, 1) * bytes), shape, dtype)];
    }));
  } catch (error) {
    throw error instanceof ZipError || error instanceof RangeError ? new PickleError(error.message, { cause: error }) : error;
  } finally {
    closeSync(file);
  }
}
