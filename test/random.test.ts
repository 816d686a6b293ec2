import { test } from 'node:test';
import assert from 'node:assert/strict';
import { hashText, randomAt } from '../src/random.js';

test('the same position gives the same numbers, a neighbour gives others', () => {
  const draw = (...position: number[]) => { const r = randomAt(...position); return Array.from({ length: 5 }, () => r.uniform()); };
  assert.deepEqual(draw(1, 2, 3), draw(1, 2, 3));
  assert.notDeepEqual(draw(1, 2, 3), draw(1, 2, 4));
  assert.notDeepEqual(draw(1, 2), draw(2, 1));
  assert.notDeepEqual(draw(1), draw(1 + 2 ** 32));
});

test('uniform and normal have their moments', () => {
  const random = randomAt(7), n = 40_000;
  let sum = 0, squares = 0, normals = 0, normalSquares = 0;
  for (let i = 0; i < n; i++) {
    const u = random.uniform(), z = random.normal();
    sum += u; squares += u * u; normals += z; normalSquares += z * z;
  }
  assert.ok(Math.abs(sum / n - 1 / 2) < 0.01 && Math.abs(squares / n - 1 / 3) < 0.01);
  assert.ok(Math.abs(normals / n) < 0.03 && Math.abs(normalSquares / n - 1) < 0.04);
});

test('text hashes differ', () => assert.notEqual(hashText('GOPR0384'), hashText('GOPR0385')));
