/** The report's parts, without runs: curves, differences, tables, escaping, and the count of multiplications. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { conv2d, convTranspose2d, linear, noGrad, reshape, scope, status, trace, zeros } from '@unshake/libtorch';
import { makeGenerator } from '../src/models/index.js';
import { complexityOf, countMacs } from '../src/report/complexity.js';
import { lossPanels, mostPoints, thin, validationPanel } from '../src/report/curves.js';
import { differences } from '../src/report/difference.js';
import { tableHtml, tableMarkdown } from '../src/report/html.js';
import { publishedRow } from '../src/report/published.js';
import { meanAndDeviation, scoreTable } from '../src/report/tables.js';

const skip = status().available ? false : `no libtorch: ${status().reason}`;

test('thinning keeps short curves whole, and both ends and the mean of long ones', () => {
  const points = Array.from({ length: 7 * mostPoints }, (_, i) => ({ step: 10 * (i + 1), value: Math.sin(i) }));
  assert.deepEqual(thin(points.slice(0, mostPoints)), points.slice(0, mostPoints));
  const thinned = thin(points);
  assert.equal(thinned.length, mostPoints);
  assert.deepEqual([thinned[0].step, thinned.at(-1)!.step], [10, points.at(-1)!.step]);
  const mean = (list: typeof points): number => list.reduce((sum, { value }) => sum + value, 0) / list.length;
  assert.ok(Math.abs(mean(thinned) - mean(points)) < 1e-12);
});

test('each loss has its panel; what was not logged or is no number is left out', () => {
  const log: Record<string, number>[] = [{ step: 1, seconds: 1, imagesPerSecond: 2, effectiveBatch: 4, l1: 3, hinge: NaN }, { step: 2, seconds: 2, imagesPerSecond: 2, l1: 4, hinge: 5, validationPsnr: 20, validationInputPsnr: 19 }];
  const runs = [{ label: 'a', experiment: 'a', log }, { label: 'b', experiment: 'b', log: [] }];
  assert.deepEqual(lossPanels(runs), [
    { title: 'l1', curves: [{ run: 'a', experiment: 'a', points: [{ step: 1, value: 3 }, { step: 2, value: 4 }] }] },
    { title: 'hinge', curves: [{ run: 'a', experiment: 'a', points: [{ step: 2, value: 5 }] }] },
  ]);
  assert.deepEqual(validationPanel(runs)!.reference, { label: 'blurry input', value: 19 });
  assert.equal(validationPanel([runs[1]]), null);
});

test('settings that differ, down to nested ones and those that one side lacks', () => {
  assert.deepEqual(differences([{ a: 1, b: { c: [1, 2], d: null }, e: [{ f: 1 }] }, { a: 1, b: { c: [1, 3], d: null }, e: [{ f: 1, g: true }] }]), [
    { key: 'b.c', values: ['1, 2', '1, 3'] }, { key: 'e.0.g', values: [undefined, 'true'] },
  ]);
});

test('a long remark is said once, under the table', () => {
  const long = 'x'.repeat(50), scores = { mean: { psnr: 20 }, std: null };
  const run = (label: string, ...notes: string[]) => ({ ...scores, label, experiment: label, name: label, notes });
  const { rows, notes } = scoreTable('', scores, [run('a', 'short', long), run('b', long)], ['psnr'], { published: false });
  assert.deepEqual(rows.map(({ cells }) => cells.at(-1)), ['', 'short; note 1', 'note 1']);
  assert.ok(notes.includes(`Note 1: ${long}.`));
});

test('names and notes cannot become markup', () => {
  const table = { caption: '<i>', columns: ['', 'x'], rows: [{ cells: ['<script>"&\'', '1 ± 2'] }], notes: ['a|b'] };
  const page = tableHtml(table).text;
  assert.ok(page.includes('&lt;script&gt;&quot;&amp;&#39;') && !page.includes('<script>') && !page.includes('<i>'));
  const text = tableMarkdown({ ...table, rows: [{ cells: ['a|b\n<c>*', '1'] }] });
  assert.ok(text.includes('| a\\|b \\<c\\>\\* | 1 |'), text);
});

test('a row is marked by the numbers that are printed: no better than the input is not best', () => {
  const scores = (psnr: number) => ({ mean: { psnr }, std: null });
  const run = (label: string, psnr: number) => ({ ...scores(psnr), label, experiment: label, name: label, notes: [] });
  const kinds = (...psnrs: number[]) => scoreTable('', scores(20), psnrs.map((psnr) => run(String(psnr), psnr)), ['psnr'], { published: true }).rows.map(({ kind }) => kind);
  assert.deepEqual(kinds(19.99, 20.5, 20.2), ['input', 'below', 'best', undefined]);
  assert.deepEqual(kinds(20.001, 19.996), ['input', undefined, undefined]);
  assert.deepEqual([publishedRow('report-exp3-wgan-gp')!.title, publishedRow('report-exp2-parallel'), publishedRow('report-exp10')], ['Experiment 3', null, null]);
  assert.deepEqual(meanAndDeviation([1, 3]), { mean: 2, std: Math.SQRT2 });
});

test('multiplications: convolutions with stride and groups, transposed ones, matrix products; and the known networks', { skip }, () => {
  const count = scope(() => noGrad(() => countMacs(trace((x) => {
    const strided = conv2d(x, zeros([8, 2, 3, 3]), null, { stride: [2, 2], padding: [1, 1], groups: 2 }); // 4 → 8 channels, 6×10 → 3×5
    const back = convTranspose2d(strided, zeros([8, 5, 2, 2]), null, { stride: [2, 2] }); //                  → 5 channels, 6×10
    return linear(reshape(back, [1, 300]), zeros([7, 300]));
  }, [zeros([1, 4, 6, 10])]))));
  assert.equal(count, 8 * 15 * 2 * 9 + 8 * 15 * 5 * 4 + 7 * 300);
  // The report's generator: 768,384 parameters; its convolutions by hand at 256².
  const channels = Array.from({ length: 10 }, (_, k) => 128 + 32 * k);
  const weights = 3 * 128 * 9 + channels.reduce((sum, c) => sum + c * 128 + 128 * 32 * 9, 0) + 32 * 32 + 160 * 32 * 9 + 32 * 3 * 9;
  const generator = makeGenerator({ type: 'dgf-report', rate: 32, norm: 'instance' });
  assert.deepEqual(complexityOf(generator), { parameters: 768_384, macs: weights * 256 * 256 });
  generator.release();
});
