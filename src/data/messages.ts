/** What the loader and its workers say to each other. */
import type { Crop, CropTask, Orientations } from './crop.js';

export interface WorkerSettings { orientations: Orientations; cacheBytes: number }
export type ToWorker = { id: number; task: CropTask } | 'close';
/** `unexpected` marks an error that is a bug of ours rather than of the data. */
export type FromWorker = { id: number; crop: Crop } | { id: number; error: string; unexpected: boolean };
