/** A thread of the measuring pool. */
import { parentPort, workerData } from 'node:worker_threads';
import { messageOf, UnshakeError } from '../errors.js';
import { measurePair } from './measure-pair.js';
import type { FromThread, MeasureSettings, ToThread } from './messages.js';

const settings = workerData as MeasureSettings;

parentPort!.on('message', ({ id, task }: ToThread) => {
  measurePair(task, settings).then(
    (measured): FromThread => ({ id, measured }),
    (error: unknown): FromThread => ({ id, error: { message: messageOf(error), ...(error instanceof UnshakeError && { code: error.code }) } }),
  ).then((answer) => parentPort!.postMessage(answer));
});
