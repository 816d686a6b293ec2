/**
 * Seeded random numbers without state to save: a generator is made from a seed and a position (`seed`, `step`, `index`, …),
 * so that resuming a run at step n draws what the uninterrupted run drew at step n.
 *
 * Generator: sfc32 (PractRand-tested, public domain, Chris Doty-Humphrey); seeding: the 32-bit finaliser of MurmurHash3.
 */
export interface Random {
  /** Uniform in [0, 1), 32 bits of it. */
  uniform(): number;
  /** Uniform in [low, high). */
  between(low: number, high: number): number;
  /** Uniform integer in [0, n). */
  integer(n: number): number;
  /** Standard normal, by Box and Muller. */
  normal(): number;
  /** One of `items`. */
  pick<T>(items: readonly T[]): T;
}

function mix(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** A generator for this position. Any number of non-negative integers below 2^53; each one changes the whole sequence. */
export function randomAt(...position: number[]): Random {
  let h = 0x9e3779b9;
  for (const value of position) {
    h = mix(h ^ (value >>> 0));
    h = mix((h + 0x6d2b79f5) ^ Math.floor(value / 2 ** 32));
  }
  let a = mix(h + 1), b = mix(h + 2), c = mix(h + 3), counter = 1;
  const next = (): number => {
    const t = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11));
    c = (c + t) | 0;
    return t >>> 0;
  };
  for (let i = 0; i < 12; i++) next();
  const uniform = (): number => next() / 2 ** 32;
  return {
    uniform,
    between: (low, high) => low + (high - low) * uniform(),
    integer: (n) => Math.floor(uniform() * n),
    normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
    pick: (items) => items[Math.floor(uniform() * items.length)],
  };
}

/** A whole-number hash of a text, to seed from names (FNV-1a, 32 bits). */
export function hashText(text: string): number {
  let h = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) h = Math.imul(h ^ byte, 0x01000193);
  return mix(h >>> 0);
}
