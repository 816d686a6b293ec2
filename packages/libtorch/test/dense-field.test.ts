/** The dense field's kernels, on every instruction set this processor has, against the same op by op in float64, on fresh random input. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, suite, test } from 'node:test';
import * as t from '../src/index.js';
import { draw, normal, withSeed, type Draw } from './draw.js';

interface Case { label: string; shape: readonly [number, number, number]; rate: number; norm: 'batch' | 'instance'; variant: 'paper' | 'report' | 'all, normalised'; /** Of the 3×3's weights: 1 keeps the variance. */ scale?: number }

const dilations = [1, 2, 3];
const cases: Case[] = [
  { label: 'report, batch of 3', shape: [3, 12, 10], rate: 4, norm: 'instance', variant: 'report' },
  { label: 'report, odd sizes', shape: [1, 7, 13], rate: 10, norm: 'instance', variant: 'report' },
  { label: 'paper, batch norm', shape: [3, 9, 11], rate: 6, norm: 'batch', variant: 'paper' },
  { label: 'paper, instance norm', shape: [1, 11, 6], rate: 18, norm: 'instance', variant: 'paper' },
  { label: 'all features, normalised', shape: [2, 5, 5], rate: 2, norm: 'instance', variant: 'all, normalised' },
  { label: 'variances about as small as epsilon', shape: [2, 9, 9], rate: 4, norm: 'instance', variant: 'all, normalised', scale: 0.003 },
  { label: 'rows wider than a block', shape: [1, 3, 1301], rate: 2, norm: 'instance', variant: 'paper' },
];

interface Field { input: t.Tensor; convolutions: t.Tensor[]; norms: t.Tensor[]; trained: t.Tensor[] }

/** Everything a field needs in float64; biases only in the paper's. */
function drawField(random: Draw, { shape: [n, h, w], rate, norm, variant, scale = 1 }: Case): Field {
  const of = (shape: readonly number[], std: number, mean = 0) => t.toDtype(normal(random, shape, { std, mean }), 'float64');
  const width = 4 * rate, biased = variant === 'paper';
  const convolutions = dilations.flatMap((_, k) => [
    [of([width, width + k * rate, 1, 1], (width + k * rate) ** -0.5), of([width], 0.5)], [of([rate, width, 3, 3], scale * (9 * width) ** -0.5), of([rate], 0.5)],
  ].flatMap(([weight, bias]) => biased ? [weight, bias] : [weight]));
  const norms = norm === 'instance' ? [] : dilations.flatMap(() => [width, rate].flatMap((channels) => [of([channels], 0.2, 1), of([channels], 0.2), t.zeros([channels], { dtype: 'float64' }), t.full([channels], 1, { dtype: 'float64' })]));
  return { input: of([n, width, h, w], 2, 0.5), convolutions, norms, trained: [...convolutions, ...norms.filter((_, i) => i % 4 < 2)] };
}

/** The definition, from other ops; with the smallest distance of anything from LeakyReLU's kink. */
function definition({ input, convolutions, norms }: Field, { variant }: Case, training = true): { output: t.Tensor; clearance: number } {
  let clearance = Infinity;
  const leaky = (x: t.Tensor): t.Tensor => {
    clearance = Math.min(clearance, ...(t.toDtype(t.abs(x), 'float64').toArray() as Float64Array));
    return t.leakyRelu(x, 0.2);
  };
  const activate = (x: t.Tensor): t.Tensor => leaky(variant === 'paper' ? x : t.instanceNorm(x));
  const features = [activate(input)], each = convolutions.length / dilations.length;
  for (const [k, dilation] of dilations.entries()) {
    const own = convolutions.slice(k * each, (k + 1) * each), [w1, b1, w2, b2] = each === 4 ? own : [own[0], null, own[1], null];
    const norm = (x: t.Tensor, which: number) => norms.length === 0 ? t.instanceNorm(x) : t.batchNorm(x, ...(norms.slice(8 * k + 4 * which, 8 * k + 4 * which + 4) as [t.Tensor, t.Tensor, t.Tensor, t.Tensor]), training);
    const bottleneck = norm(t.conv2d(t.cat(features, 1), w1, b1), 0);
    const z = norm(t.conv2d(variant === 'paper' ? leaky(bottleneck) : bottleneck, w2, b2, { padding: [dilation, dilation], dilation: [dilation, dilation] }), 1);
    if (variant === 'report' && k === dilations.length - 1) return { output: leaky(z), clearance };
    features.push(activate(z));
  }
  return { output: t.cat(features, 1), clearance };
}

