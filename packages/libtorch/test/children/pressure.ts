/**
 * What the garbage collector does about tensors' memory, run with --trace-gc. Scopes that come and go must not start it; tensors that nobody
 * releases must, before their bytes pile up. Prints a mark between the two parts, and the most bytes that were alive in the second.
 */
import { memory, scope, zeros } from '../../src/index.js';

const eightMiB = [2, 1024, 1024], turn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });
const step = (): void => scope(() => { for (let i = 0; i < 20; i++) zeros(eightMiB); });

step(); // from here on the peak is known
await turn();
process.stdout.write('steps\n');
for (let i = 0; i < 30; i++) {
  step();
  await turn();
}
process.stdout.write('leaks\n');
let most = 0;
for (let i = 0; i < 200; i++) {
  zeros(eightMiB);
  await turn();
  most = Math.max(most, memory().bytes);
}
process.stdout.write(`most ${most}\n`);
