import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { synthScenes } from '../src/blur/synth.js';
import { averageFrames, averageImages } from '../src/data-average.js';
import { prepareDataset, reportTestSequences } from '../src/data-prepare.js';
import { DataError, UsageError } from '../src/errors.js';
import { readRgb } from '../src/image/codec-node.js';
import { besideEachOther, cropImage, type RgbImage } from '../src/image/image.js';
import { blurredPair, noise, picture, temporaryFolder, writePairs, writeTree } from './data-pictures.js';

const unshake = fileURLToPath(new URL('../../bin/unshake.js', import.meta.url));

function run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [unshake, ...args], { encoding: 'utf8', timeout: 60_000 });
  return { status, stdout, stderr };
}

async function filesBelow(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true });
  const isFile = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).isFile()));
  return names.filter((_, i) => isFile[i]).sort();
}

/** The mean of 2×2 pixels, rounded half up, then the centre. */
function halvedCentre(image: RgbImage, side: number): RgbImage {
  const width = image.width / 2, height = image.height / 2;
  const half = picture(width, height, (x, y, c) => {
    const at = (dx: number, dy: number): number => image.data[((2 * y + dy) * image.width + 2 * x + dx) * 3 + c];
    return (at(0, 0) + at(1, 0) + at(0, 1) + at(1, 1) + 2) >> 2;
  });
  return cropImage(half, (width - side) / 2, (height - side) / 2, side, side);
}

async function goproTree(root: string, sequences: readonly string[], frames = 1): Promise<void> {
  for (const [i, sequence] of sequences.entries()) {
    for (let frame = 1; frame <= frames; frame++) {
      const name = `${String(frame).padStart(6, '0')}.png`, { blur, sharp } = blurredPair(10 * i + frame, 80, 64);
      await writeTree(join(root, sequence), { [`blur/${name}`]: blur, [`blur_gamma/${name}`]: noise(i, 80, 64), [`sharp/${name}`]: sharp });
    }
  }
}

test('prepare: half scale is the mean of 2×2, centre crop, one PNG with sharp left, splits kept', async (t) => {
  const root = await temporaryFolder(t), out = join(root, 'out'), tree = join(root, 'gopro');
  await goproTree(join(tree, 'test'), ['GOPR0384_11_00']);
  await goproTree(join(tree, 'train'), ['GOPR0372_07_00'], 2);
  const result = await prepareDataset(tree, out, { crop: 24 });
  assert.deepEqual(await filesBelow(out), ['dataset.json', 'test/GOPR0384_11_00_000001.png', 'train/GOPR0372_07_00_000001.png', 'train/GOPR0372_07_00_000002.png']);
  assert.deepEqual([result.pairs, result.written, result.blurFolder, result.splits], [3, 3, 'blur', { train: 2, test: 1 }]);
  assert.match(result.filter, /bilinear.*2×2/);
  const { blur, sharp } = blurredPair(1, 80, 64);
  const made = await readRgb(join(out, 'test/GOPR0384_11_00_000001.png'));
  assert.deepEqual(made, besideEachOther([halvedCentre(sharp, 24), halvedCentre(blur, 24)]));
});

test('prepare: folders, blur_gamma, other scales, no crop, nested names', async (t) => {
  const root = await temporaryFolder(t), tree = join(root, 'gopro');
  await goproTree(tree, ['GOPR0384_11_00']);
  const result = await prepareDataset(tree, join(root, 'out'), { format: 'folders', blurFolder: 'blur_gamma', scale: 1, crop: 0 });
  assert.deepEqual(await filesBelow(join(root, 'out')), ['blur/GOPR0384_11_00_000001.png', 'dataset.json', 'sharp/GOPR0384_11_00_000001.png']);
  assert.equal(result.blurFolder, 'blur_gamma');
  assert.deepEqual(await readRgb(join(root, 'out/blur/GOPR0384_11_00_000001.png')), noise(0, 80, 64));
  await writePairs(join(root, 'nested'), ['000/00000001']);
  await prepareDataset(join(root, 'nested'), join(root, 'out2'), { scale: 0.75, crop: 0 });
  const { width, height } = await readRgb(join(root, 'out2/000_00000001.png'));
  assert.deepEqual([width, height], [2 * 36, 30]);
  // A picture that is linear in x and y stays so, at the pixels' centres.
  const ramp = picture(40, 40, (x, y) => 2 * x + 4 * y);
  await writeTree(root, { 'ramp/sharp/a.png': ramp, 'ramp/blur/a.png': noise(1, 40, 40) });
  await prepareDataset(join(root, 'ramp'), join(root, 'out3'), { scale: 0.75, crop: 20, format: 'folders' });
  const scaled = await readRgb(join(root, 'out3/sharp/a.png'));
  assert.deepEqual(scaled, picture(20, 20, (x, y) => Math.floor(2 * ((x + 5.5) / 0.75 - 0.5) + 4 * ((y + 5.5) / 0.75 - 0.5) + 0.5)));
});

