/** What memory there is. */
import { freemem } from 'node:os';

/** Memory that this process may still take, in bytes: containers' limits count where Node knows them. */
export function freeMemory(): number {
  const limit = process.constrainedMemory?.() ?? 0;
  const left = limit > 0 ? limit - process.memoryUsage.rss() : Infinity;
  return Math.max(0, Math.min(left, freemem()));
}
