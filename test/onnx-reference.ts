/**
 * Plain float64 definitions of the ops that the exporter knows, as libtorch defines them, and a recorder that runs a network on them
 * and notes what ran. Written for reading, not for speed.
 */
import { hashText, randomAt } from '../src/random.js';

export interface Tensor { shape: number[]; data: Float64Array }

export function tensor(shape: number[], at: (index: number[]) => number): Tensor {
  const data = new Float64Array(shape.reduce((a, b) => a * b, 1)), index = shape.map(() => 0);
  for (let k = 0; k < data.length; k++) {
    data[k] = at(index);
    for (let d = shape.length - 1; d >= 0 && ++index[d] === shape[d]; d--) index[d] = 0;
  }
  return { shape, data };
}

/** Random float32 numbers in [low, high). */
export function randomTensor(shape: number[], name: string, low = -1, high = 1): Tensor {
  const random = randomAt(hashText(name), ...shape);
  return tensor(shape, () => Math.fround(random.between(low, high)));
}

const at = ({ shape, data }: Tensor, index: number[]): number => data[shape.reduce((offset, size, d) => offset * size + index[d], 0)];

/** One pixel; `outside` beyond the border. */
function pixel(x: Tensor, [n, c, h, w]: number[], outside = 0): number {
  return h < 0 || w < 0 || h >= x.shape[2] || w >= x.shape[3] ? outside : at(x, [n, c, h, w]);
}

// The arguments of an op as the recorder hands them over: tensors, numbers, lists, flags.
type Args = Record<string, Tensor | Tensor[] | number | number[] | boolean | string | null | undefined>;
const t = (args: Args, name = 'input'): Tensor => args[name] as Tensor;
const optional = (args: Args, name: string): Tensor | undefined => (args[name] ?? undefined) as Tensor | undefined;
const number = (args: Args, name: string): number => args[name] as number;
const numbers = (args: Args, name: string): number[] => args[name] as number[];

type Op = (args: Args) => Tensor | Tensor[];

const map = (f: (value: number, args: Args) => number): Op => (args) => tensor(t(args).shape, (i) => f(at(t(args), i), args));

const combine = (f: (a: number, b: number) => number): Op => (args) => {
  const a = t(args), b = t(args, 'other'), rank = Math.max(a.shape.length, b.shape.length);
  const size = (x: Tensor, d: number): number => x.shape[d - rank + x.shape.length] ?? 1;
  const shape = Array.from({ length: rank }, (_, d) => Math.max(size(a, d), size(b, d)));
  const pick = (x: Tensor, index: number[]): number => at(x, x.shape.map((n, d) => (n === 1 ? 0 : index[d + rank - x.shape.length])));
  return tensor(shape, (i) => f(pick(a, i), pick(b, i)));
};

function erf(x: number): number {
  // Series for small, continued fraction for large arguments: full double precision.
  if (Math.abs(x) < 3) {
    let sum = x, term = x;
    for (let n = 1; n < 100; n++) { term *= -x * x / n; sum += term / (2 * n + 1); }
    return 2 / Math.sqrt(Math.PI) * sum;
  }
  let fraction = 0;
  for (let n = 60; n > 0; n--) fraction = n / 2 / (Math.abs(x) + fraction);
  return Math.sign(x) * (1 - Math.exp(-x * x) / Math.sqrt(Math.PI) / (Math.abs(x) + fraction));
}

function conv2d(args: Args): Tensor {
  const x = t(args), weight = t(args, 'weight'), bias = optional(args, 'bias'), groups = number(args, 'groups');
  const [outputs, inputs, kh, kw] = weight.shape, [sh, sw] = numbers(args, 'stride'), [ph, pw] = numbers(args, 'padding'), [dh, dw] = numbers(args, 'dilation');
  const size = (n: number, k: number, s: number, p: number, d: number): number => Math.floor((n + 2 * p - d * (k - 1) - 1) / s) + 1;
  return tensor([x.shape[0], outputs, size(x.shape[2], kh, sh, ph, dh), size(x.shape[3], kw, sw, pw, dw)], ([n, o, h, w]) => {
    let sum = bias ? at(bias, [o]) : 0;
    for (let i = 0; i < inputs; i++) for (let a = 0; a < kh; a++) for (let b = 0; b < kw; b++) {
      sum += at(weight, [o, i, a, b]) * pixel(x, [n, Math.floor(o / (outputs / groups)) * inputs + i, h * sh - ph + a * dh, w * sw - pw + b * dw]);
    }
    return sum;
  });
}

