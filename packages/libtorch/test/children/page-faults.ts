/** Allocates and frees 64 MiB, 60 times, with or without keepFreedMemory(); prints the page faults of the last 50 rounds. */
import { keepFreedMemory, memory, scope, zeros, addScalar } from '../../src/index.js';

if (process.argv[2] === 'keep') keepFreedMemory();
let start = 0;
for (let round = 0; round < 60; round++) {
  if (round === 10) start = process.resourceUsage().minorPageFault;
  scope(() => { addScalar(zeros([16, 1024, 1024]), 1); });
}
process.stdout.write(JSON.stringify({ faults: process.resourceUsage().minorPageFault - start, bytes: memory().bytes, rss: process.memoryUsage.rss() }));
