/** What ONNX Runtime's WebAssembly needs said, in Node and in browsers alike. */
import type { InferenceSession } from 'onnxruntime-web';
import type { Ort, Place } from './ort-model.js';

/**
 * Bytes a pixel that a run is assumed to need where nothing can be measured (a WebAssembly heap never shrinks, so its growth tells
 * little, and a GPU tells nothing). The default network takes about 300 in WebAssembly; a network at full resolution with 32 channels 500.
 */
export const assumedBytesPerPixel = 512;

/** A 32-bit heap ends at 4 GiB; the picture, the weights and what fragments leave unused live there too. */
export const wasmHeap = 2 ** 31;

export function createWebSession(runtime: Ort, bytes: Uint8Array, place: Place): Promise<InferenceSession> {
  return runtime.InferenceSession.create(bytes, {
    executionProviders: [place], logSeverityLevel: 4,
    enableMemPattern: false, // a plan is kept for every size met, and the sizes of pictures have no end
  });
}
