import { test } from 'node:test';
import assert from 'node:assert/strict';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { checkDataset, type CheckReport } from '../src/data-check.js';
import { synthPairs } from '../src/blur/synth.js';
import { AbortedError } from '../src/errors.js';
import { besideEachOther } from '../src/image/image.js';
import { blurredPair, noise, picture, temporaryFolder, writePairs, writeTree } from './data-pictures.js';

const problemsOf = (root: string, { problems }: CheckReport): string[] => problems.map(({ path, message }) => `${relative(root, path)}: ${message.replaceAll(`${root}/`, '')}`);

test('a good dataset: what it is, splits, scenes and sizes', async (t) => {
  const root = await temporaryFolder(t);
  await writePairs(join(root, 'train'), ['GOPR0001_11_00_1', 'GOPR0001_11_00_2', 'b']);
  await writePairs(join(root, 'val'), ['c'], { width: 32, height: 24 });
  const progress: number[] = [];
  const report = await checkDataset(root, { onProgress: ({ done, total }) => { assert.equal(total, 4); progress.push(done); } });
  assert.deepEqual(report, {
    path: root, kind: 'folders', blurFolder: null, pairs: 4, problems: [], ok: true,
    splits: { train: { pairs: 3, scenes: 2, sizes: { '48×40': 3 } }, val: { pairs: 1, scenes: 1, sizes: { '32×24': 1 } } },
    warnings: [],
  });
  assert.deepEqual(progress, [1, 2, 3, 4]);
});

test('everything that is wrong is listed, each by its file', async (t) => {
  const root = await temporaryFolder(t), { blur, sharp } = blurredPair(1), blank = picture(48, 40, () => 90);
  await writeTree(root, {
    'blur/good.png': blur, 'sharp/good.png': sharp,
    'blur/alone.png': blur, 'sharp/lonely.png': sharp,
    'blur/size.png': noise(2, 40, 40), 'sharp/size.png': sharp,
    'blur/text.png': 'not a picture', 'sharp/text.png': sharp,
    'blur/zero.png': '', 'sharp/zero.png': noise(3),
    'blur/same.png': noise(4), 'sharp/same.png': noise(4),
    'blur/blank.png': blank, 'sharp/blank.png': noise(5),
    'blur/cut.png': blur, 'sharp/cut.png': noise(6, 64, 64),
    'blur/cutjpeg.png': blur, 'sharp/cutjpeg.jpg': noise(7, 64, 64),
  });
  for (const name of ['sharp/cut.png', 'sharp/cutjpeg.jpg']) await writeFile(join(root, name), (await readFile(join(root, name))).subarray(0, 2000));
  const report = await checkDataset(root), problems = problemsOf(root, report);
  assert.equal(report.ok, false);
  for (const expected of [
    /^blur\/alone\.png: no partner: expected sharp\/alone\.\*$/, /^sharp\/lonely\.png: no partner: expected blur\/lonely\.\*$/,
    /^blur\/size\.png: 40×40, but its sharp partner sharp\/size\.png is 48×40; expected equal sizes$/,
    /^blur\/text\.png: can't be read/, /^blur\/zero\.png: can't be read/, /^sharp\/cut\.png: can't be read/, /^sharp\/cutjpeg\.jpg: can't be read/,
    /^blur\/same\.png: identical to its sharp partner sharp\/same\.png/, /^blur\/blank\.png: the blurred picture is blank/,
  ]) assert.equal(problems.filter((problem) => expected.test(problem)).length, 1, `${expected} in\n${problems.join('\n')}`);
  assert.equal(problems.length, 9);
});

