/** Child processes that benches ask, a line of JSON for a line; and the Python that the PyTorch peers run in. */
import { spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface Worker {
  /** The next line the worker says by itself. */
  next(): Promise<unknown>;
  /** One question, one answer. */
  ask(question: unknown): Promise<unknown>;
  /** Tells the worker that nothing more comes; it may still say something, and ends. */
  end(): void;
  kill(): void;
}

/** Starts a worker; what it writes to stderr is shown. Waiting for one that ended throws. */
export function startWorker(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Worker {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], env });
  const ended = new Promise<never>((_, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => reject(new Error(`${args[0]} ended with ${signal ?? `code ${code}`}`)));
  });
  ended.catch(() => {}); // it may come when nobody waits any more
  child.stdin.on('error', () => {}); // a broken pipe: the worker's end tells more
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<unknown> => {
    const line = await Promise.race([lines.next(), ended]);
    return line.done ? ended : JSON.parse(line.value);
  };
  return {
    next,
    ask(question) {
      child.stdin.write(`${JSON.stringify(question)}\n`);
      return next();
    },
    end: () => child.stdin.end(),
    kill: () => { child.kill(); },
  };
}

/** Pythons that are tried, in this order. */
export function pythons(): string[] { return process.env.UNSHAKE_PYTHON ? [process.env.UNSHAKE_PYTHON] : ['python3', '/usr/bin/python3']; }

/** The first Python that has PyTorch, or null. */
export function findPython(): string | null {
  return pythons().find((python) => spawnSync(python, ['-c', 'import torch']).status === 0) ?? null;
}