const fused = ({ input, convolutions, norms }: Field, { variant }: Case, training = true): t.Tensor =>
  t.denseField(input, convolutions, norms, dilations, { training, normaliseFeatures: variant !== 'paper', activateBottleneck: variant === 'paper', onlyLast: variant === 'report' });

/** The same values in another dtype, as leaves that are differentiated (running statistics are not). */
function leaves(field: Field, dtype: t.DType): Field {
  const made = new Map<t.Tensor, t.Tensor>();
  const leaf = (tensor: t.Tensor) => {
    const copy = tensor.shape.length === 4 ? t.channelsLast(t.clone(t.toDtype(tensor, dtype))) : t.clone(t.toDtype(tensor, dtype));
    made.set(tensor, tensor === field.input || field.trained.includes(tensor) ? copy.setRequiresGrad(true) : copy);
    return made.get(tensor)!;
  };
  return { input: leaf(field.input), convolutions: field.convolutions.map(leaf), norms: field.norms.map(leaf), trained: field.trained.map((tensor) => made.get(tensor)!) };
}

const numbers = (x: t.Tensor): Float64Array => t.toDtype(x, 'float64').toArray() as Float64Array;
const norm = (values: Float64Array): number => Math.sqrt(values.reduce((total, value) => total + value * value, 0));
const distance = (a: Float64Array, b: Float64Array): number => norm(a.map((value, i) => value - b[i]));

/** Output, running statistics, and gradients of Σ output · weights, in float64. */
function measure(field: Field, c: Case, run: (field: Field, c: Case) => t.Tensor, weights: t.Tensor): { forward: Float64Array[]; gradients: Float64Array[] } {
  const output = run(field, c), wanted = [field.input, ...field.trained];
  const found = t.gradients([output], wanted, { gradOutputs: [t.toDtype(weights, output.dtype)] });
  return { forward: [output, ...field.norms.filter((_, i) => i % 4 >= 2)].map(numbers), gradients: found.map((gradient, i) => gradient ? numbers(gradient) : new Float64Array(wanted[i].numel)) };
}

/** A field none of whose activations lies where rounding decides the side of the kink. */
function clearField(label: string, c: Case): Field {
  const random = draw(label);
  for (;;) {
    const field = drawField(random, c);
    if (t.noGrad(() => Math.min(definition(leaves(field, 'float64'), c).clearance, definition(leaves(field, 'float64'), c, false).clearance)) > 1e-5) return field;
  }
}

