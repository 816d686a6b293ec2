/** What the loader and its workers say to each other. */
import type { Crop, CropOptions, CropTask } from './crop.js';

export interface WorkerSettings { options: CropOptions; cacheBytes: number }
export type ToWorker = { id: number; task: CropTask } | 'close';
/** `unexpected` marks an error that is a bug of ours rather than of the data. */
export type FromWorker = { id: number; crop: Crop } | { id: number; error: string; unexpected: boolean };
