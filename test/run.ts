/** Runs every compiled test (dist/test/*.test.js and the addon's) with Node's own runner. Arguments narrow it to names that contain them. */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const wanted = process.argv.slice(2);
const folders = ['./', '../../packages/libtorch/dist/test/'].map((path) => fileURLToPath(new URL(path, import.meta.url)));
const files = folders.flatMap((folder) => readdirSync(folder).filter((name) => name.endsWith('.test.js')).map((name) => folder + name))
  .filter((file) => wanted.length === 0 || wanted.some((word) => file.includes(word)));
if (files.length === 0) throw new Error(`no test matches ${wanted.join(' ')}`);
// Two files at once: most tests are bound by one core, and libtorch's use both.
// OpenMP's threads would spin while they wait for one another: on busy cores that makes tiny networks five times slower, for everybody.
const env = { OMP_WAIT_POLICY: 'passive', ...process.env };
const { status } = spawnSync(process.execPath, ['--test', '--test-concurrency=2', ...files], { stdio: 'inherit', env });
process.exit(status ?? 1);