suite('dense field', () => {
  const threads = t.numThreads(), best = t.limitIsa('auto');
  const isas = (['avx2', 'avx512', 'avx512_bf16'] as const).filter((isa) => t.limitIsa(isa) === isa);
  t.limitIsa('auto');
  after(() => { t.setNumThreads(threads); t.limitIsa('auto'); });

  for (const c of cases) {
    test(`${c.label}: outputs, running statistics and gradients in float32`, { skip: best === 'none' && 'no kernels for this processor' }, () => t.scope(() => {
      const field = clearField(c.label, c), outputShape = fused(field, c).shape;
      const weights = normal(draw(`${c.label} weights`), outputShape);
      const right = measure(leaves(field, 'float64'), c, (f, kind) => definition(f, kind).output, weights);
      for (const isa of isas) for (const count of [1, 2]) {
        t.limitIsa(isa);
        t.setNumThreads(count);
        const { forward, gradients } = measure(leaves(field, 'float32'), c, fused, t.toDtype(weights, 'float32'));
        forward.forEach((values, i) => assert.ok(distance(values, right.forward[i]) <= 2e-5 * norm(right.forward[i]), withSeed(`${isa}: forward ${i} is off by ${distance(values, right.forward[i]) / norm(right.forward[i])}`)));
        const largest = Math.max(...right.gradients.map(norm));
        gradients.forEach((values, i) => assert.ok(distance(values, right.gradients[i]) <= 1e-4 * norm(right.gradients[i]) + 1e-7 * largest, withSeed(`${isa}: gradient ${i} is off by ${distance(values, right.gradients[i]) / norm(right.gradients[i])}`)));
      }
    }));
  }

  test("in bfloat16 it is as near to float64 as ATen's own bfloat16", { skip: !isas.includes('avx512_bf16') && 'no AVX512-BF16' }, () => t.scope(() => {
    // Rounding moves some values across LeakyReLU's kink, in either form: an absolute bound would be one on the number of kinks.
    for (const [c, rate] of [[cases[0], 8], [cases[2], 8], [cases[0], 32], [cases[3], 32]] as const) {
      const label = `${c.label}, rate ${rate}`, big: Case = { ...c, rate, shape: [2, 24, 20] };
      const field = drawField(draw(`${label} bf16`), big), weights = normal(draw(`${label} bf16 weights`), fused(field, big).shape);
      const right = measure(leaves(field, 'float64'), big, (f, kind) => definition(f, kind).output, weights);
      const mixed = (isa: t.Isa) => {
        t.limitIsa(isa);
        return t.autocast(() => measure(leaves(field, 'float32'), big, fused, t.toDtype(weights, 'float32')), { device: 'cpu', enabled: true, dtype: 'bfloat16' });
      };
      const aten = mixed('none');
      const angle = (values: Float64Array, i: number) => 1 - values.reduce((total, value, j) => total + value * right.gradients[i][j], 0) / norm(values) / norm(right.gradients[i]);
      const largest = Math.max(...right.gradients.map(norm));
      for (const isa of ['avx512_bf16', 'amx_emulated', 'amx_bf16'] as const) { // a processor without AMX takes AVX512-BF16 once more for the last
        const ours = mixed(isa);
        assert.ok(distance(ours.forward[0], right.forward[0]) <= 0.015 * norm(right.forward[0]), withSeed(`${label}, ${isa}: the output is off by ${distance(ours.forward[0], right.forward[0]) / norm(right.forward[0])}`));
        right.gradients.forEach((values, i) => {
          if (norm(values) <= 1e-6 * largest) return;
          assert.ok(angle(ours.gradients[i], i) <= 2 * angle(aten.gradients[i], i) + 2e-3, withSeed(`${label}, ${isa}: gradient ${i}: 1 − cosine is ${angle(ours.gradients[i], i)}, ATen's ${angle(aten.gradients[i], i)}`));
        });
      }
    }
  }));

  test('AMX, over emulated tiles, multiplies like AVX512-BF16: sums of the same products in another order', { skip: !isas.includes('avx512_bf16') && 'no AVX512-BF16' }, () => t.scope(() => {
    // Channels and widths that whole tiles cover, that leave a rest, and that are too few for one.
    for (const [rate, width] of [[32, 48], [24, 37], [20, 35], [16, 16], [6, 11]] as const) {
      const c: Case = { label: 'tiles', shape: [1, 6, width], rate, norm: 'instance', variant: 'paper' };
      const field = drawField(draw(`tiles ${rate}`), c), weights = normal(draw(`tiles ${rate} weights`), fused(field, c).shape);
      const [tiles, vectors] = (['amx_emulated', 'avx512_bf16'] as const).map((isa) => {
        assert.equal(t.limitIsa(isa), isa);
        return t.autocast(() => measure(leaves(field, 'float32'), c, fused, t.toDtype(weights, 'float32')), { device: 'cpu', enabled: true, dtype: 'bfloat16' });
      });
      // Roundings that fall the other way move some values across the kink, a few per cent in all; a sixteenth of the products left out would be a quarter.
      [...tiles.forward, ...tiles.gradients].forEach((values, i) => {
        const other = [...vectors.forward, ...vectors.gradients][i];
        assert.ok(distance(values, other) <= 0.12 * norm(other) + 1e-6, withSeed(`rate ${rate}: ${i} is off by ${distance(values, other) / norm(other)}`));
      });
    }
  }));

  test('evaluation uses the running statistics, and differentiates through them', { skip: best === 'none' && 'no kernels for this processor' }, () => t.scope(() => {
    t.limitIsa('auto');
    const c = cases[2], field = clearField('evaluation', c), weights = normal(draw('evaluation weights'), fused(field, c).shape);
    const right = measure(leaves(field, 'float64'), c, (f, kind) => definition(f, kind, false).output, weights);
    const { forward, gradients } = measure(leaves(field, 'float32'), c, (f, kind) => fused(f, kind, false), t.toDtype(weights, 'float32'));
    forward.forEach((values, i) => assert.ok(distance(values, right.forward[i]) <= 2e-5 * norm(right.forward[i]), withSeed(`forward ${i}`)));
    gradients.forEach((values, i) => assert.ok(distance(values, right.gradients[i]) <= 1e-4 * norm(right.gradients[i]), withSeed(`gradient ${i} is off by ${distance(values, right.gradients[i]) / norm(right.gradients[i])}`)));
  }));

  test('the gradient of a gradient is that of the op-by-op form', { skip: best === 'none' && 'no kernels for this processor' }, () => t.scope(() => {
    t.limitIsa('auto');
    for (const c of [cases[0], cases[2]]) {
      const field = clearField(`${c.label} twice`, c), weights = normal(draw(`${c.label} twice weights`), fused(field, c).shape);
      const penalty = (made: Field, run: (field: Field) => t.Tensor): Float64Array[] => {
        const [first] = t.gradients([run(made)], [made.input], { gradOutputs: [t.toDtype(weights, made.input.dtype)], createGraph: true });
        return t.gradients([t.sum(t.square(first!))], [made.input, ...made.trained]).map((gradient, i) => gradient ? numbers(gradient) : new Float64Array([made.input, ...made.trained][i].numel));
      };
      const right = penalty(leaves(field, 'float64'), (made) => definition(made, c).output), actual = penalty(leaves(field, 'float32'), (made) => fused(made, c));
      const largest = Math.max(...right.map(norm));
      actual.forEach((values, i) => assert.ok(distance(values, right[i]) <= 1e-3 * norm(right[i]) + 1e-6 * largest, withSeed(`${c.label}: second gradient ${i} is off by ${distance(values, right[i]) / norm(right[i])}`)));
    }
  }));

  test('wrong arguments are named', () => t.scope(() => {
    const x = t.zeros([1, 4, 4, 4]), options = { training: true, normaliseFeatures: false, activateBottleneck: false, onlyLast: false };
    assert.throws(() => t.denseField(x, [t.zeros([4, 5, 1, 1]), t.zeros([2, 4, 3, 3])], [], [1], options), /layer 0: the 1x1 reads 4 channels/);
    assert.throws(() => t.denseField(x, [t.zeros([4, 4, 1, 1])], [], [1], options), /2 or 4 convolution tensors/);
    assert.throws(() => t.limitIsa('sse9' as t.Isa), /expected an instruction set/);
  }));

  test('UNSHAKE_ISA limits a process, and a wrong one is named', () => {
    const child = (isa: string) => spawnSync(process.execPath, ['--input-type=module', '-e', `import { version } from '${new URL('../src/index.js', import.meta.url)}'; console.log(version().isa)`], { env: { ...process.env, UNSHAKE_ISA: isa }, encoding: 'utf8' });
    assert.equal(child('none').stdout.trim(), 'none');
    assert.match(child('sse9').stderr, /UNSHAKE_ISA: expected auto, none, avx2, avx512, avx512_bf16, amx_bf16, amx_emulated, received sse9/);
  });
});
