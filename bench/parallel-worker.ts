/** One process of bench/parallel.ts: makes players, alone or as one rank, and takes training steps when asked to. */
import { availableParallelism } from 'node:os';
import { chooseDevice, joinGroup, keepFreedMemory, manualSeed, setNumThreads } from '@unshake/libtorch';
import { parseConfig } from '../src/config.js';
import { makePlayers, trainStep } from '../src/players.js';
import { randomAt } from '../src/random.js';
import type { FromWorker, ToWorker } from './parallel.js';

const say = (message: FromWorker): void => { process.send!(message); };

process.once('message', async ({ settings, rank, size, port }: Extract<ToWorker, { settings: unknown }>) => {
  const { rate, batch, crop, precision } = settings;
  setNumThreads(Math.max(1, Math.floor(availableParallelism() / size)));
  const group = size === 1 ? null : await joinGroup({ rank, size, port, onPort: (chosen) => say({ port: chosen }) });
  const device = chooseDevice('cpu');
  keepFreedMemory(); // as `unshake train` does
  manualSeed(1);
  const players = makePlayers(parseConfig({
    batchSize: batch, crop, precision, generator: { type: 'dgf-report', rate }, discriminator: { type: 'patch', ndf: 48 }, losses: { pixel: { type: 'l1', weight: 170 } },
  }, 'bench'), device, { group });
  const random = randomAt(1, rank);
  const pixels = (): Uint8Array => Uint8Array.from({ length: batch * crop * crop * 3 }, () => random.integer(256));
  const examples = { blur: pixels(), sharp: pixels(), names: Array.from({ length: batch }, (_, i) => `random ${i}`) };
  let step = 0;
  process.on('message', (message: ToWorker) => {
    if (!('steps' in message)) return;
    const start = performance.now(), cpuStart = process.cpuUsage();
    let losses = {};
    for (let i = 0; i < message.steps; i++) losses = trainStep(players, examples, step++, 0);
    if (!Object.values(losses).every(Number.isFinite)) throw new Error(`a loss is not finite: ${JSON.stringify(losses)}`);
    const { user, system } = process.cpuUsage(cpuStart);
    say({ seconds: (performance.now() - start) / 1000, cpuSeconds: (user + system) / 1e6, peakMiB: process.resourceUsage().maxRSS / 1024 });
  });
  say({ ready: true });
});
