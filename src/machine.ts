/** On what a run was made: noted in its folder, printed in the report. */
import { execFileSync } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { cpuFlags } from './cpu.js';
import { packageRoot } from './paths.js';
import { version } from './version.js';

export interface Machine {
  cpu: string;
  /** Hardware threads that this process may use. */
  threads: number;
  memoryGiB: number;
  /** Instructions for bf16, on which training speed depends. */
  bf16: string[];
  platform: string;
  node: string;
  unshake: string;
  /** Of this project's checkout, with `+` when files differ from it; null in an installed package. */
  commit: string | null;
}

function git(...args: string[]): string {
  return execFileSync('git', args, { cwd: fileURLToPath(packageRoot), encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
}

function commitOfCheckout(): string | null {
  try {
    if (realpathSync(git('rev-parse', '--show-toplevel')) !== realpathSync(fileURLToPath(packageRoot))) return null; // somebody else's repository around us
    return git('rev-parse', '--short=10', 'HEAD') + (git('status', '--porcelain', '--untracked-files=no') === '' ? '' : '+');
  } catch {
    return null; // no git, or no checkout
  }
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown', threads: availableParallelism(), memoryGiB: Math.round(totalmem() / 2 ** 30),
    bf16: cpuFlags().filter((flag) => flag === 'amx_bf16' || flag === 'avx512_bf16'),
    platform: `${process.platform} ${process.arch}`, node: process.versions.node, unshake: version, commit: commitOfCheckout(),
  };
}

/** In a few words. */
export function machineText({ cpu, threads, memoryGiB, bf16, platform, node, unshake, commit }: Machine): string {
  return `${cpu}, ${threads} threads, ${memoryGiB} GiB, ${bf16.length > 0 ? bf16.join(' ') : 'no bf16 instructions'}, ${platform}, Node ${node}, unshake ${unshake}${commit ? ` at ${commit}` : ''}`;
}
