// Compiles assembly/metrics.ts and embeds the result in src/metrics/kernels-wasm.ts, so that users need neither the compiler
// nor a file beside the package. The compiler is large and seldom needed; npx fetches this version when this script runs.
import { createHash } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const source = fileURLToPath(new URL('metrics.ts', import.meta.url));
const target = fileURLToPath(new URL('../src/metrics/kernels-wasm.ts', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'unshake-kernels-'));
const binary = join(folder, 'metrics.wasm');
const { status } = spawnSync('npx', ['--yes', '-p', 'assemblyscript@0.28.20', 'asc', source, '-o', binary,
  '-O3', '--converge', '--noAssert', '--runtime', 'stub', '--enable', 'simd', '--importMemory', '--initialMemory', '1', '--use', 'abort='],
{ stdio: 'inherit' });
if (status === 0) {
  const sha256 = createHash('sha256').update(readFileSync(source)).digest('hex');
  const lines = readFileSync(binary).toString('base64').match(/.{1,140}/g).map((line) => `  '${line}',`).join('\n');
  writeFileSync(target, `/** Made by assembly/build.mjs from assembly/metrics.ts; do not edit. */
export const sourceSha256 = '${sha256}';

/** The WebAssembly module, base64. */
export const wasmBase64 = [
${lines}
].join('');
`);
}
rmSync(folder, { recursive: true });
process.exit(status ?? 1);
