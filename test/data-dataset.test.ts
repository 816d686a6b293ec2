import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { listFolder } from '../src/data/folders.js';
import { openDataset, pairsOf, readPair, sceneOf, type DatasetOptions } from '../src/dataset.js';
import { DataError } from '../src/errors.js';
import { besideEachOther } from '../src/image/image.js';
import { blurredPair, noise, picture, temporaryFolder, writePairs, writeTree } from './data-pictures.js';

async function refused(path: string, pattern: RegExp, options?: DatasetOptions): Promise<void> {
  await assert.rejects(openDataset(path, options), (error) => error instanceof DataError && pattern.test(error.message) && !error.message.includes('\n'), String(pattern));
}

for (const names of [['blur', 'sharp'], ['input', 'target'], ['A', 'B']] as const) {
  test(`${names.join('/ + ')}/ with equal stems are pairs, extensions may differ`, async (t) => {
    const root = await temporaryFolder(t), { blur, sharp } = blurredPair(1);
    await writeTree(root, { [`${names[0]}/one.png`]: blur, [`${names[1]}/one.tiff`]: sharp, [`${names[1]}/.DS_Store`]: 'x', [`${names[0]}/notes.txt`]: 'x' });
    const dataset = await openDataset(root);
    assert.equal(dataset.kind, 'folders');
    assert.deepEqual(Object.keys(dataset.splits), ['all']);
    const [pair] = pairsOf(dataset, 'all');
    assert.equal(pair.name, 'one');
    const read = await readPair(pair);
    assert.deepEqual(read.blur.data, blur.data);
    assert.deepEqual(read.sharp.data, sharp.data);
  });
}

