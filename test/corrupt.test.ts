/** Sixty bad files in one run of the command line: sixty clear errors, exit code 1, little memory. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { corruptFiles } from './corrupt-files.js';
import { identityModel } from './small-models.js';

const program = fileURLToPath(new URL('../../bin/unshake.js', import.meta.url));

test('sixty corrupt files: each ends in an error that names it, none in a result, a crash or 2 GiB', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'unshake-'));
  const [source, out, model, peak] = ['in', 'out', 'identity.onnx', 'peak'].map((name) => join(folder, name));
  await mkdir(source);
  await writeFile(model, identityModel());
  const files = await corruptFiles();
  assert.equal(files.size, 60);
  for (const [name, bytes] of files) await writeFile(join(source, name), bytes);
  // The peak of the resident memory is written down as the process ends.
  const watch = `import { readFileSync, writeFileSync } from 'node:fs'; process.on('exit', () => { try { writeFileSync(${JSON.stringify(peak)}, /VmHWM:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]); } catch {} });`;
  const { code, stdout, stderr } = await new Promise<{ code: unknown; stdout: string; stderr: string }>((resolve) => {
    execFile(process.execPath, ['--import', `data:text/javascript,${encodeURIComponent(watch)}`, program, 'deblur', source, '-o', out, '--model', model, '--json'], { maxBuffer: 2 ** 24 }, (error, stdout, stderr) => {
      resolve({ code: error ? error.code ?? error.signal : 0, stdout, stderr });
    });
  });
  assert.equal(code, 1, stderr);
  const { images, failed } = JSON.parse(stdout) as { images: unknown[]; failed: { input: string; code: string; message: string }[] };
  assert.deepEqual(images, []);
  assert.deepEqual(failed.map(({ input }) => basename(input)).sort(), [...files.keys()].sort());
  for (const { input, code: kind, message } of failed) {
    assert.equal(kind, 'IMAGE', message);
    assert.ok(message.startsWith(`${input}: can't be read as an image (`) && !/[\n]|undefined|\[object/.test(message), message);
  }
  assert.equal(stderr.trim().split('\n').length, 60);
  assert.deepEqual(await readdir(out).catch(() => []), []);
  const kibibytes = Number(await readFile(peak, 'utf8').catch(() => '0')); // none where there is no /proc
  assert.ok(kibibytes < 2 * 2 ** 20, `${kibibytes} KiB`);
  await rm(folder, { recursive: true });
});
