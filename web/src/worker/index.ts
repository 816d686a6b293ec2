/** The worker: everything that takes long happens here, so that the page stays responsive. Ending it frees all its memory at once. */
import { messageOf, UnshakeError } from '../../../src/errors.js';
import type { Answers, FromWorker, Job } from '../messages.js';

const post = (message: FromWorker, transfer: Transferable[] = []): void => { self.postMessage(message, { transfer }); };

async function run(job: Job): Promise<Answers[Job['kind']]> {
  switch (job.kind) {
    case 'prepare': return (await import('./deblur.js')).prepare(job.model, job.device);
    case 'deblur': return (await import('./deblur.js')).deblurFile(
      job.file, job.model, job.device, job.memory, (running) => post({ kind: 'running', running }), ({ done, total }) => post({ kind: 'progress', done, total }));
    case 'convert': return (await import('./heic.js')).readableForm(job.file);
    case 'save': return (await import('./save.js')).save(job.file, job.result, job.strength, job.type);
    case 'measure': return (await import('./measure.js')).measure(job.file, job.result, job.strength, job.reference);
  }
}

let last: Promise<unknown> = Promise.resolve();

self.onmessage = ({ data: job }: MessageEvent<Job>): void => {
  last = last.then(() => run(job)).then(
    (answer) => post({ kind: 'done', answer }, 'result' in answer ? [answer.after, answer.result.data.buffer as ArrayBuffer] : []),
    (error: unknown) => post({ kind: 'failed', code: error instanceof UnshakeError ? error.code : 'INTERNAL', message: messageOf(error) }));
};
