/** unshake's side of bench/train-step.ts, a process of its own. Speaks as bench/peers/train_step_torch.py does. */
import { createInterface } from 'node:readline';
import { chooseDevice, keepFreedMemory, manualSeed, setNumThreads, version } from '@unshake/libtorch';
import { parseConfig } from '../src/config.js';
import { makePlayers, trainStep } from '../src/players.js';
import { randomAt } from '../src/random.js';
import { bestConvolution } from './convolution-rate.js';
import type { CaseSettings } from './train-step.js';

const { variant, rate, batch, crop, ndf, pixelWeight, lr, betas, threads } = JSON.parse(process.argv[2]) as CaseSettings;

const say = (answer: object): void => { process.stdout.write(`${JSON.stringify(answer)}\n`); };

function randomPixels(step: number, which: number): Uint8Array {
  const random = randomAt(1, step, which);
  return Uint8Array.from({ length: batch * crop * crop * 3 }, () => Math.floor(random.uniform() * 256));
}

const device = chooseDevice('cpu');
setNumThreads(threads);
keepFreedMemory(); // as `unshake train` does
manualSeed(1);
const players = makePlayers(parseConfig({
  batchSize: batch, crop,
  generator: { type: `dgf-${variant}`, rate },
  discriminator: { type: 'patch', ndf },
  losses: { pixel: { type: 'l1', weight: pixelWeight } },
  optimizer: { lr, betas },
}, 'bench'), device);
say({ version: version().libtorch, precision: players.precision, parameters: players.generator.parameterCount + players.discriminator!.parameterCount });

let step = 0;
for await (const _ of createInterface({ input: process.stdin })) {
  const examples = { blur: randomPixels(step, 0), sharp: randomPixels(step, 1), names: Array.from({ length: batch }, (_, i) => `random ${i}`) };
  const start = performance.now();
  const losses = trainStep(players, examples, step++, 0);
  say({ seconds: (performance.now() - start) / 1000, losses });
}
const peakMiB = process.resourceUsage().maxRSS / 1024; // before the convolutions below
say({ peakMiB, convolutionTflops: bestConvolution(players.precision === 'bf16' ? 'bfloat16' : 'float32') });