test("prepare: --sequences report-test takes the report's five, and says what is missing or short", async (t) => {
  const root = await temporaryFolder(t), names = Object.keys(reportTestSequences);
  assert.equal(Object.values(reportTestSequences).reduce((a, b) => a + b), 534);
  await goproTree(join(root, 'part/test'), [...names.slice(0, 4), 'GOPR0854_11_00']);
  await assert.rejects(prepareDataset(join(root, 'part'), join(root, 'none'), { sequences: 'report-test', crop: 16 }),
    (error) => error instanceof DataError && /part: expected the sequence GOPR0410_11_00; found GOPR0384_11_00, .*GOPR0854_11_00/.test(error.message));
  await assert.rejects(stat(join(root, 'none')));
  await goproTree(join(root, 'part/test'), [names[4]], 2);
  const result = await prepareDataset(join(root, 'part'), join(root, 'out'), { sequences: 'report-test', crop: 16 });
  assert.equal(result.pairs, 6);
  assert.match(result.notes.join('\n'), /GOPR0410_11_00 has 2 pairs here, 134 in GOPRO_Large: this is not the report's test set of 534/);
  const one = await prepareDataset(join(root, 'part'), join(root, 'one'), { sequences: ['GOPR0854_11_00'], crop: 16 });
  assert.deepEqual(one.sequences, { GOPR0854_11_00: 1 });
});

test('prepare goes on where it was: whole outputs stay, missing and damaged ones are made, another recipe starts anew', async (t) => {
  const root = await temporaryFolder(t), source = join(root, 'pairs'), out = join(root, 'out');
  await writePairs(source, ['a', 'b', 'c']);
  await prepareDataset(source, out, { crop: 16 });
  const before = await readFile(join(out, 'b.png')), kept = (await stat(join(out, 'a.png'))).mtimeMs;
  await writeFile(join(out, 'b.png'), before.subarray(0, before.length / 2));
  await rm(join(out, 'c.png'));
  await writeFile(join(out, '.c.png.123.tmp'), 'half');
  const again = await prepareDataset(source, out, { crop: 16 });
  assert.deepEqual([again.written, again.kept], [2, 1]);
  assert.deepEqual(await readFile(join(out, 'b.png')), before);
  assert.equal((await stat(join(out, 'a.png'))).mtimeMs, kept);
  assert.deepEqual(await filesBelow(out), ['a.png', 'b.png', 'c.png', 'dataset.json']);
  await prepareDataset(source, out, { crop: 12, format: 'folders' });
  assert.deepEqual(await filesBelow(out), ['blur/a.png', 'blur/b.png', 'blur/c.png', 'dataset.json', 'sharp/a.png', 'sharp/b.png', 'sharp/c.png']);
});

test('what would fail, and another command, delete nothing of an earlier one', async (t) => {
  const root = await temporaryFolder(t), source = join(root, 'pairs'), out = join(root, 'out');
  await writePairs(source, ['a', 'b']);
  await writePairs(source, ['c'], { width: 24, height: 20 });
  await prepareDataset(source, out, { crop: 8, format: 'folders' });
  const before = await filesBelow(out);
  await assert.rejects(prepareDataset(source, out, { crop: 16 }), (error) => error instanceof DataError && /sharp\/c\.png: 24×20 becomes 12×10, smaller than the crop 16×16/.test(error.message));
  await assert.rejects(synthScenes(out, { count: 1 }), (error) => error instanceof DataError && /out: expected .*earlier data synth; it holds what data prepare made\. Give another folder, or delete it$/.test(error.message));
  assert.deepEqual(await filesBelow(out), before);
});

test('made again from a source that has changed, nothing of before is kept; into its own source nothing is made', async (t) => {
  const root = await temporaryFolder(t), pairs = join(root, 'pairs'), frames = join(root, 'frames');
  const make = {
    prepare: (source: string, out: string) => prepareDataset(source, out, { scale: 1, crop: 0, format: 'folders' }),
    average: (source: string, out: string) => averageFrames(source, out, { window: 3 }),
  };
  for (const [command, source] of [['prepare', pairs], ['average', frames]] as const) {
    const fill = (seed: number) => writeTree(source, command === 'prepare' ? { 'sharp/a.png': noise(seed), 'blur/a.png': noise(seed + 1) } : { '0.png': noise(seed), '1.png': noise(seed + 1), '2.png': noise(seed + 2) });
    const out = join(root, `of-${command}`), name = command === 'prepare' ? 'a' : '1';
    await fill(1);
    await make[command](source, out);
    await fill(11);
    assert.equal((await make[command](source, out)).kept, 0, command);
    assert.deepEqual(await readRgb(join(out, `sharp/${name}.png`)), noise(command === 'prepare' ? 11 : 12));
    const before = await filesBelow(out), from = command === 'prepare' ? out : join(out, 'sharp');
    await assert.rejects(command === 'prepare' ? make.prepare(from, out) : averageFrames(from, out, { window: 1 }),
      (error) => error instanceof DataError && /would be made from .*\.png, which lies in it and must stay; give another output folder/.test(error.message));
    assert.deepEqual(await filesBelow(out), before);
  }
});

test('prepare: what can not be done is said by name, and nothing of others is touched', async (t) => {
  const root = await temporaryFolder(t), source = join(root, 'pairs');
  await writePairs(source, ['a']);
  await writeTree(root, { 'mine/holiday.jpg': noise(1), 'broken/sharp/a.png': noise(1), 'broken/blur/a.png': 'x' });
  await assert.rejects(prepareDataset(source, join(root, 'mine')), (error) => error instanceof DataError && /mine: expected a new or empty folder.*holds holiday\.jpg/.test(error.message));
  await assert.rejects(prepareDataset(source, join(root, 'mine/holiday.jpg')), (error) => error instanceof DataError && /holiday\.jpg: expected a folder/.test(error.message));
  await assert.rejects(prepareDataset(source, join(root, 'out')), (error) => error instanceof DataError && /sharp\/a\.png: 48×40 becomes 24×20, smaller than the crop 256×256/.test(error.message));
  await assert.rejects(prepareDataset(join(root, 'broken'), join(root, 'out2'), { crop: 8 }), (error) => error instanceof DataError && /blur\/a\.png: can't be read/.test(error.message));
  assert.deepEqual(await filesBelow(join(root, 'out2')), ['dataset.json']);
  for (const scale of [0, 1.5, NaN]) await assert.rejects(prepareDataset(source, join(root, 'out3'), { scale }), UsageError);
  await assert.rejects(prepareDataset(source, join(root, 'out3'), { crop: 1.5 }), UsageError);
});

test('prepare killed at any moment leaves whole pictures only, and is finished by the next run', async (t) => {
  const root = await temporaryFolder(t), source = join(root, 'pairs'), out = join(root, 'out');
  await writePairs(source, Array.from({ length: 30 }, (_, i) => `p${i}`), { width: 640, height: 360 });
  const child = spawn(process.execPath, [unshake, 'data', 'prepare', source, out, '--crop', '128'], { stdio: 'ignore' });
  const exit = new Promise((resolve) => { child.on('exit', resolve); });
  while (child.exitCode === null && (await readdir(out).catch(() => [])).filter((name) => name.endsWith('.png')).length < 3) await sleep(2);
  child.kill('SIGKILL');
  await exit;
  const pictures = (await filesBelow(out)).filter((name) => name.endsWith('.png'));
  assert.ok(pictures.length >= 3 && pictures.length < 30, `killed in the middle: ${pictures.length} of 30`);
  for (const name of pictures) assert.equal((await readRgb(join(out, name))).width, 256);
  const again = await prepareDataset(source, out, { crop: 128 });
  assert.deepEqual([again.pairs, again.kept], [30, pictures.length]);
  assert.equal((await filesBelow(out)).length, 31);
});

test('average: the floor of the mean in light, to the bit', () => {
  const frames = Array.from({ length: 8 }, (_, i) => noise(i, 32, 24));
  const { data } = averageImages(frames);
  for (let i = 0; i < data.length; i++) {
    const mean = frames.reduce((sum, frame) => sum + (frame.data[i] / 255) ** 2.2, 0) / 8;
    // The largest value whose light does not exceed the mean: the floor without a root.
    let floor = 255;
    while ((floor / 255) ** 2.2 > mean + 1e-12) floor--;
    assert.equal(data[i], floor);
  }
  const all = picture(16, 16, (x, y) => 16 * y + x);
  for (const gamma of [2.2, 1, 1.7]) assert.deepEqual(averageImages(Array.from({ length: 11 }, () => all), gamma), all, 'equal frames give themselves');
  assert.deepEqual(averageImages([picture(1, 1, () => 3), picture(1, 1, () => 4)], 1).data, new Uint8Array([3, 3, 3]));
});

test('average: windows follow one another, the middle frame is the sharp one and gives the name', async (t) => {
  const root = await temporaryFolder(t), frames = Array.from({ length: 19 }, (_, i) => noise(i));
  await writeTree(join(root, 'frames'), Object.fromEntries(frames.map((frame, i) => [`${String(166 + i).padStart(6, '0')}.png`, frame])));
  const result = await averageFrames(join(root, 'frames'), join(root, 'out'), { window: 8 });
  assert.deepEqual([result.pairs, result.leftOver], [2, 3]);
  assert.deepEqual(await filesBelow(join(root, 'out')), ['blur/000170.png', 'blur/000178.png', 'dataset.json', 'sharp/000170.png', 'sharp/000178.png']);
  assert.deepEqual(await readRgb(join(root, 'out/sharp/000170.png')), frames[4]);
  assert.deepEqual(await readRgb(join(root, 'out/blur/000178.png')), averageImages(frames.slice(8, 16)));
  const again = await averageFrames(join(root, 'frames'), join(root, 'out'), { window: 8 });
  assert.deepEqual([again.written, again.kept], [0, 2]);
});

test('average: a range draws lengths by the seed; folders of frames become the GOPRO_Large shape', async (t) => {
  const root = await temporaryFolder(t);
  for (const sequence of ['GOPR0001_11_00', 'GOPR0002_11_00']) {
    await writeTree(join(root, 'frames', sequence), Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`${String(i).padStart(6, '0')}.png`, noise(i, 8, 8)])));
  }
  const made = async (name: string, seed: number): Promise<string[]> => {
    const result = await averageFrames(join(root, 'frames'), join(root, name), { window: [7, 13], seed });
    assert.equal(Object.values(result.sequences).reduce((a, b) => a + b), result.pairs);
    assert.ok(result.pairs >= 6 && result.pairs <= 10 && result.leftOver < 14);
    return filesBelow(join(root, name));
  };
  const first = await made('one', 1);
  assert.ok(first.some((name) => name.startsWith('GOPR0002_11_00/blur/')));
  assert.deepEqual(await made('two', 1), first);
  assert.notDeepEqual(await made('three', 2), first);
});

