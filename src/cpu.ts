/** What the processor can do. */
import { readFileSync } from 'node:fs';

/** Instruction set flags as Linux names them (avx2, avx512_bf16, amx_bf16, …); empty where there is no /proc/cpuinfo. */
export function cpuFlags(): string[] {
  try {
    return /^(?:flags|Features)\s*:\s*(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1].split(' ') ?? [];
  } catch {
    return [];
  }
}
