/** Ctrl-C once, twice in a breath, and twice. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

const windows = process.platform === 'win32';

test('the first asks the work to end, an echo of it does nothing, a second one ends the process', { skip: windows && 'no signals' }, async () => {
  const script = `import { withInterrupt } from '${new URL('../cli/interrupt.js', import.meta.url).href}';
    const stubborn = (signal) => new Promise(() => { setInterval(() => {}, 1000); signal.addEventListener('abort', () => console.log('asked')); console.log('works'); });
    await withInterrupt(stubborn, () => console.log('told'));`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', (data) => { said += data; });
  const saysSoon = async (text: string): Promise<void> => { while (said !== text && child.exitCode === null) await sleep(5); };
  await saysSoon('works\n');
  child.kill('SIGINT');
  await saysSoon('works\nasked\ntold\n');
  child.kill('SIGINT');
  await sleep(1200);
  assert.deepEqual([said, child.exitCode, child.signalCode], ['works\nasked\ntold\n', null, null]);
  const ended = once(child, 'exit');
  child.kill('SIGINT');
  assert.deepEqual(await ended, [null, 'SIGINT']);
});
