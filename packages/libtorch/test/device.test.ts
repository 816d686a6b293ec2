/** Random numbers, threads, devices. What needs CUDA is skipped, visibly, where there is none. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, suite, test } from 'node:test';
import * as t from '../src/index.js';

const { cudaDevices, libtorch } = t.version();
const cuda = { skip: cudaDevices === 0 && 'no CUDA device' };

let start = t.memory();
beforeEach(() => { start = t.memory(); });
afterEach(() => assert.deepEqual(t.memory(), start));

const draws = (device: t.Device = 'cpu'): ArrayLike<number | bigint>[] => t.scope(() => [t.rand([5], { device }), t.randn([7], { device }), t.dropout(t.full([20], 1, { device }), 0.5, true), t.uniform_(t.zeros([3], { device }), 2, 3)].map((tensor) => tensor.toArray()));

suite('random numbers', () => {
  test('repeat after manualSeed, and differ under another seed', () => {
    t.manualSeed(11);
    const first = draws();
    assert.notDeepEqual(draws(), first);
    t.manualSeed(11);
    assert.deepEqual(draws(), first);
    t.manualSeed(12);
    assert.notDeepEqual(draws(), first);
  });

  test('go on where a saved state was, also through a file', () => t.scope(() => {
    t.manualSeed(3);
    t.randn([3]); // an odd number of normals leaves one in the generator's pocket
    const state = t.rngState();
    assert.equal(state.dtype, 'uint8');
    const bytes = state.toBytes(), first = draws();
    draws();
    t.setRngState(state);
    assert.deepEqual(draws(), first);
    t.setRngState(t.tensor(bytes));
    assert.deepEqual(draws(), first);
  }));

  test('stay in their ranges', () => t.scope(() => {
    t.manualSeed(1);
    const uniform = t.uniform_(t.zeros([10000]), -1, 3).toArray() as Float32Array, normal = t.normal_(t.zeros([10000]), 5, 2).toArray() as Float32Array;
    const mean = (values: Float32Array) => values.reduce((total, value) => total + value, 0) / values.length;
    assert.ok(uniform.every((value) => value >= -1 && value < 3) && Math.abs(mean(uniform) - 1) < 0.1);
    assert.ok(Math.abs(mean(normal) - 5) < 0.1 && Math.abs(Math.sqrt(mean(normal.map((value) => (value - 5) ** 2))) - 2) < 0.1);
  }));

  test('refuse a state or a seed that is none', () => t.scope(() => {
    assert.throws(() => t.setRngState(t.zeros([3], { dtype: 'uint8' })), t.TorchError);
    assert.throws(() => t.manualSeed(1.5), /manualSeed: argument 1: expected an integer, received 1\.5/);
  }));
});

suite('devices', () => {
  test('version() and status() say what there is', () => {
    assert.match(libtorch, /^\d+\.\d+\.\d+/);
    const status = t.status();
    assert.ok(status.available);
    assert.equal(status.version, libtorch);
    assert.equal(status.cuda, cudaDevices > 0);
    assert.ok(status.capability && status.path);
  });

  test('chooseDevice takes what is asked for or says why not', () => {
    assert.equal(t.chooseDevice('cpu'), 'cpu');
    assert.equal(t.chooseDevice('auto'), cudaDevices > 0 ? 'cuda:0' : 'cpu');
    assert.throws(() => t.chooseDevice(`cuda:${cudaDevices}`), t.DeviceError);
    assert.throws(() => t.chooseDevice('gpu' as t.Device), (error) => error instanceof t.DeviceError && /expected cpu, cuda or cuda:N/.test(error.message));
  });

  test('CUDA that is not there is an error, never the CPU instead', { skip: cudaDevices > 0 && 'there is a CUDA device' }, () => {
    assert.throws(() => t.chooseDevice('cuda'), (error) => error instanceof t.DeviceError && /sees no CUDA device/.test(error.message));
    for (const call of [() => t.zeros([2], { device: 'cuda' }), () => t.scope(() => { t.to(t.zeros([2]), 'cuda:0'); }), () => t.autocast(() => 0, { device: 'cuda' })]) {
      assert.throws(call, (error) => error instanceof t.TorchError && /device cuda.*sees 0 CUDA devices/.test(error.message));
    }
    assert.throws(() => t.zeros([2], { device: 'tpu' as t.Device }), /zeros: argument 3: expected a device \(cpu, cuda or cuda:N\), received tpu/);
  });

  test('setNumThreads', () => {
    const before = t.numThreads();
    t.setNumThreads(1);
    assert.equal(t.numThreads(), 1);
    t.setNumThreads(before);
    assert.throws(() => t.setNumThreads(0), t.TorchError);
  });

  test('setCudaFlags is harmless without CUDA', () => t.setCudaFlags({ tf32: true }));

  test('CUDA: a convolution, its gradient and autocast equal the CPU', cuda, () => t.scope(() => {
    const device = t.chooseDevice('cuda'), x = t.randn([2, 3, 8, 8]), w = t.randn([4, 3, 3, 3]);
    t.setCudaFlags({ tf32: false });
    const there = [x, w].map((tensor) => t.channelsLast(t.to(tensor, device)).setRequiresGrad(true));
    const y = t.instanceNormLeakyRelu(t.conv2d(there[0], there[1]));
    const [gradient] = t.gradients([t.sum(t.square(y))], [there[1]]);
    const here = w.setRequiresGrad(true), [expected] = t.gradients([t.sum(t.square(t.instanceNormLeakyRelu(t.conv2d(x, here))))], [here]);
    assert.ok(t.max(t.abs(t.sub(t.to(gradient!, 'cpu'), expected!))).item() < 1e-3);
    assert.equal(t.autocast(() => t.conv2d(there[0], there[1]), { device, dtype: 'float16' }).dtype, 'float16');
  }));

  test('CUDA: seeds and states', cuda, () => {
    const device = t.chooseDevice('cuda');
    t.manualSeed(1);
    const first = draws(device);
    t.manualSeed(1);
    assert.deepEqual(draws(device), first);
    t.scope(() => {
      const state = t.rngState(device), next = draws(device);
      t.setRngState(state, device);
      assert.deepEqual(draws(device), next);
    });
  });
});