test('side-by-side: a broken file is said once, an odd width, equal and blank halves by name', async (t) => {
  const root = await temporaryFolder(t), blank = picture(48, 40, () => 0);
  for (let i = 0; i < 4; i++) await writeTree(root, { [`good${i}.png`]: besideEachOther([blurredPair(i).sharp, blurredPair(i).blur]) });
  await writeTree(root, { 'broken.png': 'x', 'odd.png': noise(1, 97, 40), 'equal.png': besideEachOther([noise(2), noise(2)]), 'blank.png': besideEachOther([blank, noise(3)]) });
  const problems = problemsOf(root, await checkDataset(root));
  assert.equal(problems.length, 4, problems.join('\n'));
  assert.match(problems.join('\n'), /blank\.png: the sharp picture \(left half\) is blank/);
  assert.match(problems.join('\n'), /broken\.png: can't be read/);
  assert.match(problems.join('\n'), /equal\.png: identical to its sharp partner: /);
  assert.match(problems.join('\n'), /odd\.png: expected a side-by-side pair of even width, got 97×40/);
});

test('the wrong order, and pictures shared by two splits, are warnings', async (t) => {
  const root = await temporaryFolder(t);
  for (let i = 0; i < 4; i++) await writeTree(root, { [`${i < 2 ? 'train' : 'test'}/${i}.png`]: besideEachOther([blurredPair(i % 3).sharp, blurredPair(i % 3).blur]) });
  const right = await checkDataset(root), swapped = await checkDataset(root, { ab: 'blur-left' });
  assert.ok(right.ok && swapped.ok);
  assert.deepEqual(right.warnings, [{ path: join(root, 'test/3.png'), message: `the same sharp picture is in train/: ${join(root, 'train/0.png')}` }]);
  assert.ok(swapped.warnings.some(({ message }) => /in 4 of 4 pairs the blurred picture is the sharper one: swapped\? try --ab sharp-left/.test(message)));
});

test('pairs whose pictures show different things are a warning', async (t) => {
  const root = await temporaryFolder(t);
  for (let i = 0; i < 6; i++) await writeTree(root, { [`blur/${i}.png`]: blurredPair(i, 160, 128).blur, [`sharp/${i}.png`]: blurredPair(i < 2 ? i : i + 1, 160, 128).sharp });
  const { warnings, ok } = await checkDataset(root);
  assert.deepEqual([warnings, ok], [[{ path: root, message: "in 4 of 6 pairs the blurred and the sharp picture don't show the same (2, 3, 4 …): wrong partners?" }], true]);
  for (let i = 0; i < 6; i++) await writeTree(root, { [`sharp/${i}.png`]: blurredPair(i, 160, 128).sharp });
  assert.deepEqual((await checkDataset(root)).warnings, []);
});

test('pairs that data synth left unblurred on purpose are a warning', async (t) => {
  const root = await temporaryFolder(t);
  await writeTree(root, Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`photos/${i}.png`, noise(i, 32, 24)])));
  const identical = async (recipe: 'photo' | 'shake'): Promise<CheckReport> => {
    await synthPairs(join(root, 'photos'), join(root, recipe), { recipe, workers: 1 });
    // Whatever was drawn, one pair of each is identical.
    await copyFile(join(root, recipe, 'sharp/7.png'), join(root, recipe, 'blur/7.png'));
    return checkDataset(join(root, recipe));
  };
  const photo = await identical('photo'), shake = await identical('shake');
  assert.ok(photo.ok);
  assert.match(photo.warnings.map(({ message }) => message).join('\n'), /^\d+ pairs are identical: made by `data synth --recipe photo`/m);
  assert.deepEqual(shake.problems.map(({ path }) => relative(root, path)), ['shake/blur/7.png']);
});

test('sharp photos are a good source, blank and broken ones are named', async (t) => {
  const root = await temporaryFolder(t);
  await writeTree(root, { 'a.png': noise(1), 'b.png': noise(2), 'c.png': picture(48, 40, () => 3), 'd.png': 'x' });
  const report = await checkDataset(root);
  assert.equal(report.kind, 'photos');
  assert.deepEqual(problemsOf(root, report).map((problem) => problem.slice(0, 25)), ['c.png: the sharp picture i', "d.png: can't be read as a"].map((text) => text.slice(0, 25)));
});

test('nothing there, nothing known', async (t) => {
  const root = await temporaryFolder(t);
  const absent = await checkDataset(join(root, 'absent'));
  assert.deepEqual([absent.kind, absent.ok, absent.problems], [null, false, [{ path: join(root, 'absent'), message: 'no such folder' }]]);
  assert.deepEqual((await checkDataset(root)).problems.map(({ path }) => path), [root]);
});

test('a check can be aborted', async (t) => {
  const root = await temporaryFolder(t);
  await writePairs(root, ['a', 'b']);
  await assert.rejects(checkDataset(root, { signal: AbortSignal.abort() }), AbortedError);
});
