/**
 * unshake as a library. Deblurring and metrics need npm only; training and export are the command line's, and need libtorch.
 * Reading order of the sources: config → data → models → losses → train → evaluate → export → deblur.
 */
export { deblur, releaseModels, type DeblurInputOptions } from './deblur-input.js';
export { deblurImage, type Deblurred, type DeblurOptions } from './deblur.js';
export { deblurFiles, planJobs, type DeblurredFile, type DeblurFilesOptions, type DeblurReport } from './deblur-files.js';
export { deblurVideo, type DeblurVideoOptions, type DeblurredVideo } from './deblur-video.js';
export { openNamedModel } from './open-model.js';
export { openModel, type ModelOptions } from './runtime/session.js';
export type { Model } from './runtime/model.js';
export { encodeImage, readImage, readRgb, writeImage, type Picture } from './image/codec-node.js';
export type { Image, RgbImage } from './image/image.js';
export { estimateMotionBlur, type MotionBlurEstimate } from './image/motion-blur.js';
export * from './errors.js';
export type { LongWork, Progress } from './progress.js';
