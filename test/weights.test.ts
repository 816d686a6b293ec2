/** Reading .pth files of torch.save without executing them. The fixtures were written by PyTorch (fixtures/weights/make_pth.py). */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { memory, scope } from '@unshake/libtorch';
import { PickleError, unpickle } from '../src/weights/pickle.js';
import { readPth } from '../src/weights/pth.js';
import { readWeights } from '../src/weights/read.js';

const fixture = (name: string): string => fileURLToPath(new URL(`../../test/fixtures/weights/${name}.pth`, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'unshake-weights-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const write = (name: string, bytes: Uint8Array): string => { const path = join(folder, name); writeFileSync(path, bytes); return path; };

const expected = {
  'features.0.weight': ['float32', [2, 3, 2, 1], Array.from({ length: 12 }, (_, i) => i / 8)],
  'features.0.bias': ['float32', [2], [2.5, 2.625]],
  'features.1.weight': ['float32', [1, 2], [0.5, -2]],
  half: ['float16', [2], [1.5, -0.25]],
  double: ['float64', [1, 1], [Math.PI]],
  bfloat: ['bfloat16', [1], [2.5]],
  num_batches_tracked: ['int64', [], [2n ** 40n + 1n]],
  mask: ['bool', [2], [1, 0]],
};

for (const form of ['zip', 'legacy', 'python2']) {
  test(`${form} form: every dtype, shared storage, parameters`, () => {
    scope(() => {
      const tensors = readPth(fixture(form));
      assert.deepEqual(Object.fromEntries([...tensors].map(([name, value]) => [name, [value.dtype, [...value.shape], [...value.toArray()]]])), expected);
      assert.deepEqual([...readPth(fixture(form), (name) => name.startsWith('features.1')).keys()], ['features.1.weight'], 'only what is wanted');
      assert.equal(readWeights(fixture(form), () => true).size, 8);
    });
  });

  test(`${form} form: cut off anywhere, it is refused, not misread`, () => {
    const whole = readFileSync(fixture(form));
    const before = memory();
    for (let length = 0; length < whole.length; length += 7) {
      const path = write('cut.pth', whole.subarray(0, length));
      assert.throws(() => scope(() => readPth(path)), PickleError, `${length} bytes`);
    }
    assert.deepEqual(memory(), before);
  });

  test(`${form} form: bytes changed anywhere give another value or a PickleError, never another kind of failure`, () => {
    const whole = readFileSync(fixture(form));
    for (let at = 0; at < whole.length; at += 3) {
      const changed = Uint8Array.from(whole);
      changed[at] ^= 0x41;
      try {
        scope(() => readPth(write('changed.pth', changed)));
      } catch (error) {
        assert.ok(error instanceof Error && (error.name === 'PickleError' || error.name === 'PickleCutError'), `byte ${at}: ${String(error)}`);
      }
    }
  });
}

test('a file that names a function of the system is refused by that name; nothing runs', () => {
  const options = { globals: new Map(), persistent: (id: unknown) => id };
  const attack = (text: string) => () => unpickle(new TextEncoder().encode(text), 0, options);
  assert.throws(attack("cos\nsystem\n(U\x04echoR."), /asks for os\.system, which weights have no need of; refused/);
  assert.throws(attack('cbuiltins\neval\nU\x011\x85R.'), /builtins\.eval/);
  assert.throws(attack('U\x01a)R.'), /calls something that is not on the list/);
  assert.throws(attack('(ios\nsystem\n.'), /opcode 0x69 at byte 1, which torch\.save doesn't write; refused/); // INST
  // The same inside of a real file: the name of a function that torch.save uses, replaced by one of equal length that it doesn't.
  const legacy = readFileSync(fixture('legacy')).toString('latin1').replace('ctorch._utils\n_rebuild_tensor_v2\n', 'csubprocess.c\ncheck_output_______\n'.slice(0, 35));
  assert.throws(() => readPth(write('attack.pth', Buffer.from(legacy, 'latin1'))), /asks for subprocess\.c\.check_output/);
});

test('files of other kinds are refused with what to do', () => {
  assert.throws(() => readPth(fixture('training-checkpoint')), /not a state_dict .*save model\.state_dict\(\)/);
  assert.throws(() => readPth(fixture('transposed')), /a tensor \[4,3\] of the file is not row-major/);
  assert.throws(() => readWeights(write('text.pth', new TextEncoder().encode('hello, this is no weight file')), () => true), /text\.pth: .*expected safetensors or a \.pth file/);
  assert.throws(() => readWeights(write('empty.pth', new Uint8Array(0)), () => true), /empty\.pth/);
  assert.throws(() => readWeights(join(folder, 'nowhere.pth'), () => true), /nowhere\.pth: the weights can't be read: ENOENT/);
});

test('a tensor that lies beyond its storage is refused, not read from the next one', () => {
  const offset = (from: number) => `K${String.fromCharCode(from)}K\x02\x85`; // of features.0.bias: two elements of 24, from this one on
  const legacy = readFileSync(fixture('legacy')).toString('latin1');
  assert.equal(legacy.split(offset(20)).length, 2);
  assert.throws(() => readPth(write('beyond.pth', Buffer.from(legacy.replace(offset(20), offset(23)), 'latin1'))), /a tensor \[2\] of the file lies beyond its storage of 24 elements/);
});

test('numbers of a pickle: all integer forms, and floats', () => {
  const value = (...bytes: number[]): unknown => unpickle(Uint8Array.of(...bytes), 0, { globals: new Map(), persistent: (id) => id }).value;
  assert.equal(value(0x4b, 200, 0x2e), 200); //                             BININT1
  assert.equal(value(0x4d, 0x10, 0x27, 0x2e), 10_000); //                   BININT2
  assert.equal(value(0x4a, 0xff, 0xff, 0xff, 0xff, 0x2e), -1); //           BININT
  assert.equal(value(0x8a, 0, 0x2e), 0); //                                 LONG1
  assert.equal(value(0x8a, 2, 0x00, 0x80, 0x2e), -32768);
  assert.equal(value(0x8a, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x2e), 2n ** 64n);
  assert.equal(value(0x47, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0, 0x2e), 1.5); //    BINFLOAT
});
