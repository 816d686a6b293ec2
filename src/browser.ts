/**
 * unshake for browsers: networks on WebGPU or WebAssembly, the same deblurring and errors as in Node; metrics are in `unshake/metrics`.
 * Decoding and encoding files is the browser's own business. Models are fetched by URL: `unshake/models/default.onnx` is one to host.
 */
export { deblurImage, type Deblurred, type DeblurOptions } from './deblur.js';
export { openModel, type BrowserModelOptions } from './runtime/session-browser.js';
export type { Model } from './runtime/model.js';
export type { Image, RgbImage } from './image/image.js';
export * from './errors.js';
export type { LongWork, Progress } from './progress.js';
