/** A thread that loads the addon. `workerData` says what to do there. */
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import * as t from '../../src/index.js';

const { task, port = parentPort!, done } = workerData as { task: 'modes' | 'train' | 'busy' | 'leave'; port?: MessagePort; done?: Int32Array };
const reply = (answer: unknown): void => port.postMessage(answer);

switch (task) {
  case 'modes': { // the main thread holds tensors, and is inside noGrad and autocast
    const x = t.full([2, 2], 1).setRequiresGrad(true);
    const { tensors } = t.memory();
    reply({ tensors, records: t.mulScalar(x, 2).requiresGrad, product: t.matmul(x, x).dtype });
    Atomics.store(done!, 0, 1);
    Atomics.notify(done!, 0);
    break;
  }
  case 'train': {
    const weight = t.parameter(() => t.full([4, 4], 0.5)), optimizer = t.Adam([weight], { lr: 0.1 });
    const loss = (): number => t.scope(() => {
      const value = t.mseLoss(t.matmul(weight, weight), t.full([4, 4], 4));
      optimizer.zeroGrad();
      t.backward(value);
      optimizer.step();
      return value.item();
    });
    const losses = Array.from({ length: 100 }, loss);
    optimizer.zeroGrad();
    reply({ first: losses[0], last: losses.at(-1), tensors: t.memory().tensors });
    break;
  }
  case 'busy':
    reply('started');
    for (;;) t.scope(() => t.matmul(t.randn([200, 200]), t.randn([200, 200])));
  case 'leave': // leaves tensors, and a graph, to the end of the thread
    reply({ requiresGrad: t.exp(t.randn([100, 100]).setRequiresGrad(true)).requiresGrad });
    break;
}