test('average: what can not be done is said by name', async (t) => {
  const root = await temporaryFolder(t);
  await writeTree(root, { 'few/1.png': noise(1), 'few/2.png': noise(2), 'sizes/1.png': noise(1), 'sizes/2.png': noise(2), 'sizes/3.png': noise(3, 20, 20), 'broken/1.png': noise(1), 'broken/2.png': 'x', 'text/a.txt': 'x' });
  const refused = (name: string, window: number, pattern: RegExp): Promise<void> =>
    assert.rejects(averageFrames(join(root, name), join(root, `${name}-out`), { window }), (error) => error instanceof DataError && pattern.test(error.message), String(pattern));
  await refused('few', 7, /few: expected at least 7 frames, found 2/);
  await refused('sizes', 3, /sizes\/3\.png: 20×20, but the frames around it are 48×40/);
  await refused('broken', 2, /broken\/2\.png: can't be read/);
  await refused('text', 2, /text: empty: expected frames/);
  await refused('absent', 2, /absent: expected a folder of frames/);
  await assert.rejects(averageFrames(join(root, 'few'), join(root, 'out'), { window: [3, 2] }), UsageError);
  await assert.rejects(averageFrames(join(root, 'few'), join(root, 'out'), { window: 2, gamma: 0 }), UsageError);
});

test('the command line: data check', async (t) => {
  const root = await temporaryFolder(t);
  await writePairs(join(root, 'good'), ['a', 'b']);
  const good = run('data', 'check', join(root, 'good'));
  assert.deepEqual([good.status, good.stderr], [0, '']);
  assert.match(good.stdout, /pairs in two folders.*\n {2}all +2 pairs, 2 scenes, 48×40\nnothing wrong\n/);
  await rm(join(root, 'good/blur/b.png'));
  const bad = run('data', 'check', join(root, 'good'), '--json');
  assert.equal(bad.status, 1);
  assert.deepEqual((JSON.parse(bad.stdout) as { ok: boolean; problems: unknown[] }).problems.length, 1);
  assert.match(bad.stderr, /^unshake: DATA: .*sharp\/b\.png: no partner: expected .*\n$/);
});

test('the command line: data prepare, average and synth', async (t) => {
  const root = await temporaryFolder(t);
  await writePairs(join(root, 'pairs'), ['a', 'b']);
  const prepared = run('data', 'prepare', join(root, 'pairs'), join(root, 'out'), '--scale', '1', '--crop', '32', '--json');
  assert.deepEqual([prepared.status, prepared.stderr], [0, '']);
  assert.equal((JSON.parse(prepared.stdout) as { pairs: number }).pairs, 2);
  assert.match(run('data', 'prepare', join(root, 'pairs'), join(root, 'out'), '--crop', '8').stdout, /2 pairs \(all 2\)\n.*scale 0\.5, bilinear without antialias.*sharp left/);
  const averaged = run('data', 'average', join(root, 'pairs/sharp'), join(root, 'average'), '--window', '2');
  assert.deepEqual([averaged.status, averaged.stderr], [0, '']);
  assert.match(averaged.stdout, /1 pairs.*2 frames each, gamma 2\.2/);
  const synthetic = run('data', 'synth', join(root, 'pairs/sharp'), join(root, 'synth'), '--count', '3', '--seed', '4', '--json');
  assert.deepEqual([synthetic.status, synthetic.stderr], [0, '']);
  assert.equal((JSON.parse(synthetic.stdout) as { pairs: number }).pairs, 3);
  const scenes = run('data', 'synth', '--scenes', join(root, 'scenes'), '--count', '2', '--size', '64x48');
  assert.deepEqual([scenes.status, scenes.stderr], [0, '']);
  assert.equal((await filesBelow(join(root, 'scenes'))).filter((name) => name.endsWith('.png')).length, 4);
});

test('the command line: wrong usage is exit code 2', () => {
  for (const args of [
    ['check'], ['check', 'a', 'b'], ['check', 'a', '--ab', 'left'], ['prepare', 'a'], ['prepare', 'a', 'b', '--scale', 'x'], ['prepare', 'a', 'b', '--crop', '-1'], ['prepare', 'a', 'b', '--format', 'zip'],
    ['prepare', 'a', 'b', '--blur', 'gauss'], ['prepare', 'a', 'b', '--sequences', 'A,,B'], ['synth', 'a'], ['synth', '--scenes', 'a', 'b'], ['synth', 'a', 'b', '--count', '0'],
    ['synth', 'a', 'b', '--size', '3x3'], ['synth', '--scenes', 'a', '--size', '3'], ['average', 'a', 'b', '--window', '9..3'], ['average', 'a', 'b', '--gamma', ''],
  ]) {
    const { status, stderr } = run('data', ...args);
    assert.equal(status, 2, args.join(' '));
    assert.match(stderr, /unshake: USAGE: /, args.join(' '));
  }
});
