/** One process of `--nproc`: takes its job from parallel-processes.ts, trains, reports. */
import type { FromRank, ToRank } from './parallel-processes.js';
import { ParallelError, UnshakeError, messageOf } from './errors.js';
import { train, type TrainOptions } from './train.js';

const stop = new AbortController();
// A terminal's Ctrl-C reaches every process; which step is the last is for the parent to say.
process.on('SIGINT', () => {}).on('SIGTERM', () => {});
process.on('disconnect', () => process.exit(1)); // the parent is gone

/** Resolves when the message is on its way. */
const say = (message: FromRank): Promise<void> => new Promise((resolve) => { if (process.connected) process.send!(message, () => resolve()); else resolve(); });

async function work({ config, out, rank, size, port, options }: Extract<ToRank, { job: unknown }>['job']): Promise<void> {
  try {
    const result = await train(config, out, {
      ...options, signal: stop.signal,
      ranks: { rank, size, localRank: rank, localSize: size, host: '127.0.0.1', port, onPort: (chosen) => { void say({ port: chosen }); } },
      ...(rank === 0 && { onNotice: (notice) => { void say({ notice }); }, onProgress: (progress) => { void say({ progress }); } } satisfies TrainOptions),
    });
    await say({ result });
  } catch (error) {
    await say({ failed: { code: error instanceof UnshakeError ? error.code : null, message: messageOf(error), stack: (error as Error).stack, lost: error instanceof ParallelError } });
    process.exitCode = 1;
  }
  process.removeAllListeners('disconnect').disconnect!(); // nothing keeps this process up any more
}

process.on('message', (message: ToRank) => {
  if ('stop' in message) stop.abort();
  else void work(message.job);
});
