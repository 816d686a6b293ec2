/**
 * A small adversarial run at the library's level, in any precision, to compare ways of splitting the same batch. Imported for one process;
 * as a program it is one rank of several, started by fork() with its place in argv.
 */
import { fileURLToPath } from 'node:url';
import { Adam, SGD, add, backward, bceWithLogits, detach, joinGroup, manualSeed, mseLoss, mulScalar, scope, setNumThreads, tensor, toDtype, type DType, type ProcessGroup, type Tensor } from '@unshake/libtorch';
import { makeDiscriminator, makeGenerator } from '../src/models/index.js';
import { randomAt } from '../src/random.js';

export interface Split { dtype: 'float32' | 'float64'; optimizer: 'sgd' | 'adam'; steps: number; globalBatch: number; microBatch: number }
/** Every weight at the end, and every gradient of the first update. */
export interface Outcome { weights: number[]; firstGradients: number[] }

const side = 32;

function picture(step: number, index: number, which: number): number[] {
  const random = randomAt(7, step, index, which);
  return Array.from({ length: 3 * side * side }, () => random.between(-1, 1));
}

const batchOf = (step: number, indices: readonly number[], which: number, dtype: DType): Tensor =>
  toDtype(tensor(Float64Array.from(indices.flatMap((index) => picture(step, index, which))), [indices.length, 3, side, side]), dtype);

/** Trains on the rank's share of each batch of `globalBatch` pictures, in micro-batches. */
export function trainShare({ dtype, optimizer, steps, globalBatch, microBatch }: Split, group: ProcessGroup | null): Outcome {
  manualSeed(5);
  const generator = makeGenerator({ type: 'dgf-report', rate: 2, norm: 'instance' }).moveTo('cpu', dtype);
  const discriminator = makeDiscriminator({ type: 'patch', ndf: 2, norm: 'instance' }).moveTo('cpu', dtype);
  const make = (parameters: Tensor[]) => optimizer === 'sgd' ? SGD(parameters, { lr: 0.05, momentum: 0.9 }) : Adam(parameters, { lr: 1e-3, betas: [0.5, 0.999] });
  const ofGenerator = make(generator.parameters()), ofDiscriminator = make(discriminator.parameters());
  const share = globalBatch / (group?.size ?? 1), first = share * (group?.rank ?? 0);
  const firstGradients: number[] = [];
  const parts = Array.from({ length: share / microBatch }, (_, part) => Array.from({ length: microBatch }, (__, i) => first + part * microBatch + i));
  for (let step = 0; step < steps; step++) {
    const update = (player: typeof ofGenerator, loss: (blur: Tensor, sharp: Tensor) => Tensor): void => {
      for (const part of parts) scope(() => backward(mulScalar(loss(batchOf(step, part, 0, dtype), batchOf(step, part, 1, dtype)), 1 / parts.length)));
      group?.averageGradients(player.parameters);
      if (step === 0) scope(() => { for (const { grad } of player.parameters) firstGradients.push(...(grad!.toArray() as Float64Array)); });
      player.step();
      for (const each of [ofGenerator, ofDiscriminator]) each.zeroGrad();
    };
    update(ofDiscriminator, (blur, sharp) => add(bceWithLogits(discriminator.forward(blur, sharp), 1), bceWithLogits(discriminator.forward(blur, detach(generator.forward(blur))), 0)));
    update(ofGenerator, (blur, sharp) => {
      const generated = generator.forward(blur);
      return add(mseLoss(generated, sharp), bceWithLogits(discriminator.forward(blur, generated), 1));
    });
  }
  const weights = [generator, discriminator].flatMap((network) => network.parameters().flatMap((parameter) => [...parameter.toArray() as Float64Array]));
  for (const owner of [generator, discriminator, ofGenerator, ofDiscriminator]) owner.release();
  return { weights, firstGradients };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [rank, size, port, split] = process.argv.slice(2);
  setNumThreads(1);
  const group = await joinGroup({ rank: Number(rank), size: Number(size), port: Number(port), joinSeconds: 120, onPort: (chosen) => process.send!({ port: chosen }) });
  const outcome = trainShare(JSON.parse(split) as Split, group);
  group.barrier();
  group.close();
  process.send!({ outcome }, () => process.disconnect());
}
