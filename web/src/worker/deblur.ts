/** Photo → network → photo, in the worker. The network stays open between photos. */
import gpuModule from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url';
import gpuWasm from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url';
import cpuModule from 'onnxruntime-web/ort-wasm-simd-threaded.mjs?url';
import cpuWasm from 'onnxruntime-web/ort-wasm-simd-threaded.wasm?url';
import { deblurImage } from '../../../src/deblur.js';
import { estimateMotionBlur } from '../../../src/image/motion-blur.js';
import type { Progress } from '../../../src/progress.js';
import { defaultThreads, openModel, type Model } from '../../../src/runtime/session-browser.js';
import type { Answers, DeviceChoice, Running } from '../messages.js';
import { decode } from './pixels.js';

let open: { key: string; model: Promise<Model> } | undefined;

/** ONNX Runtime's own module loads itself again in each thread, so it must be a file of its own; addresses are relative to this worker's. */
const absolute = (url: string): string => new URL(url, import.meta.url).href;
const wasmPaths = {
  webgpu: { mjs: absolute(gpuModule), wasm: absolute(gpuWasm) },
  wasm: { mjs: absolute(cpuModule), wasm: absolute(cpuWasm) },
};

async function modelOf(url: string, device: DeviceChoice): Promise<Model> {
  const key = `${device} ${url}`;
  if (open?.key !== key) {
    const last = open?.model;
    open = { key, model: Promise.resolve(last).then((model) => model?.release(), () => {}).then(() => openModel(url, { device, wasmPaths })) };
  }
  try {
    return await open.model;
  } catch (error) {
    open = undefined;
    throw error;
  }
}

function runningOf({ device, name, invents }: Model): Running {
  return { device: device as Running['device'], threads: device === 'wasm' ? defaultThreads() : 1, name, invents };
}

/** Opens the network and runs it once on nothing, so that the first photo finds everything compiled. */
export async function prepare(url: string, device: DeviceChoice): Promise<Running> {
  const model = await modelOf(url, device);
  const side = Math.ceil(64 / model.multiple) * model.multiple;
  await model.run(new Float32Array(3 * side * side), side, side);
  return runningOf(model);
}

export async function deblurFile(
  file: Blob, url: string, device: DeviceChoice, memory: number | undefined, onRunning: (running: Running) => void, onProgress: (progress: Progress) => void,
): Promise<Answers['deblur']> {
  const [picture, model] = await Promise.all([decode(file), modelOf(url, device)]);
  const running = runningOf(model), started = performance.now();
  onRunning(running);
  const { image, notes } = await deblurImage(model, picture, { memory, onProgress });
  const seconds = (performance.now() - started) / 1000;
  if (!estimateMotionBlur(picture).blurred) notes.push('This photo looks sharp already, so don’t expect much of a change.');
  const { width, height } = image, { format } = picture, data = image.data as Uint8Array<ArrayBuffer>;
  const samples = new ImageData(new Uint8ClampedArray(data.buffer, data.byteOffset, data.length), width, height, { colorSpace: format });
  return { result: { width, height, format, data }, after: await createImageBitmap(samples), running, notes, seconds };
}
