/** What goes to and from the threads that measure. */
import type { RgbImage } from '../image/image.js';
import type { MetricName, Protocol, Scores } from '../metrics/index.js';

export interface MeasureSettings { metrics: readonly MetricName[]; protocol: Protocol; crop?: number }

/** A pair to measure: files to read, or pictures. `name` is for errors. */
export type MeasureTask =
  | { name: string; files: { test: string; reference: string } }
  | { name: string; images: { test: RgbImage; reference: RgbImage } };

/** Scores, and what was done to the files that a reader should know. */
export interface Measured { scores: Scores; notes: string[] }

export interface ToThread { id: number; task: MeasureTask }
/** `code` is that of one of our errors; without it something unforeseen failed. */
export type FromThread = { id: number; measured: Measured } | { id: number; error: { code?: string; message: string } };
