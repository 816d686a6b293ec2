/** safetensors files: what goes in comes out, to the byte; what is no such file is refused by name; a failed write leaves the old file. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, beforeEach, suite, test } from 'node:test';
import * as t from '../src/index.js';
import { draw, normal } from './draw.js';

const folder = mkdtempSync(join(tmpdir(), 'unshake-safetensors-'));
after(() => rmSync(folder, { recursive: true }));
const file = (name: string): string => join(folder, name);

let start = t.memory();
beforeEach(() => { start = t.memory(); });
afterEach(() => assert.deepEqual(t.memory(), start));

/** A file with this header and `size` bytes of data. */
function written(name: string, header: unknown, size: number): string {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(file(name), Buffer.concat([length, text, Buffer.alloc(size)]));
  return file(name);
}

function refused(path: string, why: RegExp): void {
  assert.throws(() => t.scope(() => t.loadSafetensors(path)), (error) => {
    assert.ok(error instanceof t.SafetensorsError, String(error));
    assert.ok(error.message.startsWith(`${path}: not a safetensors file, or damaged: `), error.message);
    assert.match(error.message, why);
    return true;
  });
}

suite('round trip', () => {
  test('every dtype, to the byte, in order, with metadata', () => t.scope(() => {
    const values = normal(draw('values'), [3, 5]);
    const state = new Map<string, t.Tensor>((['float32', 'float64', 'bfloat16', 'float16', 'uint8', 'int32', 'int64', 'bool'] as const).map((dtype) => [`layer.${dtype}`, t.toDtype(t.mulScalar(values, 100), dtype)]));
    state.set('empty', t.zeros([0, 4]));
    state.set('a single number', t.full([], 7));
    state.set('2', t.zeros([1])); // a key that JavaScript objects like to move to the front
    const path = file('all.safetensors');
    t.saveSafetensors(path, state, { step: '20', text: 'ümlaut "quoted"' });
    const { tensors, metadata } = t.loadSafetensors(path);
    assert.deepEqual(metadata, { step: '20', text: 'ümlaut "quoted"' });
    assert.deepEqual([...tensors.keys()].sort(), [...state.keys()].sort());
    for (const [name, tensor] of state) {
      const read = tensors.get(name)!;
      assert.deepEqual([read.dtype, read.shape, read.toBytes()], [tensor.dtype, tensor.shape, tensor.toBytes()], name);
    }
    t.saveSafetensors(file('again.safetensors'), state, { step: '20', text: 'ümlaut "quoted"' });
    assert.deepEqual(readFileSync(file('again.safetensors')), readFileSync(path));
  }));

  test('memory layout is not what is saved: channels-last and views are written row-major', () => t.scope(() => {
    const x = normal(draw('layout'), [2, 3, 4, 5]), path = file('layout.safetensors');
    t.saveSafetensors(path, new Map([['x', x], ['nhwc', t.channelsLast(x)], ['view', t.narrow(x, 1, 1, 2)]]));
    const { tensors } = t.loadSafetensors(path);
    assert.deepEqual(tensors.get('nhwc')!.toArray(), x.toArray());
    assert.deepEqual(tensors.get('view')!.toArray(), t.contiguous(t.narrow(x, 1, 1, 2)).toArray());
  }));

  test('the bytes are the format: little-endian length, JSON header padded to 8, data in order', () => t.scope(() => {
    const path = file('bytes.safetensors');
    t.saveSafetensors(path, new Map([['a', t.tensor([1, 2])], ['b', t.toDtype(t.tensor([1]), 'bfloat16')]]), { k: 'v' });
    const bytes = readFileSync(path), length = Number(bytes.readBigUInt64LE(0));
    assert.equal(length % 8, 0);
    assert.deepEqual(JSON.parse(bytes.toString('utf8', 8, 8 + length)), {
      __metadata__: { k: 'v' }, a: { dtype: 'F32', shape: [2], data_offsets: [0, 8] }, b: { dtype: 'BF16', shape: [1], data_offsets: [8, 10] },
    });
    assert.equal(bytes.subarray(8 + length).toString('hex'), '0000803f00000040803f');
  }));

  test('no tensors at all', () => t.scope(() => {
    t.saveSafetensors(file('none.safetensors'), new Map());
    assert.equal(t.loadSafetensors(file('none.safetensors')).tensors.size, 0);
  }));
});

