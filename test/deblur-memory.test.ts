/** Resident memory, measured in a process of its own. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const program = fileURLToPath(new URL('deblur-many.js', import.meta.url));
const measure = async (...what: string[]): Promise<unknown> => JSON.parse((await promisify(execFile)(process.execPath, [program, ...what])).stdout);

/**
 * How much a process has grown from its first quarter to its last, in MiB: medians of the quarters, since ONNX Runtime's memory goes
 * up and down with each session by more than a hundred.
 */
async function growth(kind: 'mixed' | 'equal', count: number): Promise<number> {
  const resident = await measure(kind, String(count)) as number[];
  assert.equal(resident.length, count);
  const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1];
  return median(resident.slice(-count / 4)) - median(resident.slice(0, count / 4));
}

test('pictures of mixed sizes in one process do not make it grow', async () => {
  // A network's maps take 15 MiB a picture on average: kept, sixty pictures between the two medians would add 900.
  const grown = await growth('mixed', 80);
  assert.ok(grown < 300, `${grown.toFixed(0)} MiB more`);
});

test('nor do many pictures of one size', async () => {
  // A tile's input and its output take 8 MiB each: one of them kept, sixty pictures would add 480.
  const grown = await growth('equal', 80);
  assert.ok(grown < 200, `${grown.toFixed(0)} MiB more`);
});

test('1280×720 stays under 2 GiB with a network that would need more for the whole', { skip: !existsSync('/proc/self/status') && 'peak memory is read from /proc' }, async () => {
  const { tiles, peak } = await measure('1280x720') as { tiles: number; peak: number };
  assert.ok(tiles > 1);
  assert.ok(peak < 2048, `${peak.toFixed(0)} MiB`);
});
