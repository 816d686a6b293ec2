/** What groups of processes can be built with here: asks the compiler and the linker, since neither headers nor a version say it surely. */
import { execFile } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Libtorch } from '../src/find-libtorch.js';
import type { GroupBackend } from '../src/native.js';

/** Flags for distributed_group.cc and what it will offer; neither without Gloo. */
export interface Distributed { flags: string[]; backends: GroupBackend[] }

const needs: Record<GroupBackend, { headers: string[]; symbol: string; library: string; define: string }> = {
  // c10d's Gloo header includes <gloo/…>, which Debian keeps in a package of its own and Python's torch does not bring.
  gloo: { headers: ['gloo/algorithm.h', 'torch/csrc/distributed/c10d/ProcessGroupGloo.hpp'], symbol: '_ZTVN4c10d16ProcessGroupGlooE', library: 'torch_cpu', define: '-DUSE_C10D_GLOO' },
  nccl: { headers: ['nccl.h', 'cuda_runtime_api.h', 'torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp'], symbol: '_ZTVN4c10d16ProcessGroupNCCLE', library: 'torch_cuda', define: '-DUSE_C10D_NCCL' },
};

/** `flags` are those of the compilation, `scratch` a folder for the probes. */
export async function probeDistributed(compiler: string, flags: readonly string[], libtorch: Libtorch, scratch: string): Promise<Distributed> {
  const cuda = [process.env.CUDA_HOME, process.env.CUDA_PATH, '/usr/local/cuda'].flatMap((folder) => folder && existsSync(join(folder, 'include')) ? [`-isystem${join(folder, 'include')}`] : []);
  const fits = async (backend: GroupBackend): Promise<boolean> => {
    const { headers, symbol, library } = needs[backend];
    const source = join(scratch, `probe-${backend}.cc`), program = join(scratch, `probe-${backend}`);
    writeFileSync(source, `${headers.map((header) => `#if !__has_include(<${header}>)\n#error missing ${header}\n#endif\n`).join('')}extern "C" char ${symbol}[];\nint main() { return ${symbol}[0]; }\n`);
    try {
      await promisify(execFile)(compiler, [...flags, ...(backend === 'nccl' ? cuda : []), source, '-o', program, `-L${libtorch.library}`, `-Wl,-rpath-link,${libtorch.library}`, `-l${library}`, '-lc10']);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw error; // no compiler: not a matter of headers
      return false;
    } finally {
      for (const path of [source, program]) rmSync(path, { force: true });
    }
  };
  if (!(await fits('gloo'))) return { flags: [], backends: [] };
  if (!libtorch.cuda || !(await fits('nccl'))) return { flags: [needs.gloo.define], backends: ['gloo'] };
  return { flags: [needs.gloo.define, needs.nccl.define, ...cuda], backends: ['gloo', 'nccl'] };
}
