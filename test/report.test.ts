/** The report on tiny runs: its numbers against evaluate's, its curves against the log, what it keeps, and what may be missing. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFileSync, copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { status } from '@unshake/libtorch';
import { parseConfig, type Config } from '../src/config.js';
import { UnshakeError } from '../src/errors.js';
import { evaluate } from '../src/evaluate.js';
import { readRgb, writeImage } from '../src/image/codec-node.js';
import { centreCrop, cropImage, type RgbImage } from '../src/image/image.js';
import { psnr } from '../src/metrics/index.js';
import { report } from '../src/report.js';
import { readRuns } from '../src/report-runs.js';
import { readLog } from '../src/run-folder.js';
import { train } from '../src/train.js';
import { noisyImage } from './small-images.js';

const skip = status().available ? false : `no libtorch: ${status().reason}`;
const folder = mkdtempSync(join(tmpdir(), 'unshake-report-'));
const data = join(folder, 'data'), out = join(folder, 'out');
const awkward = 'a<b>&"c|d';
const [first, second, other] = ['first', 'second', 'other'].map((name) => join(folder, name));

/** Six steps of two tiny networks; experiment `report-exp1-x` with two seeds, `plain` once. */
const config = (settings: object): Config => parseConfig({
  steps: 6, batchSize: 1, crop: 32, precision: 'fp32', threads: 1, workers: 1, validateEvery: 3, validationPairs: 1, validationCrop: 32, checkpointEvery: 6, logEvery: 1, ema: 0.5,
  data: [{ path: data }], generator: { type: 'dgf-report', rate: 2 }, discriminator: { type: 'patch', ndf: 2 }, ...settings,
}, 'test');

before(async () => {
  const picture = (seed: number): RgbImage => noisyImage(176, 168, 3, 8, seed) as RgbImage;
  for (const [split, names] of [['train', ['t0', 't1', 't2']], ['val', ['v0']], ['test', [awkward, 'e1', 'e2']]] as const) {
    for (const kind of ['blur', 'sharp']) mkdirSync(join(data, split, kind), { recursive: true });
    for (const [i, name] of names.entries()) {
      await writeImage(join(data, split, 'blur', `${name}.png`), picture(i + split.length));
      await writeImage(join(data, split, 'sharp', `${name}.png`), picture(100 + i + split.length));
    }
  }
  if (skip) return;
  await train(config({ name: 'report-exp1-x', seed: 1 }), first);
  await train(config({ name: 'report-exp1-x', seed: 2 }), second);
  await train(config({ name: 'plain', generator: { type: 'dgf-report', rate: 3 } }), other);
});
after(() => rmSync(folder, { recursive: true, force: true }));

const unescaped = (text: string): string => text.replace(/\\(.)/g, '$1');

