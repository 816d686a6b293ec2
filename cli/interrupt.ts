/** Ctrl-C, and the signal that service managers send: the first asks the work to end, the second ends the process. */

/** Runners such as npx pass on a signal that the terminal has sent already: the same one again so soon is not a second. */
const echoMilliseconds = 1000;

/** Runs `work` with a signal that Ctrl-C and SIGTERM fire. `onStop` is told of the first one. */
export async function withInterrupt<T>(work: (signal: AbortSignal) => Promise<T>, onStop: () => void = () => {}): Promise<T> {
  const stop = new AbortController();
  let first = 0;
  const interrupt = (name: NodeJS.Signals): void => {
    if (!stop.signal.aborted) {
      first = performance.now();
      stop.abort();
      onStop();
    } else if (performance.now() - first > echoMilliseconds) {
      done();
      process.kill(process.pid, name);
    }
  };
  const done = (): void => { process.off('SIGINT', interrupt).off('SIGTERM', interrupt); };
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  try {
    return await work(stop.signal);
  } finally {
    done();
  }
}
