/** Order and limits for work that would otherwise run at once. */

/** Runs what it is given one after another, in the order of the calls. A failure goes to its caller only. */
export function oneAfterAnother(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = last.then(work);
    last = result.catch(() => {});
    return result;
  };
}

/** Lets as many in as fit a limit together, in the order of the calls; what exceeds it alone gets in alone. Call what it returns to leave. */
export function roomFor(limit: number): (size: number) => Promise<() => void> {
  let taken = 0;
  const waiting: (() => boolean)[] = [];
  const letIn = (): void => {
    while (waiting.length > 0 && waiting[0]()) waiting.shift();
  };
  return (size) => new Promise((resolve) => {
    waiting.push(() => {
      if (taken > 0 && taken + size > limit) return false;
      taken += size;
      resolve(() => {
        taken -= size;
        letIn();
      });
      return true;
    });
    letIn();
  });
}
