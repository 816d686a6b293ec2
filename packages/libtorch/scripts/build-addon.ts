/**
 * Compiles native/*.cc against libtorch into build/unshake_libtorch.node. Needs g++ (or $CXX) and libtorch; downloads nothing.
 *
 * Where libtorch is not found it says so in one line and succeeds: everything but training works without it.
 * `--require` makes that a failure. Objects are rebuilt when their source, a header or the flags changed.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { findLibtorch, howToGetLibtorch, type Libtorch } from '../src/find-libtorch.js';
import { probeDistributed } from './probe-distributed.js';

const run = promisify(execFile);
const require = createRequire(import.meta.url);
const root = fileURLToPath(new URL('../../', import.meta.url));
const native = `${root}native/`, build = `${root}build/`;

/** ATen's headers refuse C++17 from 2.12 on. */
function needsCxx20(version: string): boolean {
  const [major, minor] = version.split('.').map(Number);
  return major > 2 || (major === 2 && minor >= 12);
}

function compilerFlags(libtorch: Libtorch): string[] {
  const headers = [(require('node-api-headers') as { include_dir: string }).include_dir, (require('node-addon-api') as { include_dir: string }).include_dir];
  return [
    '-O3', '-fopenmp', // without it at::parallel_for, whose body is compiled here, runs on one thread and doesn't say so
    `-std=${needsCxx20(libtorch.version) ? 'c++20' : 'c++17'}`, '-fPIC', '-fvisibility=hidden', '-Wall', '-Wno-unknown-pragmas', '-Wno-sign-compare', '-DNAPI_VERSION=9', '-DNODE_ADDON_API_CPP_EXCEPTIONS_ALL',
    '-DNODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS', `-D_GLIBCXX_USE_CXX11_ABI=${libtorch.cxx11Abi ? 1 : 0}`,
    ...headers.map((path) => `-isystem${path}`), ...libtorch.includes.map((path) => `-isystem${path}`),
  ];
}

/** The object file, named by a hash of everything that goes into it. */
async function compile(compiler: string, flags: string[], source: string, headerHash: string): Promise<string> {
  const hash = createHash('sha256').update(compiler).update(flags.join(' ')).update(headerHash).update(readFileSync(native + source)).digest('hex').slice(0, 16);
  const object = `${build}${source.replace('.cc', '')}-${hash}.o`;
  if (!existsSync(object)) {
    process.stdout.write(`compiling ${source}\n`);
    await run(compiler, [...flags, '-c', native + source, '-o', `${object}.tmp`], { maxBuffer: 1 << 26 });
    await run('mv', [`${object}.tmp`, object]);
  }
  return object;
}

/** As compile(); without groups when these headers are of versions that don't go together: everything else works. */
async function compileGroups(compiler: string, flags: string[], groupFlags: string[], source: string, headerHash: string): Promise<string> {
  try {
    return await compile(compiler, [...flags, ...groupFlags], source, headerHash);
  } catch (error) {
    const reason = /^.*\berror:.*$/m.exec((error as { stderr?: string }).stderr ?? '')?.[0];
    if (groupFlags.length === 0 || !reason) throw error;
    process.stdout.write(`${source} does not compile against these headers of ${groupFlags.includes('-DUSE_C10D_NCCL') ? 'Gloo and NCCL' : 'Gloo'} (${reason}): training by one process only\n`);
    return compile(compiler, flags, source, headerHash);
  }
}

async function main(): Promise<void> {
  const libtorch = findLibtorch();
  if (!libtorch) {
    process.stdout.write(`libtorch was not found: everything but training works. ${howToGetLibtorch}\n`);
    process.exitCode = process.argv.includes('--require') ? 1 : 0;
    return;
  }
  mkdirSync(build, { recursive: true });
  const compiler = process.env.CXX ?? 'g++';
  const flags = compilerFlags(libtorch);
  const distributed = await probeDistributed(compiler, flags, libtorch, build);
  if (distributed.backends.length === 0) process.stdout.write('without Gloo (Debian: apt-get install libgloo-dev): training by one process only\n');
  const headers = readdirSync(native).filter((name) => name.endsWith('.h')).sort();
  const headerHash = headers.reduce((hash, name) => hash.update(readFileSync(native + name)), createHash('sha256').update(libtorch.version)).digest('hex');
  const sources = readdirSync(native).filter((name) => name.endsWith('.cc')).sort();
  const objects: string[] = [];
  const queue = [...sources];
  await Promise.all(Array.from({ length: Math.min(8, availableParallelism()) }, async () => {
    for (let source = queue.shift(); source; source = queue.shift()) objects.push(await (source === 'distributed_group.cc' ? compileGroups(compiler, flags, distributed.flags, source, headerHash) : compile(compiler, flags, source, headerHash)));
  }));
  objects.sort();
  const target = `${build}unshake_libtorch.node`, stamp = `${build}linked.txt`;
  const inputs = objects.join('\n');
  if (existsSync(target) && existsSync(stamp) && readFileSync(stamp, 'utf8') === inputs) return;
  // torch_cuda registers itself when loaded, so the linker must not drop it as unused.
  const cuda = libtorch.cuda ? ['-Wl,--no-as-needed', '-ltorch_cuda', '-lc10_cuda', '-Wl,--as-needed'] : [];
  await run(compiler, ['-shared', '-fopenmp', '-o', `${target}.tmp`, ...objects, `-L${libtorch.library}`, `-Wl,-rpath,${libtorch.library}`, ...cuda, '-ltorch', '-ltorch_cpu', '-lc10'], { maxBuffer: 1 << 26 });
  await run('mv', [`${target}.tmp`, target]);
  writeFileSync(`${build}libtorch.json`, JSON.stringify({ version: libtorch.version, library: libtorch.library, cuda: libtorch.cuda }, null, 2));
  writeFileSync(stamp, inputs);
  process.stdout.write(`built ${target} against libtorch ${libtorch.version} (${libtorch.library})\n`);
}

try {
  await main();
} catch (error) {
  const { stderr, message, code } = error as { stderr?: string; message: string; code?: string };
  const compilerMissing = code === 'ENOENT';
  process.stderr.write(compilerMissing ? 'libtorch is there but no C++ compiler: install g++ (Debian: apt-get install g++), or set CXX\n' : `${stderr || message}\n`);
  process.exitCode = 1;
}
