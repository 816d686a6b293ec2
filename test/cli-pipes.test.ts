/** `unshake deblur` among other programs: readers that go away, full disks, signals while it waits for its input. */
import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, openSync } from 'node:fs';
import { mkdir, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { writeImage } from '../src/image/codec-node.js';
import { noisyImage } from './small-images.js';
import { identityModel } from './small-models.js';

const program = fileURLToPath(new URL('../../bin/unshake.js', import.meta.url));
const windows = process.platform === 'win32';
let folder: string, model: string, photo: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'unshake-'));
  model = join(folder, 'inventing.onnx'); // says so when it is open
  photo = join(folder, 'photo.png');
  await writeFile(model, identityModel({ invents: true }));
  await writeImage(photo, noisyImage(40, 30));
});
after(() => rm(folder, { recursive: true }));

function deblur(args: string[], stdout: 'pipe' | number = 'pipe'): ChildProcess {
  return spawn(process.execPath, [program, 'deblur', ...args, '--model', model], { stdio: ['pipe', stdout, 'pipe'] });
}

/** The exit code and what stderr said, but for the note of the model. */
async function endOf(child: ChildProcess): Promise<{ code: number | null; stderr: string }> {
  let stderr = '';
  child.stderr!.on('data', (data) => { stderr += data; });
  const code = await new Promise<number | null>((resolve) => { child.on('close', resolve); });
  return { code, stderr: stderr.replace(/^unshake: note: .*invent.*\n/m, '') };
}

test('a reader of the lines that goes away does not end the work; one of the picture does', async () => {
  const album = join(folder, 'album'), out = join(folder, 'album-out'), names = ['a.png', 'b.png', 'c.png', 'd.png', 'e.png'];
  await mkdir(album);
  for (const name of names) await writeImage(join(album, name), noisyImage(40, 30));
  const many = deblur([photo, ...names.map((name) => join(album, name)), '-o', `${out}/`]);
  many.stdout!.destroy();
  assert.deepEqual(await endOf(many), { code: 0, stderr: '' });
  assert.deepEqual((await readdir(out)).sort(), [...names, 'photo.png']);
  const one = deblur([photo, '-o', '-']);
  one.stdout!.destroy();
  const { code, stderr } = await endOf(one);
  assert.equal(code, 1);
  assert.match(stderr, /^unshake: IMAGE: .*photo\.png: the standard output can't be written \(.*EPIPE.*\)\n$/);
});

test('a standard output that can not be written to is one line and exit code 1', { skip: !existsSync('/dev/full') && 'needs /dev/full' }, async () => {
  for (const [output, line] of [[join(folder, 'full.png'), /^unshake: OUTPUT: the standard output can't be written \(ENOSPC.*\)\n$/], ['-', /^unshake: IMAGE: .*ENOSPC.*\n$/]] as const) {
    const { code, stderr } = await endOf(deblur([photo, '-o', output], openSync('/dev/full', 'w')));
    assert.equal(code, 1);
    assert.match(stderr, line);
  }
  assert.ok(existsSync(join(folder, 'full.png')));
});

test('Ctrl-C ends it while it waits for the standard input', { timeout: 120_000 }, async (t) => {
  const child = deblur(['-']), end = endOf(child);
  t.after(() => child.kill('SIGKILL'));
  await new Promise((resolve) => { child.stderr!.once('data', resolve); });
  await setTimeout(500);
  child.kill('SIGINT');
  assert.deepEqual(await end, { code: 1, stderr: 'unshake: ABORTED: stopped before the picture from the standard input was done; nothing was written\n' });
});

test('a named pipe is read to its end, or to a SIGTERM', { timeout: 240_000, skip: windows && 'needs mkfifo' }, async (t) => {
  const pipe = join(folder, 'pipe.png'), output = join(folder, 'from-pipe.png');
  spawnSync('mkfifo', [pipe]);
  for (const whole of [true, false]) {
    const child = deblur([pipe, '-o', output]), end = endOf(child);
    t.after(() => child.kill('SIGKILL'));
    const writer = await open(pipe, 'w'); // once there is a reader
    await writer.write((await readFile(photo)).subarray(0, whole ? undefined : 100));
    if (whole) await writer.close();
    else child.kill('SIGTERM');
    assert.deepEqual(await end, whole ? { code: 0, stderr: '' } : { code: 1, stderr: `unshake: ABORTED: stopped before ${pipe} was done; nothing was written\n` });
    if (!whole) await writer.close();
  }
});
