/**
 * unshake as a library. Deblurring and metrics need npm only; training and export load libtorch through @unshake/libtorch when first called.
 * Reading order of the sources: config → data → models → losses → train → evaluate → export → deblur.
 */
export { deblurImage, type DeblurOptions } from './deblur.js';
export { deblurFiles, planJobs } from './deblur-files.js';
export { openNamedModel } from './open-model.js';
export { openModel, type ModelOptions } from './runtime/session.js';
export type { Model } from './runtime/model.js';
export { readImage, readRgb, writeImage } from './image/codec-node.js';
export type { Image, RgbImage } from './image/image.js';
export * from './errors.js';
export type { LongWork, Progress } from './progress.js';
