/** Ends the process, in the way the argument names, while a worker thread is inside libtorch. */
import { Worker } from 'node:worker_threads';
import { randn, relu } from '../../src/index.js';

relu(randn([100, 100])); // the main thread has handles too
const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: { task: 'busy' } });
worker.once('message', () => {
  setTimeout(() => {
    if (process.argv[2] === 'exit') process.exit(7);
    if (process.argv[2] === 'throw') throw new Error('on purpose');
    void worker.terminate().then(() => { process.exitCode = 7; });
  }, 50);
});
