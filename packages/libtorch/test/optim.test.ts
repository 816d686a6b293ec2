/** The optimizers walk as PyTorch's do; saved and loaded, they walk on; clipping, loss scaling, moving averages. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, suite, test } from 'node:test';
import * as t from '../src/index.js';
import { draw, normal } from './draw.js';

interface Fixture {
  torch: string;
  shapes: number[][];
  start: number[][];
  gradients: (number[] | null)[][];
  cases: { name: string; options: Record<string, number & boolean & [number, number]>; trajectory: number[][][] }[];
}
const fixture = JSON.parse(readFileSync(new URL('../../test/fixtures/optim.json', import.meta.url), 'utf8')) as Fixture;

const parameters = (): t.Tensor[] => fixture.start.map((values, i) => t.parameter(() => t.tensor(Float64Array.from(values), fixture.shapes[i])));

function make(name: string, over: t.Tensor[], { lr, betas, eps, weight_decay: weightDecay, momentum, nesterov, alpha }: Fixture['cases'][0]['options']): t.Optimizer {
  switch (name.split(',')[0]) {
    case 'Adam': return t.Adam(over, { lr, betas, eps, weightDecay });
    case 'AdamW': return t.AdamW(over, { lr, betas, eps, weightDecay });
    case 'SGD': return t.SGD(over, { lr, momentum, nesterov, weightDecay });
    default: return t.RMSprop(over, { lr, alpha, eps });
  }
}

function setGradients(over: readonly t.Tensor[], step: number): void {
  fixture.gradients[step].forEach((values, i) => { over[i].grad = values && t.tensor(Float64Array.from(values), fixture.shapes[i]); });
}

const values = (over: readonly t.Tensor[]): number[][] => over.map((tensor) => Array.from(tensor.toArray(), Number));
const ones = (size: number, value = 1): t.Tensor => t.tensor(new Float32Array(size).fill(value));

let start = t.memory();
beforeEach(() => { start = t.memory(); });
afterEach(() => assert.deepEqual(t.memory(), start));

suite(`trajectories of PyTorch ${fixture.torch}`, () => {
  for (const { name, options, trajectory } of fixture.cases) {
    test(name, () => t.scope(() => {
      const over = parameters(), optimizer = make(name, over, options);
      trajectory.forEach((expected, step) => {
        if (step === 5) optimizer.lr *= 0.1;
        setGradients(over, step);
        optimizer.step();
        values(over).forEach((row, i) => row.forEach((value, j) => {
          assert.ok(Math.abs(value - expected[i][j]) <= 1e-12 * Math.max(1, Math.abs(expected[i][j])), `step ${step}, parameter ${i}, element ${j}: ${value}, PyTorch has ${expected[i][j]}`);
        }));
      });
      optimizer.zeroGrad();
      assert.ok(over.every((parameter) => parameter.grad === null));
      optimizer.release();
      for (const parameter of over) parameter.release();
    }));
  }
});

test('RMSprop adds weight decay to the gradient, as PyTorch does', () => t.scope(() => {
  const decayed = parameters(), byHand = parameters(), weightDecay = 0.3;
  const one = t.RMSprop(decayed, { lr: 0.01, weightDecay }), other = t.RMSprop(byHand, { lr: 0.01 });
  for (const step of [0, 1, 2]) {
    for (const over of [decayed, byHand]) setGradients(over, step);
    t.noGrad(() => byHand.forEach((parameter) => { if (parameter.grad) parameter.grad = t.add(parameter.grad, t.mulScalar(parameter, weightDecay)); }));
    for (const optimizer of [one, other]) optimizer.step();
  }
  values(decayed).forEach((row, i) => row.forEach((value, j) => assert.ok(Math.abs(value - values(byHand)[i][j]) <= 1e-14, `parameter ${i}, element ${j}`)));
  assert.notDeepEqual(values(decayed), fixture.start, 'they walked');
  for (const optimizer of [one, other]) { optimizer.zeroGrad(); optimizer.release(); }
  for (const parameter of [...decayed, ...byHand]) parameter.release();
}));

suite('state', () => {
  for (const { name, options } of fixture.cases) {
    test(`${name}: saved after four steps and loaded into another, it goes on bit-equal`, () => t.scope(() => {
      const over = parameters(), optimizer = make(name, over, options);
      for (const step of [0, 1, 2, 3]) { setGradients(over, step); optimizer.step(); }
      const copies = values(over).map((row, i) => t.parameter(() => t.tensor(Float64Array.from(row), fixture.shapes[i])));
      const resumed = make(name, copies, options);
      resumed.load(new Map([...optimizer.state()].map(([key, value]) => [key, t.clone(value)])));
      for (const [which, walker] of [[over, optimizer], [copies, resumed]] as const) for (const step of [4, 5, 6, 7]) { setGradients(which, step); walker.step(); }
      assert.deepEqual(values(copies), values(over));
      for (const owner of [optimizer, resumed, ...over, ...copies]) owner.release();
    }));
  }

  test('of other parameters is refused', () => t.scope(() => {
    const make = (...sizes: number[]) => t.Adam(sizes.map((size) => t.parameter(() => ones(size))));
    const two = make(2, 3), one = make(2), other = make(2, 1), sgdOne = t.SGD(one.parameters), sgdTwo = t.SGD(two.parameters);
    assert.throws(() => two.load(one.state()), /missing: 1\.exp_avg/);
    assert.throws(() => one.load(two.state()), /entries/);
    assert.throws(() => two.load(other.state()), /1\.exp_avg \[1\] where \[3\] is expected/);
    assert.throws(() => sgdTwo.load(sgdOne.state()), /of 1 parameters, this optimizer has 2/);
    assert.throws(() => t.Adam([]), RangeError);
    for (const optimizer of [two, one, other]) { for (const parameter of optimizer.parameters) parameter.release(); optimizer.release(); }
  }));
});

suite('Adam in one sweep', () => {
  test('in float32 it walks as in float64, whatever the gradients\' memory layout', () => t.scope(() => {
    const random = draw('adam layouts'), shapes = [[7, 5, 3, 3], [40_000], [4, 6, 3, 3]];
    const first = shapes.map((shape) => normal(random, shape)), gradients = [0, 1, 2].map(() => shapes.map((shape) => normal(random, shape)));
    const walk = (dtype: t.DType, options: t.AdamOptions, make: typeof t.Adam, laidOut: (x: t.Tensor, i: number) => t.Tensor) => {
      const over = first.map((x) => t.parameter(() => t.clone(t.toDtype(x.shape.length === 4 ? t.channelsLast(x) : x, dtype))));
      const optimizer = make(over, options);
      for (const step of gradients) {
        over.forEach((parameter, i) => { parameter.grad = laidOut(t.toDtype(step[i], dtype), i); });
        optimizer.step();
      }
      const walked = over.map((parameter) => Array.from(parameter.toArray() as Float32Array));
      optimizer.zeroGrad();
      optimizer.release();
      for (const parameter of over) parameter.release();
      return walked;
    };
    const last = (x: t.Tensor) => x.shape.length === 4 ? t.channelsLast(x) : x;
    for (const [options, make] of [[{ lr: 0.01, betas: [0.5, 0.999] }, t.Adam], [{ lr: 0.01, weightDecay: 0.1 }, t.Adam], [{ lr: 0.01, weightDecay: 0.1 }, t.AdamW]] as const) {
      const right = walk('float64', options, make, last);
      for (const laidOut of [last, (x: t.Tensor, i: number) => i === 2 ? t.contiguous(x) : last(x)]) { // the sweep, and the form for all tensors at once
        walk('float32', options, make, laidOut).forEach((row, i) => row.forEach((value, j) => assert.ok(Math.abs(value - right[i][j]) <= 2e-6 * Math.max(1, Math.abs(right[i][j])), `parameter ${i}, element ${j}: ${value} beside ${right[i][j]}`)));
      }
    }
  }));
});

suite('around the optimizers', () => {
  test('clipGradNorm scales the gradients in place, to the limit and only when above it', () => t.scope(() => {
    const a = ones(2).setRequiresGrad(true), b = ones(1).setRequiresGrad(true), none = ones(1).setRequiresGrad(true);
    const set = () => { a.grad = t.tensor([3, 0]); b.grad = t.tensor([4]); };
    set();
    assert.equal(t.clipGradNorm([a, b, none], 10).item(), 5);
    assert.deepEqual([...a.grad!.toArray(), ...b.grad!.toArray()], [3, 4].flatMap((value, i) => i === 0 ? [value, 0] : [value]));
    assert.equal(t.clipGradNorm([a, b, none], 1).item(), 5);
    const after = [...a.grad!.toArray(), ...b.grad!.toArray()].map(Number);
    [0.6, 0, 0.8].forEach((expected, i) => assert.ok(Math.abs(after[i] - expected) < 1e-6));
    assert.equal(t.clipGradNorm([none], 1).item(), 0);
  }));

  test('GradScaler grows after enough good steps, backs off and skips on an infinite or NaN gradient', () => t.scope(() => {
    const weight = t.parameter(() => ones(2)), optimizer = t.SGD([weight], { lr: 1 });
    const scaler = new t.GradScaler({ initialScale: 8, growthInterval: 2 });
    const step = (...gradient: number[]) => { weight.grad = t.tensor(gradient); return scaler.step(optimizer); };
    assert.equal(scaler.scaled(t.tensor([3])).item(), 24);
    assert.ok(step(8, 16));
    assert.deepEqual(values([weight]), [[0, -1]]); // unscaled: 1 and 2
    assert.equal(scaler.scale, 8);
    assert.ok(step(0, 0));
    assert.equal(scaler.scale, 16);
    for (const bad of [Infinity, -Infinity, NaN]) {
      assert.ok(!step(1, bad));
      assert.deepEqual(values([weight]), [[0, -1]]);
    }
    assert.equal(scaler.scale, 2);
    assert.ok(step(0, 0)); // one good step since
    assert.ok(!step(1, NaN)); // the good ones are counted anew from here
    assert.ok(step(0, 0));
    assert.equal(scaler.scale, 1);
    const copy = new t.GradScaler({ growthInterval: 2 });
    copy.load(scaler.state());
    weight.grad = t.tensor([0, 0]);
    assert.ok(copy.step(optimizer));
    assert.equal(copy.scale, 2);
    assert.equal(scaler.scale, 1);
    weight.grad = t.tensor([3, 4]); // clipped to norm 1
    assert.ok(scaler.step(optimizer, 1));
    const [[x, y]] = values([weight]);
    assert.ok(Math.abs(x + 0.6) < 1e-5 && Math.abs(y + 1.8) < 1e-5, `${x} ${y}`);
    weight.grad = null;
    weight.release();
  }));

  test('GradScaler with a whole backward pass gives the unscaled step', () => t.scope(() => {
    const [plain, scaled] = [0, 1].map(() => t.parameter(() => normal(draw('weight'), [4, 4])));
    const x = normal(draw('input'), [4, 4]), scaler = new t.GradScaler({ initialScale: 1024 });
    const loss = (weight: t.Tensor) => t.mseLoss(t.matmul(x, weight), x);
    t.backward(loss(plain));
    t.SGD([plain]).step();
    t.backward(scaler.scaled(loss(scaled)));
    scaler.step(t.SGD([scaled]));
    assert.deepEqual(values([scaled]), values([plain])); // powers of two scale exactly
    for (const weight of [plain, scaled]) { weight.grad = null; weight.release(); }
  }));

  test('Ema follows by min(decay, (1 + step) / (10 + step)) and starts as a copy', () => t.scope(() => {
    const source = new Map([['w', ones(2, 1)]]), ema = new t.Ema(source, 0.5);
    t.fill_(source.get('w')!, 3);
    assert.deepEqual(values([...ema.average.values()]), [[1, 1]]);
    let expected = 1;
    for (const [step, decay] of [[1, 2 / 11], [2, 3 / 12], [3, 4 / 13], [100, 0.5]]) {
      ema.update(source, step);
      expected += (1 - decay) * (3 - expected);
      assert.ok(Math.abs(Number(ema.average.get('w')!.toArray()[0]) - expected) < 1e-6, `step ${step}`);
    }
    ema.release();
  }));
});
