/** Threads that measure pairs, one at a time each. What comes out does not depend on how many there are. */
import { Worker } from 'node:worker_threads';
import { AbortedError, UnshakeError } from '../errors.js';
import type { FromThread, Measured, MeasureSettings, MeasureTask, ToThread } from './messages.js';

export interface MeasurePool {
  /** Rejects with the error of the pair (same code and message), or AbortedError after `close`. */
  measure(task: MeasureTask): Promise<Measured>;
  /** Ends the threads, and rejects what was still waiting. */
  close(): Promise<void>;
}

interface Job { id: number; task: MeasureTask; resolve: (measured: Measured) => void; reject: (error: Error) => void }

export function openMeasurePool(threads: number, settings: MeasureSettings): MeasurePool {
  const queue: Job[] = [], idle: Worker[] = [], running = new Map<Worker, Job>();
  let nextId = 0;
  let failure: Error | undefined;

  const next = (): void => {
    while (queue.length > 0 && idle.length > 0) {
      const worker = idle.pop() as Worker, job = queue.shift() as Job;
      running.set(worker, job);
      worker.ref();
      worker.postMessage({ id: job.id, task: job.task } satisfies ToThread);
    }
  };
  const fail = (error: Error): void => {
    failure ??= error;
    for (const job of [...running.values(), ...queue.splice(0)]) job.reject(failure);
    running.clear();
  };
  const open = (): Worker => {
    const worker = new Worker(new URL('./thread.js', import.meta.url), { workerData: settings, name: 'unshake measure', execArgv: [] });
    worker.unref(); // an idle thread doesn't keep the process alive
    worker.on('message', (answer: FromThread) => {
      const job = running.get(worker);
      if (!job) return; // closed meanwhile: without the thread's end to wait for, the process would end before whoever awaits close()
      running.delete(worker);
      worker.unref();
      idle.push(worker);
      if ('measured' in answer) job.resolve(answer.measured);
      else job.reject(answer.error.code ? new UnshakeError(answer.error.code, answer.error.message) : new Error(`internal: ${answer.error.message}`));
      next();
    });
    worker.on('error', (error) => fail(new Error(`internal: a measuring thread failed: ${error instanceof Error ? error.message : String(error)}`, { cause: error })));
    worker.on('exit', (code) => fail(new Error(`internal: a measuring thread ended with code ${code}`)));
    return worker;
  };
  const workers = Array.from({ length: threads }, open);
  idle.push(...workers);

  return {
    measure: (task) => failure ? Promise.reject(failure) : new Promise((resolve, reject) => {
      queue.push({ id: nextId++, task, resolve, reject });
      next();
    }),
    async close() {
      fail(new AbortedError('the measuring threads were closed'));
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}
