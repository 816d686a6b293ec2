/** `--nproc N`: starts the processes of one machine, passes on what rank 0 says, and ends all when one is lost. */
import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Config } from './config.js';
import { AbortedError, ParallelError, UnshakeError } from './errors.js';
import type { Progress } from './progress.js';
import type { TrainOptions, TrainResult } from './train.js';

/** What parallel-rank.ts is told. */
export type ToRank = { job: { config: Config; out: string; rank: number; size: number; port: number; options: PlainOptions } } | { stop: true };
/** What it says. `lost`: the error is only that another one is gone. */
export type FromRank = { port: number } | { progress: Progress } | { notice: string } | { result: TrainResult } | { failed: Failure };
export interface Failure { code: string | null; message: string; stack?: string; lost: boolean }
/** The options that cross to another process as they are. */
export type PlainOptions = Pick<TrainOptions, 'device' | 'resume' | 'initFrom'>;

/** After one is lost, the others notice by themselves within this time, or are killed. Files are written whole or not at all. */
const graceMilliseconds = 10_000;

interface Rank { rank: number; process: ChildProcess; result?: TrainResult; failure?: Failure; ended: Promise<void> }

/**
 * As train(), by `nproc` processes. Throws what the process that failed first threw, ParallelError when one ended without a word,
 * AbortedError when the signal stopped all (after rank 0 has saved).
 */
export async function trainInProcesses(config: Config, out: string, nproc: number, { onNotice = () => {}, onProgress, signal, device, resume, initFrom }: TrainOptions = {}): Promise<TrainResult> {
  const options: PlainOptions = { device, resume, initFrom };
  const start = (rank: number): Rank => {
    // Gloo's and c10d's own warnings stay off the terminal; what they warn of comes as an error when it matters.
    const child = fork(fileURLToPath(new URL('./parallel-rank.js', import.meta.url)), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], serialization: 'advanced', env: { TORCH_CPP_LOG_LEVEL: 'ERROR', ...process.env } });
    const self: Rank = { rank, process: child, ended: new Promise((resolve) => child.on('close', () => resolve()).on('error', () => resolve())) };
    child.on('message', (message: FromRank) => {
      if ('port' in message) {
        assigned = true;
        for (const other of ranks) if (other !== self) assign(other, message.port);
      }
      if ('notice' in message) onNotice(message.notice);
      if ('progress' in message) onProgress?.(message.progress);
      if ('result' in message) self.result = message.result;
      if ('failed' in message) self.failure = message.failed;
    });
    return self;
  };
  const assign = ({ rank, process: child }: Rank, port: number): void => send(child, { job: { config, out, rank, size: nproc, port, options } });
  const stop = (): void => { for (const { process: child } of ranks) send(child, { stop: true }); };

  const failed: Rank[] = []; // in the order of their ends
  let assigned = false; //       whether more than rank 0 is at work
  const ranks = Array.from({ length: nproc }, (_, rank) => start(rank));
  const endAll = (): void => { for (const { process: child } of ranks) child.kill('SIGKILL'); };
  let grace: NodeJS.Timeout | undefined;
  process.on('exit', endAll);
  signal?.addEventListener('abort', stop);
  try {
    if (signal?.aborted) throw new AbortedError('aborted by the caller');
    assign(ranks[0], 0);
    onNotice(`${nproc} processes, pids ${ranks.map(({ process: child }) => child.pid).join(', ')}`);
    await Promise.all(ranks.map(async (each) => {
      await each.ended;
      if (each.result) return;
      failed.push(each);
      if (assigned) grace ??= setTimeout(endAll, graceMilliseconds);
      else endAll();
    }));
  } finally {
    clearTimeout(grace);
    signal?.removeEventListener('abort', stop);
    process.off('exit', endAll);
    endAll();
  }
  if (failed.length > 0) throw firstCause(failed);
  return ranks[0].result!;
}

function send(child: ChildProcess, message: ToRank): void {
  if (child.connected) child.send(message, () => {}); // one that ends meanwhile is noticed by its end
}

/** Of several failures, in the order of their ends, the one that explains the others. */
function firstCause(failed: readonly Rank[]): Error {
  const own = failed.find(({ failure }) => failure && !failure.lost);
  if (own) return revive(own.failure!);
  const silent = failed.find(({ failure }) => !failure);
  if (!silent) return revive(failed[0].failure!);
  const { rank, process: { pid, signalCode, exitCode } } = silent;
  return new ParallelError(`process ${rank} of the run (pid ${pid}) was lost: it ended with ${signalCode ?? `exit code ${exitCode}`}${signalCode === 'SIGKILL' ? ' (out of memory? try a smaller batchSize with accumulate)' : ''}; `
    + 'the others were ended. Saved checkpoints are whole: --resume continues');
}

function revive({ code, message, stack }: Failure): Error {
  if (code === 'ABORTED') return new AbortedError(message);
  return code === null ? Object.assign(new Error(message), { stack }) : new UnshakeError(code, message);
}
