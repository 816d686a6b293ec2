/** Which arithmetic a run uses, and why. */
import { execFileSync } from 'node:child_process';
import { toDtype, version, type AutocastOptions, type Device, type Tensor } from '@unshake/libtorch';
import { ConfigError } from './errors.js';

export type Precision = 'fp32' | 'bf16' | 'fp16';

/** The first GPU's compute capability, or null without a driver. */
function computeCapability(): number | null {
  try {
    return Number(execFileSync('nvidia-smi', ['--query-gpu=compute_cap', '--format=csv,noheader'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).split('\n')[0]);
  } catch {
    return null;
  }
}

/**
 * `auto` takes bf16 where the hardware multiplies in it (CPU: AMX or AVX512-BF16, unless UNSHAKE_ISA says less; twice to five times faster in
 * convolutions; CUDA: compute capability 8 and up), else fp32 on CPU and fp16 on CUDA. Throws ConfigError for fp16 on CPU, which has no kernels there.
 */
export function choosePrecision(wanted: Precision | 'auto', device: Device): Precision {
  if (wanted === 'fp16' && device === 'cpu') throw new ConfigError('precision: fp16 has no CPU kernels; use bf16, fp32 or auto');
  if (wanted !== 'auto') return wanted;
  if (device === 'cpu') return ['avx512_bf16', 'amx_bf16', 'amx_emulated'].includes(version().isa) ? 'bf16' : 'fp32';
  return (computeCapability() ?? 0) >= 8 ? 'bf16' : 'fp16';
}

/** How autocast does it. */
export function autocastOptions(precision: Precision, device: Device): AutocastOptions {
  return { device, enabled: precision !== 'fp32', dtype: precision === 'fp16' ? 'float16' : 'bfloat16' };
}

/** Out of mixed precision: float32, where it isn't float64. */
export const inFloat = (x: Tensor): Tensor => x.dtype === 'float64' ? x : toDtype(x, 'float32');
