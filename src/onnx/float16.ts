/** IEEE 754 half precision, for constants that shall take half the space. */

/** The largest finite half-precision number. */
export const maxFloat16 = 65504;

const single = new Float32Array(1), bits = new Uint32Array(single.buffer);

/** The bits of the nearest half-precision number, ties to even; too large becomes infinity, too small zero. */
export function toFloat16(value: number): number {
  single[0] = value;
  const sign = (bits[0] >>> 16) & 0x8000, exponent = ((bits[0] >>> 23) & 0xff) - 127, mantissa = bits[0] & 0x7fffff;
  if (exponent === 128) return sign | 0x7c00 | (mantissa === 0 ? 0 : 0x200);
  if (exponent < -25) return sign;
  // Normal numbers keep 10 of 23 mantissa bits; below 2^-14 one fewer for each power of two, the leading one becoming explicit.
  const normal = exponent >= -14, dropped = normal ? 13 : -1 - exponent;
  const whole = normal ? ((exponent + 15) << 23) | mantissa : 0x800000 | mantissa;
  const kept = whole >>> dropped, rest = whole & ((1 << dropped) - 1), half = 1 << (dropped - 1);
  const rounded = rest > half || (rest === half && (kept & 1) === 1) ? kept + 1 : kept;
  return sign | Math.min(rounded, 0x7c00); // a carry out of the mantissa is the next exponent, which is right
}

/** The number that these bits stand for. */
export function fromFloat16(half: number): number {
  const sign = half & 0x8000 ? -1 : 1, exponent = (half >>> 10) & 0x1f, mantissa = half & 0x3ff;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 31) return mantissa === 0 ? sign * Infinity : NaN;
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}
