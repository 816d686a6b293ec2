/** What is committed is what ops.json generates; libtorch is found where it is said to be, or the message says what was wrong. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { findLibtorch } from '../src/index.js';

const script = (name: string): string => fileURLToPath(new URL(`../scripts/${name}.js`, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'unshake-libtorch-'));
after(() => rmSync(folder, { recursive: true }));

/** A folder as libtorch unpacks, with these files in it. */
function unpacked(name: string, files: Record<string, string>): string {
  for (const [path, text] of Object.entries({ 'lib/libtorch.so': '', ...files })) {
    mkdirSync(dirname(join(folder, name, path)), { recursive: true });
    writeFileSync(join(folder, name, path), text);
  }
  return join(folder, name);
}

const oldHeader = 'include/torch/csrc/api/include/torch/version.h';
const find = (UNSHAKE_LIBTORCH: string) => findLibtorch({ UNSHAKE_LIBTORCH });

suite('building', () => {
  test('generated.cc and generated.ts are what ops.json says', () => {
    const { status, stderr } = spawnSync(process.execPath, [script('generate'), '--check'], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
  });

  test('UNSHAKE_LIBTORCH: version, libraries, CUDA and ABI are read off the folder', () => {
    const cpu = unpacked('1.13', { [oldHeader]: '#define TORCH_VERSION_MAJOR 1\n#define TORCH_VERSION \\\n  "1.13.0"\n', 'share/cmake/Torch/TorchConfig.cmake': 'set(TORCH_CXX_FLAGS "-D_GLIBCXX_USE_CXX11_ABI=0")' });
    assert.deepEqual(find(cpu), { version: '1.13.0', library: join(cpu, 'lib'), includes: [join(cpu, 'include'), join(cpu, 'include/torch/csrc/api/include')], cuda: false, cxx11Abi: false });
    const cuda = unpacked('2.4', { [oldHeader]: '#define TORCH_VERSION \\\n  "2.4.1"\n', 'lib/libtorch_cuda.so': '', 'share/cmake/Torch/TorchConfig.cmake': 'set(TORCH_CXX_FLAGS "-D_GLIBCXX_USE_CXX11_ABI=1")' });
    assert.deepEqual({ ...find(cuda), library: 0, includes: 0 }, { version: '2.4.1', library: 0, includes: 0, cuda: true, cxx11Abi: true });
    const newer = unpacked('2.9', { [oldHeader]: '#pragma once\n#include <torch/headeronly/version.h>\n', 'include/torch/headeronly/version.h': '#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION \\\n  "2.9.0"\n' });
    assert.equal(find(newer)!.version, '2.9.0');
  });

  test('a wrong UNSHAKE_LIBTORCH is an error, not another libtorch', () => {
    mkdirSync(join(folder, 'nothing'));
    for (const wrong of [join(folder, 'nowhere'), join(folder, 'nothing'), unpacked('no header', {})]) {
      assert.throws(() => find(wrong), (error) => error instanceof Error && error.message.includes(`UNSHAKE_LIBTORCH=${wrong}: expected`));
    }
    const { status, stdout, stderr } = spawnSync(process.execPath, [script('build-addon')], { encoding: 'utf8', env: { ...process.env, UNSHAKE_LIBTORCH: join(folder, 'nowhere') } });
    assert.equal(status, 1);
    assert.match(stdout + stderr, /UNSHAKE_LIBTORCH=.*nowhere: expected/);
  });
});
