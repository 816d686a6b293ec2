// Compiles assembly/*.ts and embeds the results in src/, so that users need neither the compiler nor a file beside the package.
// The compiler is large and seldom needed; npx fetches this version when this script runs.
import { createHash } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const path = (file) => fileURLToPath(new URL(`../${file}`, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'unshake-kernels-'));
for (const [from, to] of [['assembly/metrics.ts', 'src/metrics/kernels-wasm.ts'], ['assembly/blur.ts', 'src/blur/loops-wasm.ts']]) {
  const binary = join(folder, 'module.wasm');
  const { status } = spawnSync('npx', ['--yes', '-p', 'assemblyscript@0.28.20', 'asc', path(from), '-o', binary,
    '-O3', '--converge', '--noAssert', '--runtime', 'stub', '--enable', 'simd', '--importMemory', '--initialMemory', '1', '--use', 'abort='],
  { stdio: 'inherit' });
  if (status !== 0) {
    process.exitCode = 1;
    break;
  }
  const sha256 = createHash('sha256').update(readFileSync(path(from))).digest('hex');
  const lines = readFileSync(binary).toString('base64').match(/.{1,140}/g).map((line) => `  '${line}',`).join('\n');
  writeFileSync(path(to), `/** Made by assembly/build.mjs from ${from}; do not edit. */
export const sourceSha256 = '${sha256}';

/** The WebAssembly module, base64. */
export const wasmBase64 = [
${lines}
].join('');
`);
}
rmSync(folder, { recursive: true });
