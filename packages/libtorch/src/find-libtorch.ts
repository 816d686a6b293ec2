/** Where libtorch lies: UNSHAKE_LIBTORCH (an unpacked libtorch, or the `torch` folder of a Python install), else the system. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Libtorch {
  version: string;
  includes: string[];
  /** Folder of libtorch.so. */
  library: string;
  cuda: boolean;
  cxx11Abi: boolean;
}

/** One sentence for every place that misses libtorch. */
export const howToGetLibtorch = 'To train: apt-get install libtorch-dev libopenblas0-pthread g++ (Debian), or set UNSHAKE_LIBTORCH to an unpacked libtorch '
  + "or a Python install's torch folder; then npm run build.";

function versionIn(include: string): string | null {
  // Since 2.9 the numbers stand in headeronly, and the old header only includes it.
  for (const header of ['torch/headeronly/version.h', 'torch/csrc/api/include/torch/version.h', 'torch/version.h'].map((path) => join(include, path)).filter(existsSync)) {
    const version = /#define TORCH_VERSION\s+\\?\s*"([^"]+)"/.exec(readFileSync(header, 'utf8'))?.[1];
    if (version) return version;
  }
  return null;
}

function cxx11AbiIn(folder: string): boolean {
  // libtorch's CMake file records the ABI it was built with; since 2.7 there is only the new one.
  const cmake = join(folder, 'share/cmake/Torch/TorchConfig.cmake');
  return !(existsSync(cmake) && /_GLIBCXX_USE_CXX11_ABI=0/.test(readFileSync(cmake, 'utf8')));
}

/** The libtorch to build against, or null. A wrong UNSHAKE_LIBTORCH is an error, not a silent fallback. */
export function findLibtorch(environment: NodeJS.ProcessEnv = process.env): Libtorch | null {
  const folder = environment.UNSHAKE_LIBTORCH;
  if (folder) {
    const include = join(folder, 'include'), library = join(folder, 'lib');
    const version = versionIn(include);
    if (!version || !existsSync(join(library, 'libtorch.so'))) {
      throw new Error(`UNSHAKE_LIBTORCH=${folder}: expected include/torch and lib/libtorch.so there; point it at an unpacked libtorch or a Python install's torch folder`);
    }
    return { version, library, includes: [include, join(include, 'torch/csrc/api/include')], cuda: existsSync(join(library, 'libtorch_cuda.so')), cxx11Abi: cxx11AbiIn(folder) };
  }
  const version = versionIn('/usr/include');
  const library = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib64', '/usr/lib'].find((path) => existsSync(join(path, 'libtorch.so')));
  if (!version || !library) return null;
  return { version, library, includes: ['/usr/include/torch/csrc/api/include'], cuda: existsSync(join(library, 'libtorch_cuda.so')), cxx11Abi: true };
}
