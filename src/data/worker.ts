/** A thread that decodes and crops. Two tasks at a time: one waits for its decoder while the other computes. */
import { parentPort, workerData } from 'node:worker_threads';
import sharp from 'sharp';
import { UnshakeError, messageOf } from '../errors.js';
import { readRgb } from '../image/codec-node.js';
import { cached } from './cache.js';
import { drawCrop } from './crop.js';
import type { FromWorker, ToWorker, WorkerSettings } from './messages.js';

const { orientations, cacheBytes } = workerData as WorkerSettings;
if (parentPort === null) throw new Error('internal: data/worker.js runs as a worker thread only');
const port = parentPort;
// The decoder's own threads would take cores from the training step; its cache would hold what ours holds.
sharp.concurrency(1);
sharp.cache(false);

const decode = cached(readRgb, cacheBytes);
const lanes = 2;
const waiting: Exclude<ToWorker, 'close'>[] = [];
let busy = 0, closing = false;

port.on('message', (message: ToWorker) => {
  if (message === 'close') {
    closing = true;
    waiting.length = 0;
  } else {
    waiting.push(message);
  }
  next();
});

function next(): void {
  if (closing && busy === 0) port.close();
  while (busy < lanes && waiting.length > 0) {
    busy++;
    void work(waiting.shift() as Exclude<ToWorker, 'close'>).finally(() => { busy--; next(); });
  }
}

async function work({ id, task }: Exclude<ToWorker, 'close'>): Promise<void> {
  try {
    const crop = await drawCrop(task, orientations, decode);
    port.postMessage({ id, crop } satisfies FromWorker, [crop.blur.buffer as ArrayBuffer, crop.sharp.buffer as ArrayBuffer]);
  } catch (error) {
    const unexpected = !(error instanceof UnshakeError);
    port.postMessage({ id, error: unexpected && error instanceof Error ? `${task.pair.sharp.file}: ${error.stack}` : messageOf(error), unexpected } satisfies FromWorker);
  }
}