/** The rows of the table with this caption, in the n-th section of table.md: first cell → the others. */
function tableOf(caption: string, section = 0, from = out): Map<string, string[]> {
  const text = readFileSync(join(from, 'table.md'), 'utf8').split(/^## /m)[section + 1];
  const lines = text.slice(text.indexOf(`**${caption}**`)).split('\n').slice(4);
  return new Map(lines.slice(0, lines.indexOf('')).map((line) => {
    const [name, ...cells] = line.split(/(?<!\\)\|/).slice(1, -1).map((cell) => unescaped(cell.trim().replaceAll('**', '')));
    return [name, cells];
  }));
}
const cellsOf = (mean: Record<string, number>, std: Record<string, number>): string[] =>
  (['psnr', 'ssim', 'msssim', 'fsimc', 'vif'] as const).map((metric) => `${mean[metric].toFixed(metric === 'psnr' ? 2 : 4)} ± ${std[metric].toFixed(metric === 'psnr' ? 2 : 4)}`);

test('every number of the tables is that of evaluate, in both protocols; the published row stands with the report\'s alone', { skip }, async () => {
  const { sets } = await report([first, second, other], out);
  assert.deepEqual(sets, [{ title: `${data}, test split`, pairs: 3, measured: 3 }]);
  for (const protocol of ['clean', 'report'] as const) {
    const table = tableOf(`Protocol ${protocol}`);
    for (const [path, label] of [[first, 'report-exp1-x seed 1'], [second, 'report-exp1-x seed 2'], [other, 'plain']]) {
      const { rows } = await evaluate(path, data, { protocol });
      const cells = table.get(label)!;
      assert.deepEqual(cells.slice(1, 6), cellsOf(rows[1].mean as never, rows[1].std as never), `${label}, ${protocol}`);
      assert.deepEqual(table.get('blurry input')!.slice(1, 6), cellsOf(rows[0].mean as never, rows[0].std as never));
      const gain = Number(rows[1].mean.psnr!.toFixed(2)) - Number(rows[0].mean.psnr!.toFixed(2));
      assert.equal(cells[0], `${gain < 0 ? '−' : '+'}${Math.abs(gain).toFixed(2)}`);
      assert.equal(/below the blurry input/.test(cells[6]), gain < 0);
    }
    assert.deepEqual(table.get("report's Experiment 1"), protocol === 'clean' ? undefined : ['', '23.47', '0.8438', '0.9480', '0.9030', '0.5060', 'other pictures']);
  }
});

test('two seeds of an experiment are averaged, another experiment is not among them', { skip }, async () => {
  const seeds = tableOf('Protocol clean, over seeds');
  assert.deepEqual([...seeds.keys()], ['report-exp1-x']);
  const [a, b] = await Promise.all([first, second].map(async (path) => (await evaluate(path, data, { metrics: ['psnr'] })).rows[1].mean.psnr!));
  assert.deepEqual([seeds.get('report-exp1-x')![0], seeds.get('report-exp1-x')![2]], ['2', `${((a + b) / 2).toFixed(2)} ± ${(Math.abs(a - b) / Math.SQRT2).toFixed(2)}`]);
});

test('costs: parameters and MACs of the trace, steps, seed; only settings that differ are listed', { skip }, () => {
  const [run] = readRuns([first]);
  const costs = tableOf('What the runs are and what they cost', 1);
  const [seed, steps, batch, parameters, , gmacs] = costs.get('report-exp1-x seed 2')!;
  assert.deepEqual([seed, steps, batch], ['2', '6', '1']);
  assert.equal(parameters, run.complexity!.parameters.toLocaleString('en'));
  assert.equal(gmacs, (run.complexity!.macs / 1e9).toFixed(2));
  assert.deepEqual(tableOf('Settings that differ', 1), new Map([['seed', ['1', '2', '1']], ['generator.rate', ['2', '2', '3']]]));
});

test('the curves hold every logged point of every loss of both players', { skip }, () => {
  const svg = readFileSync(join(out, 'loss.svg'), 'utf8');
  for (const name of ['discriminator', 'adversarial', 'l1', 'generator']) assert.ok(svg.includes(`>${name}</text>`), name);
  const lines = [...svg.matchAll(/<path [^>]*aria-roledescription="line mark"[^>]*d="([^"]+)"|<path [^>]*d="(M[^"]+)"[^>]*stroke-width="1.6"/g)].map(([, a, b]) => (a ?? b).match(/[ML]/g)!.length);
  assert.deepEqual(lines, Array.from({ length: 4 * 3 }, () => readLog(first).length));
});

test('the page stands alone: pictures and plots inside, names escaped, no address to load from', { skip }, async () => {
  const page = readFileSync(join(out, 'report.html'), 'utf8');
  assert.ok(!page.includes('a<b>') && page.includes('a&lt;b&gt;&amp;&quot;c|d'));
  assert.doesNotMatch(page, /(src|href)="(?!data:image\/webp;base64,|#)/);
  assert.doesNotMatch(page.replaceAll(/xmlns(:xlink)?="[^"]+"/g, ''), /https?:|@import|url\(/);
  assert.equal(page.match(/<img src="data:image\/webp;base64,/g)!.length, 3 * (2 + 3));
  for (const name of ['loss.png', 'validation.png']) assert.equal((await sharp(join(out, name)).metadata()).format, 'png');
  // blur | sharp | generated, and the third is what was measured
  const panels = join(out, 'panels', 'report-exp1-x-seed-1');
  assert.deepEqual(readdirSync(panels).sort(), ['a-b-c-d.png', 'e1.png', 'e2.png']);
  const panel = await readRgb(join(panels, 'e1.png'));
  const [blur, target, generated] = [0, 1, 2].map((i) => cropImage(panel, i * 176, 0, 176, 168));
  assert.deepEqual(blur.data, (await readRgb(join(data, 'test/blur/e1.png'))).data);
  assert.deepEqual(target.data, (await readRgb(join(data, 'test/sharp/e1.png'))).data);
  assert.ok(page.includes(`${psnr(generated, target).toFixed(2)} dB, `), 'its PSNR is under it');
});

test('scores are kept beside the run, and made anew when the data or the checkpoint change', { skip }, async () => {
  const run = join(folder, 'kept'), kept = join(folder, 'kept-data'), page = join(folder, 'kept-out');
  cpSync(first, run, { recursive: true });
  cpSync(data, kept, { recursive: true });
  const measure = async (): Promise<string> => {
    await report([run], page, { data: [kept] });
    return tableOf('Protocol clean', 0, page).get('report-exp1-x')![1];
  };
  const genuine = await measure();
  const slot = readdirSync(join(run, 'evaluations')).find((name) => name.includes('kept-data'))!;
  const file = join(run, 'evaluations', slot, 'scores.json');
  const forge = (): void => {
    const scores = JSON.parse(readFileSync(file, 'utf8')) as { output: { clean: { psnr: number } }[] };
    for (const { clean } of scores.output) clean.psnr = 77;
    writeFileSync(file, JSON.stringify(scores));
  };
  forge();
  assert.equal(await measure(), '77.00 ± 0.00', 'the kept ones are used');
  utimesSync(join(kept, 'test/blur/e1.png'), 1e9, 1e9);
  assert.equal(await measure(), genuine, 'a file changed');
  forge();
  copyFileSync(join(second, 'checkpoints/best.safetensors'), join(run, 'checkpoints/best.safetensors'));
  const another = await measure();
  assert.equal(another, tableOf('Protocol clean').get('report-exp1-x seed 2')![1], 'the checkpoint changed');
  rmSync(join(run, 'evaluations', slot, '1.png'));
  assert.equal(await measure(), another, 'a kept picture is missing');
  writeFileSync(file, '{');
  assert.equal(await measure(), another, 'the kept scores are damaged');
});

test('--crop cuts before deblurring; --exclude adds tables without those pairs, and refuses names that are not there', { skip }, async () => {
  const page = join(folder, 'cut'), list = join(folder, 'list.txt');
  writeFileSync(list, `# recurs in train\ne1\n${awkward}\n`);
  await report([first], page, { data: [data], crop: 164, exclude: [list] });
  const { rows } = await evaluate(first, data, { crop: 164 });
  assert.deepEqual(tableOf('Protocol clean', 0, page).get('report-exp1-x')!.slice(1, 6), cellsOf(rows[1].mean as never, rows[1].std as never));
  const cut = async (kind: string): Promise<RgbImage> => centreCrop(await readRgb(join(data, 'test', kind, 'e2.png')), 164, 164);
  assert.equal(tableOf('Protocol clean', 1, page).get('blurry input')![1], psnr(await cut('blur'), await cut('sharp')).toFixed(2), 'one pair is left');
  writeFileSync(list, 'e1\ne7\n');
  await assert.rejects(report([first], page, { data: [data], exclude: [list] }), (error: UnshakeError) => error.code === 'DATA' && /list\.txt: e7: no such pair/.test(error.message));
  writeFileSync(list, 'x\n');
  await assert.rejects(report([first], page, { data: [data], exclude: [list] }), (error: UnshakeError) => error.code === 'DATA' && /list\.txt: no pair is called x/.test(error.message));
});

test('a metric that a picture is too small for is left out of the tables, and the page says so', { skip }, async () => {
  const page = join(folder, 'small'), notices: string[] = [];
  await report([first], page, { data: [data], crop: 64, onNotice: (line) => notices.push(line) });
  assert.equal(tableOf('Protocol clean', 0, page).get('report-exp1-x')!.length, 6, 'Δ, four metrics, notes');
  assert.ok(notices.some((line) => /msssim is left out: it needs 161×161, and .+ has 64×64$/.test(line)), notices.join('\n'));
  assert.match(readFileSync(join(page, 'table.md'), 'utf8'), /msssim is left out: it needs 161×161, and .+ has 64×64\./);
});

test('held-out pairs of a GOPRO_Large tree: the table says which blur it is', { skip }, async () => {
  const tree = join(folder, 'tree'), run = join(folder, 'on-tree'), page = join(folder, 'tree-out');
  for (const [sequence, name] of [['GOPR0001_11_00', 't0.png'], ['GOPR0002_11_00', 't1.png']]) {
    for (const [part, from] of [['blur_gamma', 'blur'], ['sharp', 'sharp']]) {
      mkdirSync(join(tree, sequence, part), { recursive: true });
      copyFileSync(join(data, 'train', from, name), join(tree, sequence, part, name));
    }
  }
  cpSync(first, run, { recursive: true });
  writeFileSync(join(run, 'config.yaml'), `${readFileSync(join(run, 'config.yaml'), 'utf8').replace(data, tree).replace(/^blurFolder:.*\n/m, '')}blurFolder: blur_gamma\n`);
  await report([run], page);
  assert.match(readFileSync(join(page, 'table.md'), 'utf8'), /^## held-out validation pairs of .*tree, blurred pictures from blur\\?_gamma\/: 1 pair$/m);
});

test('a run has come as far as its log or its newest checkpoint says, whichever is further', { skip }, () => {
  const run = join(folder, 'behind');
  cpSync(first, run, { recursive: true });
  const lines = readFileSync(join(run, 'log.jsonl'), 'utf8').split('\n'), stepNow = (): number => readRuns([run])[0].step;
  writeFileSync(join(run, 'log.jsonl'), `${lines.slice(0, 4).join('\n')}\n`);
  assert.equal(stepNow(), 6, 'saved, the log is behind');
  const newest = join(run, 'checkpoints/step-00000006.safetensors');
  writeFileSync(newest, readFileSync(newest).subarray(0, 100));
  assert.equal(stepNow(), 4, 'the checkpoint is damaged');
  rmSync(join(run, 'log.jsonl'));
  assert.equal(stepNow(), 0);
});

test('a run whose time is up has come to its end, whatever its steps', { skip }, () => {
  const timed = join(folder, 'timed'), file = join(timed, 'config.yaml');
  cpSync(first, timed, { recursive: true });
  const minutes = readRuns([first])[0].seconds / 60, text = readFileSync(file, 'utf8').replace('steps: 6', 'steps: 100');
  for (const [share, planned] of [[0.99, 6], [1.01, 100]]) {
    writeFileSync(file, text.replace('minutes: null', `minutes: ${share * minutes}`));
    assert.equal(readRuns([timed])[0].planned, planned);
  }
});

test('runs of one name are told apart by what was trained, else by number', { skip }, () => {
  const edited = (name: string, ...changes: [string, string][]): string => {
    const run = join(folder, name), file = join(run, 'config.yaml');
    cpSync(first, run, { recursive: true });
    writeFileSync(file, changes.reduce((text, [from, to]) => { assert.ok(text.includes(from)); return text.replace(from, to); }, readFileSync(file, 'utf8')));
    return run;
  };
  const rate = edited('rate', ['lr: 0.0002', 'lr: 0.001'], ['steps: 6', 'steps: 5'], ['batchSize: 1', 'batchSize: 2'], ['logEvery: 1', 'logEvery: 2']);
  const saving = edited('saving', ['checkpointEvery: 6', 'checkpointEvery: 3']);
  assert.deepEqual(readRuns([first, rate, saving, second]).map(({ experiment }) => experiment),
    ['report-exp1-x', 'report-exp1-x, batchSize 2, optimizer.lr 0.001', 'report-exp1-x (3)', 'report-exp1-x']);
});

test('--ab and --blur without --data are wrong usage', () => {
  const unshake = fileURLToPath(new URL('../../bin/unshake.js', import.meta.url));
  for (const flags of [['--ab', 'blur-left'], ['--blur', 'blur_gamma']]) {
    const { status: code, stderr } = spawnSync(process.execPath, [unshake, 'report', first, '-o', join(folder, 'unused'), ...flags], { encoding: 'utf8' });
    assert.deepEqual([code, stderr], [2, `unshake: USAGE: ${flags[0]}: only with --data; a run's own pairs are read as its config.yaml says\n`]);
  }
});

test('damaged and empty logs, missing checkpoints and data: the page is written and says so', { skip }, async () => {
  const [damaged, empty, unsaved, moved] = ['damaged', 'empty', 'unsaved', 'moved'].map((name) => join(folder, name));
  for (const run of [damaged, empty, unsaved, moved]) cpSync(first, run, { recursive: true });
  appendFileSync(join(damaged, 'log.jsonl'), 'null\n{"step":7,"l1":null,"adversarial":1}\n{"step":8,"l1');
  writeFileSync(join(empty, 'log.jsonl'), '');
  rmSync(join(unsaved, 'checkpoints'), { recursive: true });
  writeFileSync(join(moved, 'config.yaml'), readFileSync(join(moved, 'config.yaml'), 'utf8').replace(data, join(folder, 'gone')));
  const notices: string[] = [], page = join(folder, 'missing');
  await report([damaged, empty, unsaved, moved], page, { onNotice: (line) => notices.push(line) });
  const costs = tableOf('What the runs are and what they cost', 1, page);
  const notes = new Map([...readFileSync(join(page, 'table.md'), 'utf8').matchAll(/Note (\d+): (.*?)\.(?= Note \d|\n)/g)].map(([, number, text]) => [`note ${number}`, unescaped(text)]));
  const last = (label: string): string => costs.get(label)!.at(-1)!.split('; ').map((note) => notes.get(note) ?? note).join('; ');
  const label = (name: string): string => [...costs.keys()].find((key) => key.includes(`(${name})`)) ?? [...costs.keys()].find((key) => key.endsWith('(2)'))!;
  assert.match(last(label('damaged')), /2 damaged lines of the log left out/);
  assert.deepEqual([costs.get(label('empty'))![1], costs.get(label('empty'))![6]], ['6', '–'], 'saved steps, no training time');
  assert.match(last(label('unsaved')), /not measured: no checkpoints\/best\.safetensors: the run has saved nothing yet/);
  assert.match(last(label('moved')), /not measured: .*gone: no such folder/);
  assert.equal(notices.length, 3, notices.join('\n'));
  assert.equal([...tableOf('Protocol clean', 0, page).keys()].length, 3, 'the blurry input, and the two that could be measured');
});

test('a folder that is no run is refused, and nothing is written', { skip }, async () => {
  const page = join(folder, 'refused');
  for (const [path, found] of [[join(folder, 'nowhere'), 'no such folder'], [data, 'a folder without config.yaml'], [join(first, 'config.yaml'), 'a file']]) {
    await assert.rejects(report([first, path], page), (error: UnshakeError) => error.code === 'MODEL' && error.message.includes(path) && error.message.includes(found));
  }
  assert.throws(() => readdirSync(page), /ENOENT/);
});
