/** What a user does wrong comes back as TorchError (or TypeError): it names the op and what it was given, and shows no C++. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { suite, test } from 'node:test';
import { createSecureContext } from 'node:tls';
import * as t from '../src/index.js';

const wrong = <T>(value: unknown): T => value as T;

function refused(call: () => unknown, expected: RegExp, kind: new (...args: never[]) => Error = t.TorchError): void {
  const before = t.memory();
  assert.throws(() => t.scope(() => { call(); }), (error) => {
    assert.ok(error instanceof kind, `${(error as Error).name}: ${(error as Error).message}`);
    assert.match(error.message, expected);
    assert.doesNotMatch(error.message, /frame #|Exception raised from|\.cpp|\n/);
    return true;
  });
  assert.deepEqual(t.memory(), before);
}

suite('errors', () => {
  test('shapes', () => {
    refused(() => t.conv2d(t.zeros([1, 3, 8, 8]), t.zeros([4, 64, 3, 3])), /^conv2d: .*64.* — input \[1,3,8,8\] cpu float32, weight \[4,64,3,3\] cpu float32, bias null, stride \[1,1\]/);
    refused(() => t.matmul(t.zeros([2, 3]), t.zeros([2, 3])), /^matmul: .* — input \[2,3\] cpu float32, other \[2,3\] cpu float32/);
    refused(() => t.add(t.zeros([2]), t.zeros([3])), /^add: .*input \[2\].*other \[3\]/);
    refused(() => t.cat([t.zeros([2, 2]), t.zeros([3, 3])], 0), /^cat: .*tensors \(\[2,2\] cpu float32; \[3,3\] cpu float32\)/);
    refused(() => t.cat([], 0), /^cat: .*tensors \[\]/);
    refused(() => t.reshape(t.zeros([6]), [4, -1]), /^reshape: /);
    refused(() => t.zeros([-1]), /^zeros: .*shape \[-1\]/);
    refused(() => t.pixelShuffle(t.zeros([1, 3, 2, 2]), 2), /^pixelShuffle: /);
    refused(() => t.reflectionPad2d(t.zeros([1, 1, 2, 2]), [5, 5, 5, 5]), /^reflectionPad2d: /);
    refused(() => t.localMean2d(t.zeros([1, 1, 4, 4]), 0), /^localMean2d: expected N, C, H, W and a window of 1 or more/);
    refused(() => t.avgPool2d(t.zeros([1, 1, 4, 4]), { kernel: [0, 0], stride: [1, 1] }), /^avgPool2d: /);
    refused(() => t.convTranspose2d(t.zeros([1, 3, 4, 4]), t.zeros([4, 2, 3, 3])), /^convTranspose2d: weight of 4 channels .* input of 3/);
    refused(() => t.convTranspose2d(t.zeros([1, 3, 4, 4]), t.zeros([3, 2, 3, 3]), null, { padding: [9, 9] }), /^convTranspose2d: the output would be -/);
    refused(() => t.convTranspose2d(t.zeros([1, 3, 4, 4]), t.zeros([3, 2, 3, 3]), null, { outputPadding: [1, 1] }), /output padding must be smaller/);
    refused(() => t.convTranspose2d(t.zeros([1, 3, 4, 4]), t.zeros([3, 2, 3, 3]), null, { stride: [1] }), /need two numbers/);
    refused(() => t.prelu(t.zeros([1, 3, 4, 4]), t.zeros([2])), /^prelu: .*one a channel, got 2/);
    refused(() => t.expand(t.zeros([2]), [3]), /^expand: /);
    refused(() => t.maxPool2d(t.zeros([1, 1, 1, 1]), { kernel: [3, 3], stride: [1, 1] }), /^maxPool2d: /);
  });

  test('dtypes', () => {
    refused(() => t.conv2d(t.zeros([1, 1, 4, 4], { dtype: 'float64' }), t.zeros([1, 1, 3, 3])), /^conv2d: .*float64.*float32/);
    refused(() => t.zeros([1], { dtype: wrong('float') }), /^zeros: argument 2: expected a dtype .* received float/);
    refused(() => t.toDtype(t.zeros([1]), wrong(undefined)), /^toDtype: argument 2/);
    refused(() => t.convTranspose2d(t.zeros([1, 1, 4, 4], { dtype: 'bfloat16' }), t.zeros([1, 1, 3, 3])), /^convTranspose2d: input is BFloat16, weight Float/);
    refused(() => t.zeros([1], { dtype: 'int64' }).setRequiresGrad(true), /^setRequiresGrad: .*float/);
  });

  test('numbers that are none', () => {
    for (const bad of [1.5, NaN, Infinity, 2 ** 53, '1', null, undefined, 1n]) {
      refused(() => t.narrow(t.zeros([4]), 0, wrong(bad), 1), /^narrow: argument 3: expected an integer, received .* — input \[4\] cpu float32, dim 0, start /);
    }
    refused(() => t.zeros([2, NaN]), /^zeros: argument 1: expected an integer, received 2,NaN/);
    refused(() => t.zeros(wrong(3)), /^zeros: argument 1: expected an array of integers, received 3/);
    refused(() => t.addScalar(t.zeros([1]), wrong('2')), /^addScalar: argument 2: expected a number, received 2/);
    refused(() => t.dropout(t.zeros([1]), 0.5, wrong(1)), /^dropout: argument 3: expected true or false, received 1/);
    refused(() => t.dropout(t.zeros([1]), 2, true), /^dropout: /);
    refused(() => t.clamp(t.zeros([1]), wrong({}), null), /^clamp: argument 2: expected a number, received an object/);
  });

  test('things that are no tensors', () => {
    refused(() => t.relu(wrong(3)), /^relu: expected a Tensor, received 3 — input 3/);
    refused(() => t.relu(wrong(null)), /^relu: /);
    refused(() => t.add(t.zeros([1]), wrong(undefined)), /^add: expected a Tensor, received undefined/);
    refused(() => t.cat(wrong([3, 4]), 0), /^cat: expected a Tensor, received 3/);
    refused(() => t.cat([t.zeros([1]), wrong(3)], 0), /^cat: expected a Tensor/);
    refused(() => t.cat(wrong('no'), 0), /^cat: argument 1: expected an array of tensors, received no/);
    refused(() => t.relu(wrong({ handle: 1 })), /^relu: /);
  });

  test("another addon's external is not taken for a tensor", () => {
    const foreign = (createSecureContext().context as { _external?: object })._external;
    assert.equal(Object.prototype.toString.call(foreign), '[object Object]');
    const stranger = new t.Tensor(wrong(foreign));
    assert.throws(() => t.relu(stranger), /^TorchError: relu: expected a Tensor, received another external — input not a tensor/);
  });

  test('data', () => {
    refused(() => t.tensor(new Float32Array(3), [2, 2]), /tensor: the shape \[2,2\] needs 4 elements, received 3/, RangeError);
    refused(() => t.tensor(wrong(new Int16Array(2))), /expected a Float32Array/, TypeError);
    refused(() => t.tensor(new Float32Array(3), [1.5, 2]), /^tensor: .*integer.*shape \[1\.5,2\]/);
    refused(() => t.tensorFromBytes(new Uint8Array(7), [2], 'float32'), /^tensorFromBytes: the data has 7 bytes, the shape needs 8 — shape \[2\], dtype 'float32'/);
    refused(() => t.zeros([2]).item(), /^item: item\(\) needs one element, the tensor has 2 — tensor \[2\]/);
  });

  test('autograd', () => {
    refused(() => t.backward(t.zeros([1])), /^backward: .*loss \[1\] cpu float32/);
    refused(() => t.backward(t.mulScalar(t.zeros([2]).setRequiresGrad(true), 2)), /^backward: .*scalar outputs.*loss \[2\]/);
    refused(() => t.gradients([t.zeros([])], [t.zeros([])]), /^gradients: /);
    refused(() => {
      const x = t.zeros([2]).setRequiresGrad(true), loss = t.sum(t.square(x));
      t.backward(loss);
      t.backward(loss);
    }, /^backward: .*second time/);
    refused(() => t.fill_(t.zeros([2]).setRequiresGrad(true), 1), /^fill_: .*leaf/);
    refused(() => { const x = t.zeros([2]).setRequiresGrad(true); x.grad = t.zeros([3]); }, /^grad: a gradient must have .* — tensor \[2\] cpu float32, gradient \[3\]/);
    refused(() => { const x = t.zeros([2]).setRequiresGrad(true); x.grad = t.zeros([2], { dtype: 'float64' }); }, /^grad: /);
  });

  test('TORCH_DEBUG=1 shows the frames for those who look for them', () => {
    const script = `import('${new URL('../src/index.js', import.meta.url).href}').then((t) => { try { t.matmul(t.zeros([2, 3]), t.zeros([2, 3])); } catch (error) { console.log(error.cause.message); } })`;
    const messages = [{}, { TORCH_DEBUG: '1' }].map((environment) => spawnSync(process.execPath, ['-e', script], { encoding: 'utf8', env: { ...process.env, ...environment } }).stdout);
    assert.doesNotMatch(messages[0], /frame #/);
    assert.match(messages[1], /frame #/);
  });

  test('too much memory: the message says what is live and what to try', () => {
    refused(() => t.zeros([2 ** 40]), /^zeros: .*can't allocate memory.*MiB live; try a smaller crop or batch — shape/);
  });
});
