/** Run with --expose-gc: tensors that nobody released go when they are collected, and their bytes with them. Prints what is left. */
import { memory, relu, zeros } from '../../src/index.js';

const collect = (globalThis as { gc?: () => void }).gc!;
for (let i = 0; i < 200; i++) relu(zeros([256, 256]));
const made = memory();
for (let round = 0; round < 20 && memory().tensors > 0; round++) {
  collect();
  await new Promise((resolve) => setImmediate(resolve)); // finalizers wait for the event loop
}
process.stdout.write(JSON.stringify({ made, left: memory() }));