function convTranspose2d(args: Args): Tensor {
  const x = t(args), weight = t(args, 'weight'), bias = optional(args, 'bias'), groups = number(args, 'groups');
  const [inputs, outputs, kh, kw] = weight.shape, [sh, sw] = numbers(args, 'stride'), [ph, pw] = numbers(args, 'padding');
  const [oh, ow] = numbers(args, 'outputPadding'), [dh, dw] = numbers(args, 'dilation');
  const size = (n: number, k: number, s: number, p: number, d: number, o: number): number => (n - 1) * s - 2 * p + d * (k - 1) + o + 1;
  return tensor([x.shape[0], outputs * groups, size(x.shape[2], kh, sh, ph, dh, oh), size(x.shape[3], kw, sw, pw, dw, ow)], ([n, o, h, w]) => {
    let sum = bias ? at(bias, [o]) : 0;
    const group = Math.floor(o / outputs), perGroup = inputs / groups;
    for (let i = 0; i < perGroup; i++) for (let a = 0; a < kh; a++) for (let b = 0; b < kw; b++) {
      const y = (h + ph - a * dh) / sh, z = (w + pw - b * dw) / sw;
      if (Number.isInteger(y) && Number.isInteger(z)) sum += at(weight, [group * perGroup + i, o % outputs, a, b]) * pixel(x, [n, group * perGroup + i, y, z]);
    }
    return sum;
  });
}

function reduce(args: Args, mean: boolean): Tensor {
  const x = t(args), asked = numbers(args, 'dims'), dims = asked.length ? asked.map((d) => (d + x.shape.length) % x.shape.length) : x.shape.map((_, d) => d);
  const kept = x.shape.map((n, d) => (dims.includes(d) ? 1 : n)), count = dims.reduce((n, d) => n * x.shape[d], 1);
  const total = tensor(kept, () => 0);
  tensor(x.shape, (i) => (total.data[kept.reduce((o, n, d) => o * n + (n === 1 ? 0 : i[d]), 0)] += at(x, i) / (mean ? count : 1)));
  return args.keepDim ? total : { shape: kept.filter((_, d) => !dims.includes(d)), data: total.data };
}

/** (x − mean) / √(biased variance + eps) over `dims`, then weight and bias by channel. */
function normalize(args: Args, dims: number[]): Tensor {
  const x = t(args), mean = reduce({ input: x, dims, keepDim: true }, true);
  const squares = tensor(x.shape, (i) => (at(x, i) - at(mean, i.map((v, d) => (dims.includes(d) ? 0 : v)))) ** 2);
  const variance = reduce({ input: squares, dims, keepDim: true }, true), weight = optional(args, 'weight'), bias = optional(args, 'bias');
  return tensor(x.shape, (i) => {
    const j = i.map((v, d) => (dims.includes(d) ? 0 : v));
    return (at(x, i) - at(mean, j)) / Math.sqrt(at(variance, j) + number(args, 'eps')) * (weight?.data[i[1]] ?? 1) + (bias?.data[i[1]] ?? 0);
  });
}

function pool(args: Args, gather: (values: number[]) => number, outside: number): Tensor {
  const x = t(args), [kh, kw] = numbers(args, 'kernel'), [sh, sw] = numbers(args, 'stride'), [ph, pw] = numbers(args, 'padding');
  return tensor([x.shape[0], x.shape[1], Math.floor((x.shape[2] + 2 * ph - kh) / sh) + 1, Math.floor((x.shape[3] + 2 * pw - kw) / sw) + 1], ([n, c, h, w]) =>
    gather(Array.from({ length: kh * kw }, (_, k) => pixel(x, [n, c, h * sh - ph + Math.floor(k / kw), w * sw - pw + k % kw], outside))));
}

const pad = (from: (i: number, n: number) => number): Op => (args) => {
  const x = t(args), [left, right, top, bottom] = numbers(args, 'padding'), [n, c, height, width] = x.shape;
  return tensor([n, c, height + top + bottom, width + left + right], ([b, k, h, w]) => pixel(x, [b, k, from(h - top, height), from(w - left, width)]));
};

