/** The page's side of its workers. A worker that is ended gives all its memory back at once: that is how work is cancelled, too. */
import { AbortedError, UnshakeError } from '../../src/errors.js';
import type { Progress } from '../../src/progress.js';
import type { Answers, DeviceChoice, FromWorker, Job, Running } from './messages.js';

interface Listener { onRunning?: (running: Running) => void; onProgress?: (progress: Progress) => void }

interface Line {
  run<Kind extends Job['kind']>(job: Extract<Job, { kind: Kind }>, listener?: Listener): Promise<Answers[Kind]>;
  /** Ends the worker. What it was doing rejects with AbortedError. */
  close(): void;
}

function openLine(): Line {
  const worker = new Worker(new URL('./worker/index.ts', import.meta.url), { type: 'module', name: 'unshake' });
  const waiting: { listener: Listener; resolve: (answer: never) => void; reject: (error: Error) => void }[] = [];
  const fail = (error: Error): void => { for (const { reject } of waiting.splice(0)) reject(error); };
  worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
    switch (data.kind) {
      case 'running': waiting[0]?.listener.onRunning?.(data.running); break;
      case 'progress': waiting[0]?.listener.onProgress?.(data); break;
      case 'done': waiting.shift()?.resolve(data.answer as never); break;
      case 'failed': waiting.shift()?.reject(new UnshakeError(data.code, data.message)); break;
    }
  };
  // A worker that could not be loaded, or that ran out of memory.
  worker.onerror = (event) => { event.preventDefault(); fail(new UnshakeError('INTERNAL', event.message || 'the worker could not be started')); };
  return {
    run: (job, listener = {}) => new Promise((resolve, reject) => {
      waiting.push({ listener, resolve: resolve as (answer: never) => void, reject });
      worker.postMessage(job);
    }),
    close() {
      worker.terminate();
      fail(new AbortedError());
    },
  };
}

/** One job in a worker of its own, which ends with it. */
export async function runOnce<Kind extends 'convert' | 'save' | 'measure'>(job: Extract<Job, { kind: Kind }>): Promise<Answers[Kind]> {
  const line = openLine();
  try {
    return await line.run(job);
  } finally {
    line.close();
  }
}

export interface Settings { model: string; device: DeviceChoice }

export interface Engine {
  /** Loads the network ahead of the first photo. */
  prepare(settings: Settings): Promise<Running>;
  /** Deblurs; where the graphics card or the memory fails, tries the processor and smaller tiles before it gives up. */
  deblur(file: Blob, settings: Settings, listener: Listener & { onRetry: (why: string) => void }): Promise<Answers['deblur']>;
  /** Ends what is going on and frees its memory. */
  stop(): void;
}

const idleSeconds = 60;
const mebibyte = 2 ** 20;

export function openEngine(): Engine {
  let line: Line | undefined, idle: ReturnType<typeof setTimeout> | undefined;
  const stop = (): void => {
    clearTimeout(idle);
    line?.close();
    line = undefined;
  };
  const use = (): Line => {
    clearTimeout(idle);
    return line ??= openLine();
  };
  return {
    stop,
    prepare: ({ model, device }) => use().run({ kind: 'prepare', model, device }),
    async deblur(file, settings, listener) {
      let running: Running | undefined;
      const attempt = async (device: DeviceChoice, memory?: number): Promise<Answers['deblur']> => {
        try {
          return await use().run({ kind: 'deblur', file, model: settings.model, device, memory }, { ...listener, onRunning: (now) => listener.onRunning?.(running = now) });
        } catch (error) {
          if (!(error instanceof AbortedError)) stop(); // whatever state it was in, the next one starts afresh
          throw error;
        }
      };
      const again = (error: unknown): void => {
        // A file that can't be read or a network that can't be loaded fails everywhere.
        if (error instanceof AbortedError || running === undefined || (error as UnshakeError).code === 'IMAGE') throw error;
      };
      const rest = (answer: Answers['deblur']): Answers['deblur'] => {
        idle = setTimeout(stop, idleSeconds * 1000); // `use` and `stop` clear it
        return answer;
      };
      try {
        return rest(await attempt(settings.device));
      } catch (error) {
        again(error);
        if (running?.device === 'webgpu' && settings.device === 'auto') listener.onRetry('The graphics card failed, so the processor does it.');
        else listener.onRetry('That needed more memory than there is, so it goes on in smaller pieces.');
        return rest(await attempt(running?.device === 'webgpu' && settings.device === 'auto' ? 'wasm' : settings.device, 160 * mebibyte));
      }
    },
  };
}
