import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, readdir, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateScene } from '../src/blur/scenes.js';
import { synthPairs, synthScenes } from '../src/blur/synth.js';
import { AbortedError, DataError, ImageError, UsageError } from '../src/errors.js';
import { readRgb, writeImage } from '../src/image/codec-node.js';
import { randomAt } from '../src/random.js';

let root = '', photos = '';

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'unshake-synth-'));
  photos = join(root, 'photos');
  await mkdir(photos);
  for (const [i, name] of ['ant.png', 'bee.jpg', 'cat.webp'].entries()) await writeImage(join(photos, name), generateScene(randomAt(i), 64 + 8 * i, 48));
  await writeFile(join(photos, 'notes.txt'), 'not a photo');
});
after(() => rm(root, { recursive: true, force: true }));

async function bytesOf(folder: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const half of ['blur', 'sharp']) {
    for (const name of (await readdir(join(folder, half))).sort()) files[`${half}/${name}`] = (await readFile(join(folder, half, name))).toString('base64');
  }
  return files;
}

test('one pair a photo: equal stems, the photo’s size, its own pixels as the target', async () => {
  const out = join(root, 'one');
  assert.deepEqual(await synthPairs(photos, out, { seed: 1 }), { out, pairs: 3, kept: 0 });
  const names = await readdir(join(out, 'blur'));
  assert.deepEqual(names.sort(), ['ant.png', 'bee.png', 'cat.png']);
  assert.deepEqual((await readdir(join(out, 'sharp'))).sort(), names);
  const [blur, sharp, photo] = await Promise.all([join(out, 'blur/bee.png'), join(out, 'sharp/bee.png'), join(photos, 'bee.jpg')].map(readRgb));
  assert.deepEqual(sharp.data, photo.data);
  assert.deepEqual([blur.width, blur.height], [72, 48]);
  assert.notDeepEqual(blur.data, sharp.data);
});

test('bytes depend on the seed, not on the number of threads', async () => {
  const [a, b, c] = ['a', 'b', 'c'].map((name) => join(root, name));
  await synthPairs(photos, a, { seed: 2, count: 5, workers: 1, recipe: 'photo' });
  await synthPairs(photos, b, { seed: 2, count: 5, workers: 3, recipe: 'photo' });
  await synthPairs(photos, c, { seed: 3, count: 5, recipe: 'photo' });
  assert.deepEqual(await bytesOf(b), await bytesOf(a));
  assert.notDeepEqual(await bytesOf(c), await bytesOf(a));
});

test('count: fewer are spread over the names, more blur each photo again', async () => {
  const few = join(root, 'few'), many = join(root, 'many');
  await synthPairs(photos, few, { count: 2 });
  assert.deepEqual((await readdir(join(few, 'blur'))).sort(), ['ant.png', 'bee.png']);
  await synthPairs(photos, many, { count: 5 });
  assert.deepEqual((await readdir(join(many, 'blur'))).sort(), ['ant.png', 'ant_2.png', 'bee.png', 'bee_2.png', 'cat.png']);
  const files = await bytesOf(many);
  assert.equal(files['sharp/ant.png'], files['sharp/ant_2.png']);
  assert.notEqual(files['blur/ant.png'], files['blur/ant_2.png']);
});

test('scenes: size, names, progress', async () => {
  const out = join(root, 'scenes');
  const seen: number[] = [];
  await synthScenes(out, { count: 3, width: 80, height: 56, onProgress: ({ done, total }) => { assert.equal(total, 3); seen.push(done); } });
  assert.deepEqual(seen, [1, 2, 3]);
  assert.deepEqual((await readdir(join(out, 'sharp'))).sort(), ['00000.png', '00001.png', '00002.png']);
  const scene = await readRgb(join(out, 'sharp/00001.png'));
  assert.deepEqual([scene.width, scene.height], [80, 56]);
  const files = await bytesOf(out);
  assert.equal(new Set(Object.values(files)).size, 6);
});

test('an interrupted run goes on and ends with the bytes of an uninterrupted one', async () => {
  const whole = join(root, 'whole'), halves = join(root, 'halves');
  const options = { count: 6, width: 48, height: 40, seed: 4 };
  await synthScenes(whole, options);
  const abort = new AbortController();
  await assert.rejects(synthScenes(halves, { ...options, workers: 1, signal: abort.signal, onProgress: ({ done }) => { if (done === 2) abort.abort(); } }), AbortedError);
  assert.equal((await readdir(join(halves, 'blur'))).length, 2);
  await rm(join(halves, 'blur', '00001.png'));
  assert.equal((await synthScenes(halves, options)).kept, 1);
  assert.deepEqual(await bytesOf(halves), await bytesOf(whole));
});

/** Blurs all photos of the folder but the last. */
async function interrupted(folder: string, out: string): Promise<void> {
  const abort = new AbortController(), count = (await readdir(folder)).length;
  await assert.rejects(synthPairs(folder, out, { workers: 1, signal: abort.signal, onProgress: ({ done }) => { if (done === count - 1) abort.abort(); } }), AbortedError);
}

test('going on: a torn picture is made again, and nothing is kept once other photos are there', async () => {
  const some = join(root, 'some'), out = join(root, 'going-on');
  await mkdir(some);
  for (const [i, name] of ['b.png', 'c.png', 'd.png'].entries()) await writeImage(join(some, name), generateScene(randomAt(i), 40, 40));
  await interrupted(some, out);
  await truncate(join(out, 'blur', 'b.png'), 300);
  assert.equal((await synthPairs(some, out)).kept, 1);
  assert.equal((await readRgb(join(out, 'blur', 'b.png'))).width, 40);

  await synthPairs(some, out, { seed: 1 });
  await interrupted(some, out);
  await writeImage(join(some, 'a.png'), generateScene(randomAt(9), 40, 40)); // the blur of the others is another one now
  assert.equal((await synthPairs(some, out)).kept, 0);
  assert.equal((await readdir(join(out, 'blur'))).length, 4);
});