function upsampleBilinear2d(args: Args): Tensor {
  const x = t(args), s = number(args, 'scale'), [n, c, height, width] = x.shape;
  const place = (i: number, size: number): [number, number, number] => {
    const from = Math.max((i + 0.5) / s - 0.5, 0), low = Math.floor(from);
    return [low, Math.min(low + 1, size - 1), from - low];
  };
  return tensor([n, c, height * s, width * s], ([b, k, h, w]) => {
    const [h0, h1, v] = place(h, height), [w0, w1, u] = place(w, width);
    const row = (y: number): number => at(x, [b, k, y, w0]) * (1 - u) + at(x, [b, k, y, w1]) * u;
    return row(h0) * (1 - v) + row(h1) * v;
  });
}

function matmul(args: Args): Tensor {
  const a = t(args), b = t(args, 'other'), rank = Math.max(a.shape.length, b.shape.length), inner = a.shape.at(-1)!;
  const size = (x: Tensor, d: number): number => x.shape[d - rank + x.shape.length] ?? 1;
  const shape = [...Array.from({ length: rank - 2 }, (_, d) => Math.max(size(a, d), size(b, d))), a.shape.at(-2)!, b.shape.at(-1)!];
  const pick = (x: Tensor, index: number[], row: number, column: number): number =>
    at(x, [...x.shape.slice(0, -2).map((n, d) => (n === 1 ? 0 : index[d + rank - x.shape.length])), row, column]);
  return tensor(shape, (i) => {
    let sum = 0;
    for (let k = 0; k < inner; k++) sum += pick(a, i, i[rank - 2], k) * pick(b, i, k, i[rank - 1]);
    return sum;
  });
}

const leaky = (x: number, slope: number): number => (x >= 0 ? x : slope * x);
const sliced = (x: Tensor, dim: number, start: number, length: number): Tensor =>
  tensor(x.shape.map((n, d) => (d === dim ? length : n)), (i) => at(x, i.map((v, d) => (d === dim ? v + start : v))));