test('splits inside both folders are splits, whatever the names: A/train + B/train', async (t) => {
  const root = await temporaryFolder(t), { blur, sharp } = blurredPair(1);
  for (const [split, stems] of [['train', ['00001', '00002', 'cat']], ['test', ['00001', 'dog']]] as const) {
    for (const stem of stems) await writeTree(root, { [`A/${split}/${stem}.png`]: blur, [`B/${split}/${stem}.png`]: sharp });
  }
  const dataset = await openDataset(root);
  assert.equal(dataset.kind, 'folders');
  assert.deepEqual(Object.keys(dataset.splits), ['train', 'test']);
  assert.deepEqual(pairsOf(dataset, 'train').map(({ name, scene }) => [name, scene]), [['00001', '00001'], ['00002', '00002'], ['cat', 'cat']]);
  const [first] = pairsOf(dataset, 'test');
  assert.deepEqual([first.sharp, first.blur], [{ file: join(root, 'B', 'test', '00001.png') }, { file: join(root, 'A', 'test', '00001.png') }]);

  await writeTree(root, { 'A/val/x.png': blur });
  await refused(root, /B\/val: no such folder: expected the partners of those in .*A\/val/);
  assert.deepEqual(Object.keys((await openDataset(root, { recipe: 'shake' })).splits), ['train', 'test']);
  await writeTree(root, { 'B/val/x.png': sharp, 'B/stray.png': sharp });
  await refused(root, /B\/stray\.png: expected all pictures inside train\/, val\/, test\//);
});

test('side-by-side pairs: sharp left by default, blur left when said', async (t) => {
  const root = await temporaryFolder(t), { blur, sharp } = blurredPair(2);
  await writeTree(root, { 'train/1.png': besideEachOther([sharp, blur]), 'test/2.png': besideEachOther([sharp, blur]) });
  const dataset = await openDataset(root);
  assert.equal(dataset.kind, 'side-by-side');
  assert.deepEqual(Object.keys(dataset.splits), ['train', 'test']);
  const read = await readPair(pairsOf(dataset, 'test')[0]);
  assert.deepEqual([read.sharp.width, read.sharp.height], [48, 40]);
  assert.deepEqual(read.sharp.data, sharp.data);
  assert.deepEqual(read.blur.data, blur.data);
  const other = await readPair(pairsOf(await openDataset(root, { ab: 'blur-left' }), 'test')[0]);
  assert.deepEqual(other.sharp.data, blur.data);
  assert.throws(() => pairsOf(dataset, 'val'), /val\/.*train\/, test\//);
});

test('the GOPRO_Large tree: blur or blur_gamma, named; the scene is the sequence', async (t) => {
  const root = await temporaryFolder(t);
  const { blur, sharp } = blurredPair(3), gamma = noise(4);
  for (const folder of ['train/GOPR0372_07_00', 'train/GOPR0374_11_00', 'test/GOPR0384_11_00']) {
    for (const frame of ['000047', '000048']) await writeTree(root, { [`${folder}/blur/${frame}.png`]: blur, [`${folder}/blur_gamma/${frame}.png`]: gamma, [`${folder}/sharp/${frame}.png`]: sharp });
  }
  const linear = await openDataset(root), curved = await openDataset(root, { blurFolder: 'blur_gamma' });
  assert.deepEqual([linear.kind, linear.blurFolder, curved.blurFolder], ['gopro', 'blur', 'blur_gamma']);
  assert.deepEqual(pairsOf(linear, 'train').map(({ name, scene }) => [name, scene]), [
    ['GOPR0372_07_00_000047', 'GOPR0372_07_00'], ['GOPR0372_07_00_000048', 'GOPR0372_07_00'], ['GOPR0374_11_00_000047', 'GOPR0374_11_00'], ['GOPR0374_11_00_000048', 'GOPR0374_11_00'],
  ]);
  assert.deepEqual((await readPair(pairsOf(linear, 'test')[0])).blur.data, blur.data);
  assert.deepEqual((await readPair(pairsOf(curved, 'test')[0])).blur.data, gamma.data);
  // One split, and one sequence, are datasets too.
  assert.equal(pairsOf(await openDataset(join(root, 'train')), 'all').length, 4);
  const sequence = pairsOf(await openDataset(join(root, 'test/GOPR0384_11_00')), 'test');
  assert.deepEqual([sequence.length, sequence[0].scene], [2, 'GOPR0384_11_00']);
  const oneCurved = await openDataset(join(root, 'test/GOPR0384_11_00'), { blurFolder: 'blur_gamma' });
  assert.deepEqual((await readPair(pairsOf(oneCurved, 'all')[0])).blur.data, gamma.data);
});

test('a tree with blur_gamma only is taken, and named', async (t) => {
  const root = await temporaryFolder(t), { blur, sharp } = blurredPair(3);
  await writeTree(root, { 'GOPR0372_07_00/blur_gamma/1.png': blur, 'GOPR0372_07_00/sharp/1.png': sharp });
  assert.equal((await openDataset(root)).blurFolder, 'blur_gamma');
  await refused(root, /GOPR0372_07_00: expected blur\/, found blur_gamma\/, sharp\//, { blurFolder: 'blur' });
});

test('scenes are read from names', () => {
  for (const [name, scene] of [
    ['GOPR0477_11_00_c000008_n07', 'GOPR0477_11_00'], ['nah_GOPR0396_11_00_flower', 'GOPR0396_11_00'], ['reds_train_001_00000009', 'reds_train_001'],
    ['000/00000012', '000'], ['walk/17', 'walk'], ['epoch001', 'epoch001'], ['dh_00', 'dh_00'], ['12', '12'],
  ]) assert.equal(sceneOf(name), scene);
});

test('the second blur of a photo belongs to its scene', async (t) => {
  const root = await temporaryFolder(t);
  await writePairs(root, ['cat', 'cat_2', 'dog_1']);
  assert.deepEqual(pairsOf(await openDataset(root), 'all').map(({ scene }) => scene), ['cat', 'cat', 'dog_1']);
});

test('folders below blur/ and sharp/ are searched, links are followed', async (t) => {
  const root = await temporaryFolder(t);
  await writePairs(join(root, 'real'), ['000/00000001', '000/00000002', '001/00000001']);
  await symlink(join(root, 'real'), join(root, 'linked'));
  const pairs = pairsOf(await openDataset(join(root, 'linked')), 'all');
  assert.deepEqual(pairs.map(({ name, scene }) => [name, scene]), [['000/00000001', '000'], ['000/00000002', '000'], ['001/00000001', '001']]);
});

test('a recipe blurs sharp photos, or the sharp side of pairs, the same each time', async (t) => {
  const root = await temporaryFolder(t), { sharp, blur } = blurredPair(5);
  await writeTree(root, { 'photos/a.png': sharp, 'photos/deeper/b.png': sharp, 'pairs/sharp/a.png': sharp, 'pairs/blur/a.png': blur });
  const photos = await openDataset(join(root, 'photos'), { recipe: 'shake' });
  assert.equal(photos.kind, 'photos');
  const [a, b] = pairsOf(photos, 'all');
  assert.deepEqual([a.name, b.name], ['a', 'deeper/b']);
  const first = await readPair(a);
  assert.deepEqual(first, await readPair(a));
  assert.notDeepEqual(first.blur.data, (await readPair(b)).blur.data);
  const [pair] = pairsOf(await openDataset(join(root, 'pairs'), { recipe: 'shake' }), 'all');
  assert.deepEqual((await readPair(pair)).blur.data, first.blur.data);
});

test('sharp photos without a recipe are refused, with the cure', async (t) => {
  const root = await temporaryFolder(t);
  await writeTree(root, { 'a.png': noise(1), 'b.png': noise(2) });
  await refused(root, /2 single photos.*data synth.*blur: photo/);
});

test('sky over ground does not make a photo a pair; a photo with its blur beside it is one, at any aspect', async (t) => {
  const root = await temporaryFolder(t), { blur, sharp } = blurredPair(6, 32, 64);
  const grain = noise(3, 60, 40);
  await writeTree(root, { 'landscape/1.png': picture(60, 40, (x, y, c) => (y < 16 ? 200 : 30) + grain.data[(y * 60 + x) * 3 + c] / 8), 'portraits/1.png': besideEachOther([sharp, blur]) });
  await refused(join(root, 'landscape'), /single photos/);
  assert.equal((await openDataset(join(root, 'portraits'))).kind, 'side-by-side');
});

test('blank side-by-side pictures and unlike halves are still pairs', async (t) => {
  const root = await temporaryFolder(t);
  await writeTree(root, { 'blank/1.png': picture(48, 40, () => 7), 'unlike/1.png': besideEachOther([noise(1, 40, 40), noise(2, 40, 40)]) });
  assert.equal((await openDataset(join(root, 'blank'))).kind, 'side-by-side');
  assert.equal((await openDataset(join(root, 'unlike'))).kind, 'side-by-side');
});

test('what is wrong is said by name, in one line', async (t) => {
  const root = await temporaryFolder(t), image = noise(1);
  const tree = async (name: string, files: Parameters<typeof writeTree>[1]): Promise<string> => {
    await mkdir(join(root, name), { recursive: true });
    await writeTree(join(root, name), files);
    return join(root, name);
  };
  await refused(join(root, 'absent'), /absent: no such folder/);
  await refused(join(await tree('file', { 'x.png': image }), 'x.png'), /x\.png: expected a folder, got a file/);
  await refused(await tree('empty', {}), /empty: empty: expected blur\/ \+ sharp\//);
  await refused(await tree('other', { 'things/a.txt': 'x' }), /found only the folders things/);
  const unpaired = await tree('unpaired', { 'blur/a.png': image, 'blur/b.png': image, 'sharp/a.png': image, 'sharp/c.png': image });
  await refused(unpaired, /blur\/b\.png: no partner: expected .*sharp\/b\.\* \(and 1 more: unshake data check/);
  await refused(await tree('lonely', { 'blur/a.png': image }), /blur: expected its partner folder sharp\/ beside it/);
  await refused(await tree('lonely2', { 'target/a.png': image }), /target: expected its partner folder input\/ beside it/);
  const hollow = await tree('hollow', { 'blur/a.png': image });
  await mkdir(join(hollow, 'sharp'));
  await refused(hollow, /hollow\/sharp: empty: expected pictures$/);
  await refused(await tree('twice', { 'blur/a.png': image, 'blur/a.jpg': image, 'sharp/a.png': image }), /blur\/a\.png: has the same stem as a\.jpg/);
  await refused(await tree('mixed', { 'train/blur/a.png': image, 'train/sharp/a.png': image, 'val/a.png': besideEachOther([image, image]) }), /val: expected the same shape as the other splits \(folders\), found side-by-side/);
  await refused(await tree('gopro', { 'GOPR0001_11_00/blur/a.png': image, 'GOPR0001_11_00/sharp/a.png': image, 'stray/a.png': image }), /stray: expected blur\/ and sharp\/ inside/);
  await refused(await tree('plain', { 'blur/a.png': image, 'sharp/a.png': image }), /expected blur_gamma\//, { blurFolder: 'blur_gamma' });
  await refused(await tree('blursOnly', { 'blur/a.png': image }), /partner folder sharp\//, { recipe: 'shake' });
  await refused(await tree('halfsplit', { 'train/blur/a.png': image, 'train/sharp/a.png': image, 'val/readme.txt': 'x' }), /halfsplit\/val: empty/);
});

test('sizes are checked when a pair is read', async (t) => {
  const root = await temporaryFolder(t);
  await writeTree(root, { 'folders/blur/a.png': noise(1, 48, 40), 'folders/sharp/a.png': noise(2, 48, 41), 'ab/a.png': noise(3, 81, 40) });
  await assert.rejects(readPair(pairsOf(await openDataset(join(root, 'folders')), 'all')[0]), (error) => error instanceof DataError && /blur\/a\.png: 48×40, but its sharp partner .*sharp\/a\.png is 48×41/.test(error.message));
  const odd = { name: 'a', scene: 'a', sharp: { file: join(root, 'ab/a.png'), half: 'left' as const }, blur: { file: join(root, 'ab/a.png'), half: 'right' as const } };
  await assert.rejects(readPair(odd), /ab\/a\.png: expected a side-by-side pair of even width, got 81×40/);
});

test('a folder that can not be listed is an error that names it; pipes with a picture\'s name are no pictures', { skip: process.platform === 'win32' && 'needs mkfifo' }, async (t) => {
  const root = await temporaryFolder(t);
  await writeTree(root, { 'real.png': 'x' });
  spawnSync('mkfifo', [join(root, 'pipe.png')]);
  await symlink('pipe.png', join(root, 'link.png'));
  await symlink('absent.png', join(root, 'dangling.png'));
  assert.deepEqual(await listFolder(root), { folders: [], images: ['dangling.png', 'real.png'] });
  await assert.rejects(listFolder(join(root, 'absent')), (error) => error instanceof DataError && /absent: can't be listed \(ENOENT/.test(error.message));
  await symlink('loop', join(root, 'loop'));
  await refused(join(root, 'loop'), /loop: can't be read \(ELOOP/);
});