test('nothing outside the folder is deleted, whatever its record names', async () => {
  const keep = join(root, 'keep'), out = join(root, 'led-out');
  for (const folder of [keep, out]) await mkdir(folder);
  await writeFile(join(keep, 'victim.png'), 'precious');
  const refused = async (expected: RegExp): Promise<void> => {
    await assert.rejects(synthScenes(out, { count: 1 }), (error) => error instanceof DataError && expected.test(error.message));
    assert.equal(await readFile(join(keep, 'victim.png'), 'utf8'), 'precious');
    assert.deepEqual(await readdir(keep), ['victim.png']);
  };
  const record = (...files: string[]): Promise<void> => writeFile(join(out, 'dataset.json'), JSON.stringify({ command: 'data synth', settings: {}, files, finished: true }));
  for (const name of ['../keep/victim.png', 'blur/../../keep/victim.png', '..\\keep\\victim.png', join(keep, 'victim.png')]) {
    await record('blur/00000.png', name);
    await refused(/led-out\/dataset\.json: expected the record of an earlier run \(it names .*victim\.png, which is not in the folder\); take a new or empty folder/);
  }
  await symlink(keep, join(out, 'blur'));
  await record('blur/victim.png');
  await refused(/led-out: expected a new or empty folder, or one of an earlier data synth; it holds blur$/);
  for (const name of ['dataset.json', 'blur']) await rm(join(out, name));
  await writeFile(join(out, 'synth.json'), JSON.stringify({ settings: {}, names: ['../../keep/victim'], complete: true }));
  await refused(/led-out: expected a new or empty folder.*; it holds synth\.json$/);
});

test('a finished folder is made anew: other options leave nothing of the old ones', async () => {
  const out = join(root, 'again');
  await synthScenes(out, { count: 4, width: 40, height: 40 });
  const first = await bytesOf(out);
  assert.equal((await synthScenes(out, { count: 4, width: 40, height: 40 })).kept, 0);
  assert.deepEqual(await bytesOf(out), first);
  await synthScenes(out, { count: 2, width: 40, height: 40, seed: 9 });
  const second = await bytesOf(out);
  assert.equal(Object.keys(second).length, 4);
  assert.notEqual(second['blur/00000.png'], first['blur/00000.png']);
});

test('errors name the file and what to do', async () => {
  const empty = join(root, 'empty');
  await mkdir(join(empty, 'inner'), { recursive: true });
  await assert.rejects(synthPairs(join(root, 'missing'), join(root, 'x')), (error) => error instanceof DataError && /missing: expected a folder/.test(error.message));
  await assert.rejects(synthPairs(empty, join(root, 'x')), (error) => error instanceof DataError && /no photo in it.*inner/.test(error.message));
  await assert.rejects(synthPairs(photos, join(root, 'one'), { recipe: 'soft' as 'shake' }), UsageError);
  for (const count of [0, -1, 1.5, NaN]) await assert.rejects(synthScenes(join(root, 'x'), { count }), UsageError);
  await assert.rejects(synthScenes(join(root, 'x'), { seed: -1 }), UsageError);
  await assert.rejects(synthScenes(join(root, 'x'), { width: 99_999_999, height: 3 }), (error) => error instanceof UsageError && /width: expected at most 16384 pixels, got 99999999/.test(error.message));
  await assert.rejects(synthScenes(join(photos, 'notes.txt', 'x')), DataError);
  await synthScenes(join(root, 'one'), { count: 2, width: 40, height: 40 });
  const before = await bytesOf(join(root, 'one'));
  await symlink(join(root, 'one'), join(root, 'link'));
  for (const [from, out] of [['one/sharp', 'one'], ['link/sharp', 'one'], ['one/blur', 'link'], ['one/sharp', 'one/sharp']]) {
    await assert.rejects(synthPairs(join(root, from), join(root, out)), (error) => error instanceof DataError && /would be made from .*\.png, which lies in it and must stay/.test(error.message), `${from} ${out}`);
    assert.deepEqual(await bytesOf(join(root, 'one')), before);
  }

  const foreign = join(root, 'foreign');
  await mkdir(join(foreign, 'blur'), { recursive: true });
  await writeFile(join(foreign, 'blur', 'mine.png'), 'precious');
  await assert.rejects(synthPairs(photos, foreign), (error) => error instanceof DataError && /mine\.png/.test(error.message));
  assert.equal(await readFile(join(foreign, 'blur', 'mine.png'), 'utf8'), 'precious');
});

test('photos with one stem, and photos that can’t be read, are named', async () => {
  const twins = join(root, 'twins');
  await mkdir(twins);
  for (const name of ['owl.png', 'owl.jpg']) await writeImage(join(twins, name), generateScene(randomAt(1), 16, 16));
  await assert.rejects(synthPairs(twins, join(root, 'twins-out')), (error) => error instanceof DataError && /owl\.jpg/.test(error.message) && /owl\.png/.test(error.message));

  const broken = join(root, 'broken');
  await mkdir(broken);
  await writeImage(join(broken, 'fine.png'), generateScene(randomAt(1), 16, 16));
  await writeFile(join(broken, 'torn.png'), 'PNG? no');
  await assert.rejects(synthPairs(broken, join(root, 'broken-out')), (error) => error instanceof ImageError && /torn\.png/.test(error.message));
  assert.ok(!(await readdir(join(root, 'broken-out', 'blur'))).includes('torn.png'));
});