suite('damaged files', () => {
  test('cut off anywhere', () => t.scope(() => {
    const path = file('whole.safetensors');
    t.saveSafetensors(path, new Map([['a', t.tensor([1, 2, 3])], ['b', t.tensor([4])]]), { note: 'x' });
    const bytes = readFileSync(path);
    for (let length = 0; length < bytes.length; length++) {
      writeFileSync(file('cut.safetensors'), bytes.subarray(0, length));
      refused(file('cut.safetensors'), length < 8 ? /bytes/ : /header of|truncated/);
    }
  }));

  test('something else altogether', () => {
    writeFileSync(file('empty'), '');
    refused(file('empty'), /0 bytes/);
    writeFileSync(file('text'), 'This is a text, not a tensor.');
    refused(file('text'), /a header of \d+ bytes in a file of 29/);
    writeFileSync(file('huge'), Buffer.alloc(16, 0xff));
    refused(file('huge'), /a header of 18446744073709552000 bytes in a file of 16/);
    refused(written('broken JSON', '{"a": ', 0), /not JSON/);
    for (const header of ['null', '[]', '3', '"x"']) refused(written('no object', header, 0), /not a JSON object/);
  });

  test('entries that make no sense', () => {
    const entry = { dtype: 'F32', shape: [2], data_offsets: [0, 8] };
    for (const [broken, why] of [
      [null, /entry of x/], [{}, /entry of x/], [{ ...entry, dtype: 'F8' }, /entry of x.*F8/], [{ ...entry, dtype: 'toString' }, /entry of x/], [{ ...entry, shape: [-2] }, /entry of x/], [{ ...entry, shape: [1.5] }, /entry of x/],
      [{ ...entry, shape: '2' }, /entry of x/], [{ ...entry, data_offsets: [0] }, /entry of x/], [{ ...entry, data_offsets: ['0', '8'] }, /entry of x/], [{ ...entry, data_offsets: [8, 0] }, /has -8 bytes/],
      [{ ...entry, shape: [3] }, /x has 8 bytes where F32 \[3\] needs 12/], [{ ...entry, data_offsets: [4, 12] }, /x ends at 12 of 8 bytes: truncated/],
    ] as const) refused(written('entry', { x: broken }, 8), why);
  });

  test("a missing file is the file system's own error", () => {
    assert.throws(() => t.loadSafetensors(file('nowhere')), { code: 'ENOENT' });
  });
});

suite('writing', () => {
  test('replaces the old file, or leaves it when anything fails, and no temporary file either way', () => t.scope(() => {
    const inner = file('writing');
    mkdirSync(inner);
    const path = join(inner, 'x.safetensors');
    t.saveSafetensors(path, new Map([['a', t.tensor([1])]]));
    t.saveSafetensors(path, new Map([['a', t.tensor([2])]]));
    const before = readFileSync(path);
    const gone = t.zeros([2]);
    gone.release();
    assert.throws(() => t.saveSafetensors(path, new Map([['a', t.tensor([3])], ['gone', gone]])), t.TensorReleasedError);
    assert.deepEqual(readFileSync(path), before);
    mkdirSync(join(inner, 'folder.safetensors'));
    writeFileSync(join(inner, 'folder.safetensors', 'occupied'), '');
    assert.throws(() => t.saveSafetensors(join(inner, 'folder.safetensors'), new Map([['a', t.tensor([3])]])), { syscall: 'rename' });
    assert.throws(() => t.saveSafetensors(join(inner, 'no such folder', 'x'), new Map()), { code: 'ENOENT' });
    assert.deepEqual(readdirSync(inner).sort(), ['folder.safetensors', 'x.safetensors']);
  }));
});
