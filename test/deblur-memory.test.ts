/** Resident memory, measured in a process of its own. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const program = fileURLToPath(new URL('deblur-many.js', import.meta.url));
const measure = async (what: string): Promise<unknown> => JSON.parse((await promisify(execFile)(process.execPath, [program, what])).stdout);

test('fifty pictures of mixed sizes in one process do not make it grow', async () => {
  const resident = await measure('50') as number[];
  assert.equal(resident.length, 50);
  // The largest comes first, so that a process which lets go of what it used has reached its height early on.
  const [first, rest] = [Math.max(...resident.slice(0, 25)), Math.max(...resident.slice(25))];
  assert.ok(rest < 1.2 * first, `${first.toFixed(0)} MiB in the first 25, ${rest.toFixed(0)} MiB later: ${resident.map((mib) => mib.toFixed(0)).join(' ')}`);
});

test('1280×720 stays under 2 GiB with a network that would need more for the whole', { skip: !existsSync('/proc/self/status') && 'peak memory is read from /proc' }, async () => {
  const { tiles, peak } = await measure('1280x720') as { tiles: number; peak: number };
  assert.ok(tiles > 1);
  assert.ok(peak < 2048, `${peak.toFixed(0)} MiB`);
});
