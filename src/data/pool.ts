/** Worker threads that make crops. A pair always goes to the same thread, so that its pictures are decoded and kept once. */
import { Worker } from 'node:worker_threads';
import { DataError } from '../errors.js';
import { hashText } from '../random.js';
import type { Crop, CropTask, Orientations } from './crop.js';
import type { FromWorker, ToWorker, WorkerSettings } from './messages.js';

export interface CropPool {
  draw(task: CropTask): Promise<Crop>;
  /** Lets the tasks at hand finish, ends the threads, and rejects what was still waiting. */
  close(): Promise<void>;
}

interface Waiting { resolve: (crop: Crop) => void; reject: (error: Error) => void }

/** `cacheBytes` is the cap of decoded pictures, all threads together. */
export function openPool(workers: number, orientations: Orientations, cacheBytes: number): CropPool {
  // Each starts with its first task: a process that ends while an idle thread is still loading its codec may hang.
  const threads = new Map<number, CropPool>();
  let closed = false;
  return {
    draw(task) {
      if (closed) return Promise.reject(new DataError('the data loader was closed'));
      const which = hashText(task.pair.sharp.file) % workers;
      const thread = threads.get(which) ?? openThread({ orientations, cacheBytes: Math.floor(cacheBytes / workers) });
      threads.set(which, thread);
      return thread.draw(task);
    },
    async close() {
      closed = true;
      await Promise.all([...threads.values()].map((thread) => thread.close()));
    },
  };
}

function openThread(settings: WorkerSettings): CropPool {
  // Flags of the main thread, such as --input-type, needn't suit a worker.
  const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: settings, name: 'unshake data', execArgv: [] });
  const waiting = new Map<number, Waiting>();
  let nextId = 0;
  let ended: Error | undefined;
  const end = (error: Error): void => {
    ended ??= error;
    for (const { reject } of waiting.values()) reject(ended);
    waiting.clear();
  };
  const settle = (id: number): Waiting | undefined => {
    const entry = waiting.get(id);
    waiting.delete(id);
    // An idle thread doesn't keep the process alive: a forgotten close() is not a hang.
    if (waiting.size === 0 && !ended) worker.unref();
    return entry;
  };
  worker.unref();
  worker.on('message', (message: FromWorker) => {
    if ('crop' in message) settle(message.id)?.resolve(message.crop);
    else settle(message.id)?.reject(message.unexpected ? new Error(`internal: ${message.error}`) : new DataError(message.error));
  });
  worker.on('error', (error) => end(new Error(`internal: a data thread failed: ${error instanceof Error ? error.message : String(error)}`, { cause: error })));
  const exited = new Promise<void>((resolve) => {
    worker.on('exit', (code) => {
      end(new Error(`internal: a data thread ended with code ${code}`));
      resolve();
    });
  });
  return {
    draw(task) {
      if (ended) return Promise.reject(ended);
      const id = nextId++;
      worker.ref();
      worker.postMessage({ id, task } satisfies ToWorker);
      return new Promise((resolve, reject) => { waiting.set(id, { resolve, reject }); });
    },
    async close() {
      end(new DataError('the data loader was closed'));
      worker.ref();
      worker.postMessage('close' satisfies ToWorker);
      await exited;
    },
  };
}
