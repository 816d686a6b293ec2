/** What the page and its worker say to each other. One job a message; a job ends with `done` or `failed`. */
import type { MetricName, Scores } from '../../src/metrics/index.js';
import type { PixelFormat } from './worker/pixels.js';

export type DeviceChoice = 'auto' | 'webgpu' | 'wasm';

export type Job =
  /** Fetches and compiles everything that a photo will need. */
  | { kind: 'prepare'; model: string; device: DeviceChoice }
  | { kind: 'deblur'; model: string; device: DeviceChoice; file: Blob; memory?: number }
  /** A HEIC that the browser can't read → a file that it can. */
  | { kind: 'convert'; file: Blob }
  | { kind: 'save'; file: Blob; result: Result; strength: number; type: string }
  | { kind: 'measure'; file: Blob; result: Result; strength: number; reference: Blob };

/** A deblurred picture: RGBA rows. */
export interface Result { width: number; height: number; format: PixelFormat; data: Uint8Array }

/** The network, and what it runs on. */
export interface Running { device: 'webgpu' | 'wasm'; threads: number; name: string; invents: boolean }

/** A file to download. `notes` says what could not be kept. */
export interface Saved { blob: Blob; notes: string[] }

/** PSNR … VIF of the photo and of the result, against the reference. */
export interface Measured { before: Scores; after: Scores; metrics: readonly MetricName[] }

export type Answers = {
  prepare: Running;
  deblur: { result: Result; after: ImageBitmap; running: Running; notes: string[]; seconds: number };
  convert: Blob;
  save: Saved;
  measure: Measured;
};

export type FromWorker =
  | { kind: 'running'; running: Running }
  | { kind: 'progress'; done: number; total: number }
  | { kind: 'done'; answer: Answers[Job['kind']] }
  | { kind: 'failed'; code: string; message: string };
