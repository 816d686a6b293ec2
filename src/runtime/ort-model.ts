/** A Model on top of ONNX Runtime: what its builds for Node and for the web have in common, which is their JavaScript interface. */
import type { InferenceSession } from 'onnxruntime-web';
import { messageOf, ModelError } from '../errors.js';
import { oneAfterAnother } from '../queue.js';
import type { Device, Model, ModelTraits } from './model.js';

/** ONNX Runtime's JavaScript interface, of whichever build. */
export type Ort = Pick<typeof import('onnxruntime-web'), 'InferenceSession' | 'Tensor' | 'env'>;

/** Where a network runs. */
export type Place = Exclude<Device, 'auto'>;

/** What differs between the builds. */
export interface OrtHost {
  runtime: Ort;
  place: Place;
  /** A new session of the network. */
  create(): Promise<InferenceSession>;
  /** Lets the event loop turn: ONNX Runtime blocks this thread while it computes. */
  pause(): Promise<unknown>;
  /** Bytes that a run needs for each pixel, found out at the first call. */
  bytesPerPixel(): Promise<number>;
  /** Bytes that are free now. */
  free(): number;
  /** The network opened once more in 32 bits on the CPU; undefined when it computes so here. */
  inFloat32(): Promise<Model | undefined>;
  /** Why `auto` chose this place. */
  choice?: string;
}

/** Networks run one call after another; nothing of ONNX Runtime is called twice at once. Throws ModelError when `session` isn't of a deblurring network. */
export function ortModel(host: OrtHost, first: InferenceSession, traits: ModelTraits, file: string): Model {
  checkShape(first, file);
  let session: InferenceSession | undefined = first;
  let shape: string | undefined, bytesPerPixel: number | undefined, inFloat32: Promise<Model | undefined> | undefined;
  const sessionFor = async (width: number, height: number): Promise<InferenceSession> => {
    // ONNX Runtime keeps the memory of every shape it has met, in pieces that fit no other. A session sees one shape (transposed it
    // needs the same pieces); for another one it is opened afresh, which takes milliseconds and keeps the process from growing.
    const wanted = `${Math.min(width, height)}×${Math.max(width, height)}`;
    if (session && shape !== undefined && shape !== wanted) {
      const before = session;
      session = undefined; // should opening fail, the next run tries again
      await before.release();
    }
    try {
      session ??= await host.create();
    } catch (error) {
      throw new ModelError(`${traits.name} can't be opened again for ${width}×${height} (${brief(error)})`, { cause: error });
    }
    shape = wanted;
    return session;
  };
  const inOrder = oneAfterAnother();
  return {
    ...traits,
    device: host.place,
    choice: host.choice,
    run: (input, width, height) => inOrder(async () => runSession(host, await sessionFor(width, height), input, width, height, traits.name)),
    memory: () => inOrder(async () => ({ bytesPerPixel: bytesPerPixel ??= await host.bytesPerPixel(), free: host.free() })),
    inFloat32: () => (inFloat32 ??= host.inFloat32()),
    release: () => inOrder(async () => {
      await session?.release();
      await (await inFloat32)?.release();
    }),
  };
}

/** One run. Throws ModelError when it fails or gives another size. */
export async function runSession(
  { runtime, pause }: Pick<OrtHost, 'runtime' | 'pause'>, session: InferenceSession, input: Float32Array, width: number, height: number, name: string,
): Promise<Float32Array> {
  const dims = [1, 3, height, width];
  await pause(); // so that Ctrl-C, timers and progress have their turn between two runs
  let output: InferenceSession.OnnxValueMapType[string];
  try {
    output = (await session.run({ input: new runtime.Tensor('float32', input, dims) })).output;
  } catch (error) {
    throw new ModelError(`${name} failed on ${width}×${height} (${brief(error)}); a smaller --tile needs less memory`, { cause: error });
  }
  if (output.dims.join() !== dims.join()) {
    throw new ModelError(`${name} gives (${output.dims.join(', ')}) for (${dims.join(', ')}): expected the size of the input; it is not a deblurring model`);
  }
  return output.data as Float32Array;
}

/** The end of ONNX Runtime's message, where the reason stands, without C++ names before it. */
export function brief(error: unknown): string {
  return messageOf(error).replace(/^.*(?:was false\. |\[ONNXRuntimeError\] : |ERROR_MESSAGE: )/, '').replace(/\.$/, '').slice(0, 200);
}

function checkShape(session: InferenceSession, file: string): void {
  const expected = `expected float32 input 'input' and output 'output' of (batch, 3, height, width) with free height and width`;
  for (const [name, all] of [['input', session.inputMetadata], ['output', session.outputMetadata]] as const) {
    const value = all.find((metadata) => metadata.name === name);
    if (all.length !== 1 || !value?.isTensor) throw new ModelError(`${file}: ${expected}, got ${name} ${all.map((metadata) => `'${metadata.name}'`).join(', ')}`);
    const [, channels, ...size] = value.shape;
    const fits = value.type === 'float32' && value.shape.length === 4 && (channels === 3 || typeof channels === 'string') && size.every((dim) => typeof dim === 'string');
    if (!fits && name === 'input') throw new ModelError(`${file}: ${expected}, got '${name}' ${value.type} (${value.shape.join(', ')})`);
  }
}