export const reference: Record<string, Op> = {
  conv2d, convTranspose2d, matmul, upsampleBilinear2d,
  leakyRelu: map((x, args) => leaky(x, number(args, 'negativeSlope'))),
  relu: map((x) => Math.max(x, 0)),
  prelu: (args) => tensor(t(args).shape, (i) => leaky(at(t(args), i), t(args, 'weight').data[t(args, 'weight').shape[0] === 1 ? 0 : i[1]])),
  tanh: map(Math.tanh), exp: map(Math.exp), log: map(Math.log), sqrt: map(Math.sqrt), abs: map(Math.abs),
  sigmoid: map((x) => 1 / (1 + Math.exp(-x))),
  silu: map((x) => x / (1 + Math.exp(-x))),
  gelu: map((x) => x / 2 * (1 + erf(x / Math.SQRT2))),
  softplus: map((x) => Math.log1p(Math.exp(x))),
  neg: map((x) => -x), rsqrt: map((x) => 1 / Math.sqrt(x)), square: map((x) => x * x),
  add: combine((a, b) => a + b), sub: combine((a, b) => a - b), mul: combine((a, b) => a * b), div: combine((a, b) => a / b), maximum: combine(Math.max),
  addScalar: map((x, args) => x + number(args, 'value')),
  mulScalar: map((x, args) => x * number(args, 'value')),
  powScalar: map((x, args) => x ** number(args, 'exponent')),
  clamp: map((x, args) => Math.min(Math.max(x, (args.min as number | null) ?? -Infinity), (args.max as number | null) ?? Infinity)),
  cat: (args) => {
    const parts = args.tensors as Tensor[], dim = (number(args, 'dim') + parts[0].shape.length) % parts[0].shape.length;
    const ends = parts.map((_, k) => parts.slice(0, k + 1).reduce((sum, p) => sum + p.shape[dim], 0));
    return tensor(parts[0].shape.map((n, d) => (d === dim ? ends.at(-1)! : n)), (i) => {
      const k = ends.findIndex((end) => i[dim] < end);
      return at(parts[k], i.map((v, d) => (d === dim ? v - (ends[k - 1] ?? 0) : v)));
    });
  },
  narrow: (args) => sliced(t(args), number(args, 'dim'), (number(args, 'start') + t(args).shape[number(args, 'dim')]) % t(args).shape[number(args, 'dim')], number(args, 'length')),
  chunk: (args) => {
    const x = t(args), dim = number(args, 'dim'), each = Math.ceil(x.shape[dim] / number(args, 'chunks'));
    return Array.from({ length: Math.ceil(x.shape[dim] / each) }, (_, k) => sliced(x, dim, k * each, Math.min(each, x.shape[dim] - k * each)));
  },
  flip: (args) => tensor(t(args).shape, (i) => at(t(args), i.map((v, d) => (numbers(args, 'dims').includes(d) ? t(args).shape[d] - 1 - v : v)))),
  permute: (args) => {
    const dims = numbers(args, 'dims');
    return tensor(dims.map((d) => t(args).shape[d]), (i) => at(t(args), dims.map((_, d) => i[dims.indexOf(d)])));
  },
  reshape: (args) => {
    const shape = numbers(args, 'shape'), known = shape.filter((n) => n !== -1).reduce((a, b) => a * b, 1);
    return { shape: shape.map((n) => (n === -1 ? t(args).data.length / known : n)), data: t(args).data };
  },
  linear: (args) => tensor([...t(args).shape.slice(0, -1), t(args, 'weight').shape[0]], (i) =>
    t(args, 'weight').shape[1] === 0 ? 0 : Array.from({ length: t(args, 'weight').shape[1] }, (_, k) => at(t(args), [...i.slice(0, -1), k]) * at(t(args, 'weight'), [i.at(-1)!, k]))
      .reduce((a, b) => a + b, optional(args, 'bias')?.data[i.at(-1)!] ?? 0)),
  mean: (args) => reduce(args, true), sum: (args) => reduce(args, false),
  instanceNorm: (args) => normalize(args, [2, 3]),
  instanceNormLeakyRelu: (args) => { const y = normalize(args, [2, 3]); return tensor(y.shape, (i) => leaky(at(y, i), number(args, 'negativeSlope'))); },
  layerNorm2d: (args) => normalize(args, [1]),
  batchNorm: (args) => tensor(t(args).shape, (i) => (at(t(args), i) - t(args, 'runningMean').data[i[1]]) / Math.sqrt(t(args, 'runningVar').data[i[1]] + number(args, 'eps'))
    * (optional(args, 'weight')?.data[i[1]] ?? 1) + (optional(args, 'bias')?.data[i[1]] ?? 0)),
  avgPool2d: (args) => pool(args, (values) => values.reduce((a, b) => a + b) / values.length, 0),
  localMean2d: (args) => {
    const [, , h, w] = t(args).shape, [kh, kw] = [h, w].map((size) => Math.min(size, number(args, 'window')));
    const first = (i: number, size: number, count: number): number => Math.min(Math.max(i - Math.floor((count - 1) / 2), 0), size - count);
    return tensor(t(args).shape, ([b, c, y, x]) => {
      let sum = 0;
      for (let v = first(y, h, kh), rows = 0; rows < kh; v++, rows++) for (let u = first(x, w, kw), columns = 0; columns < kw; u++, columns++) sum += at(t(args), [b, c, v, u]);
      return sum / (kh * kw);
    });
  },
  maxPool2d: (args) => pool(args, (values) => Math.max(...values), -Infinity),
  upsampleNearest2d: (args) => {
    const [n, c, h, w] = t(args).shape, s = number(args, 'scale');
    return tensor([n, c, h * s, w * s], (i) => at(t(args), [i[0], i[1], Math.floor(i[2] / s), Math.floor(i[3] / s)]));
  },
  zeroPad2d: pad((i) => i),
  reflectionPad2d: pad((i, n) => (i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i)),
  replicationPad2d: pad((i, n) => Math.min(Math.max(i, 0), n - 1)),
  pixelShuffle: (args) => {
    const [n, c, h, w] = t(args).shape, r = number(args, 'factor');
    return tensor([n, c / r / r, h * r, w * r], ([b, k, y, x]) => at(t(args), [b, k * r * r + (y % r) * r + (x % r), Math.floor(y / r), Math.floor(x / r)]));
  },
  pixelUnshuffle: (args) => {
    const [n, c, h, w] = t(args).shape, r = number(args, 'factor');
    return tensor([n, c * r * r, h / r, w / r], ([b, k, y, x]) => at(t(args), [b, Math.floor(k / r / r), y * r + Math.floor(k % (r * r) / r), x * r + k % r]));
  },
  detach: t, contiguous: t, clone: t, toDtype: t, dropout: t,
};
