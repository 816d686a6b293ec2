/** What `npm pack` makes, installed into empty projects: without onnxruntime-node (its install script fails, as behind a firewall) and with it. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { writeImage } from '../src/image/codec-node.js';
import { noisyImage } from './small-images.js';
import { blockModel } from './small-models.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
/** Why the project could not be installed: npm's registry is not reachable from here. */
let offline: string | undefined;
let project = '';

interface Ran { stdout: string; stderr: string }

/** Runs in the project, where none of this repository's npm settings apply. */
function run(command: string, args: string[], environment: NodeJS.ProcessEnv = {}, cwd = project): Promise<Ran> {
  const inherited = Object.entries(process.env).filter(([key]) => !/^npm_|^ONNXRUNTIME_|^NODE_OPTIONS$/i.test(key));
  return promisify(execFile)(command, args, { cwd, env: { ...Object.fromEntries(inherited), ...environment } });
}

/** Packages that `npm ci` has fetched are taken from npm's cache. */
const install = (spec: string, environment: NodeJS.ProcessEnv): Promise<Ran> =>
  run(npm, ['install', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error', spec], environment);

const skipOffline = (context: TestContext): boolean => {
  if (offline) context.skip(`npm can't install here: ${offline}`);
  return offline !== undefined;
};

before(async () => {
  project = await mkdtemp(join(tmpdir(), 'unshake-project-'));
  await run(npm, ['pack', '--ignore-scripts', '--silent', '--pack-destination', project], {}, root);
  const [tarball] = (await readdir(project)).filter((name) => name.endsWith('.tgz'));
  await writeFile(join(project, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  try {
    await install(`./${tarball}`, { ONNXRUNTIME_NODE_INSTALL: 'no-such-version' }); // the script throws, as it does when it can't download
  } catch (error) {
    const { stderr } = error as Ran;
    if (!/ENOTCACHED|EAI_AGAIN|ENOTFOUND|ECONN|ETIMEDOUT|ERR_SOCKET/.test(stderr)) throw error;
    offline = stderr.split('\n')[0];
  }
  await Promise.all([
    copyFile(new URL('../examples/library.js', import.meta.url), join(project, 'library.js')),
    writeFile(join(project, 'small.onnx'), blockModel()),
    writeImage(join(project, 'photo.png'), noisyImage(60, 44)),
  ]);
});

after(() => rm(project, { recursive: true, force: true }));

test('without onnxruntime-node the example runs in WebAssembly and says so in one line', async (context) => {
  if (skipOffline(context)) return;
  assert.ok(!(await readdir(join(project, 'node_modules'))).includes('onnxruntime-node'), 'npm dropped the optional package');
  const { stdout, stderr } = await run('node', ['library.js', 'photo.png', 'out.png', './small.onnx']);
  assert.match(stdout, /^out\.png: 60×44 on wasm, /);
  const notices = stderr.split('\n').filter((line) => line !== '' && !/^\d of \d$/.test(line));
  assert.equal(notices.length, 1, stderr);
  assert.match(notices[0], /^unshake: note: onnxruntime-node can't be loaded .*WebAssembly/);
});

test('the command runs too; a device that is not there is an error', async (context) => {
  if (skipOffline(context)) return;
  const command = (device: string): Promise<Ran> =>
    run(npm, ['exec', '--no', 'unshake', '--', 'deblur', 'photo.png', '--model', 'small.onnx', '--device', device, '-o', 'command.png', '--json']);
  assert.equal((JSON.parse((await command('wasm')).stdout) as { images: { device: string }[] }).images[0].device, 'wasm');
  await assert.rejects(command('cpu'), (error) => /^unshake: MISSING: ONNX Runtime can't be loaded/m.test((error as Ran).stderr));
});

test('a CommonJS project and a worker thread can use it', async (context) => {
  if (skipOffline(context)) return;
  await writeFile(join(project, 'main.cjs'), `
    const { Worker } = require('node:worker_threads');
    new Worker(require.resolve('./library.js'), { argv: ['photo.png', 'thread.png', './small.onnx'] }).on('exit', (code) => { process.exitCode = code; });
  `);
  assert.match((await run('node', ['main.cjs'])).stdout, /^thread\.png: 60×44 on wasm/);
  const [major, minor] = process.versions.node.split('.').map(Number);
  const load = major > 22 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19) ? `Promise.resolve(require('unshake'))` : `import('unshake')`;
  await writeFile(join(project, 'load.cjs'), `
    ${load}.then(async ({ openModel, deblurImage }) => {
      const model = await openModel('small.onnx');
      const { image } = await deblurImage(model, { width: 2, height: 1, channels: 3, data: new Uint8Array(6) });
      console.log(model.device, image.data.length);
      await model.release();
    });
  `);
  assert.equal((await run('node', ['load.cjs'])).stdout, 'wasm 6\n');
});

test('bundlers for browsers get the browser build', async (context) => {
  if (skipOffline(context)) return;
  const resolved = await run('node', ['--conditions=browser', '--input-type=module', '-e', `console.log(import.meta.resolve('unshake'))`]);
  assert.match(resolved.stdout, /unshake\/dist\/src\/browser\.js\n$/);
});

test('with onnxruntime-node, installed as the note says, the same example runs on the CPU without a note', async (context) => {
  if (skipOffline(context)) return;
  await install('onnxruntime-node', { ONNXRUNTIME_NODE_INSTALL: 'skip' });
  const { stdout, stderr } = await run('node', ['library.js', 'photo.png', 'out.png', './small.onnx']);
  assert.match(stdout, /^out\.png: 60×44 on (?:cpu|cuda), /);
  assert.ok(!stderr.includes('note'), stderr);
});
