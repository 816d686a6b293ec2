import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openLoader, type LoaderOptions } from '../src/data.js';
import { readPair } from '../src/dataset.js';
import { ConfigError, DataError } from '../src/errors.js';
import type { RgbImage } from '../src/image/image.js';
import { cached } from '../src/data/cache.js';
import { noise, temporaryFolder, writePairs, writeTree } from './data-pictures.js';
import { batches, numbered, withLoader } from './data-loading.js';

test('a batch follows from (seed, step): not from restarts, order, threads, cache or look-ahead', async (t) => {
  const root = await temporaryFolder(t);
  await writePairs(join(root, 'real'), numbered(6));
  await writeTree(join(root, 'photos'), { 'a.png': noise(1, 60, 50), 'b.png': noise(2, 60, 50) });
  const sources = [{ path: join(root, 'real'), weight: 2 }, { path: join(root, 'photos'), weight: 1, blur: 'photo' as const }];
  const straight = await batches({ sources }, [0, 1, 2, 3, 4, 5]);
  assert.deepEqual(await batches({ sources, workers: 3, ahead: 0, cacheBytes: 0 }, [3, 4, 5]), straight.slice(3));
  assert.deepEqual(await batches({ sources, workers: 2, ahead: 2 }, [5, 0, 4, 4]), [straight[5], straight[0], straight[4], straight[4]]);
  assert.notDeepEqual((await batches({ sources, seed: 6 }, [0]))[0], straight[0]);
  assert.notDeepEqual(straight[0], straight[1]);
});

test('processes take slices that make up the whole batch', async (t) => {
  const root = await temporaryFolder(t);
  await writePairs(root, numbered(6));
  const sources = [{ path: root }];
  const [whole] = await batches({ sources, batchSize: 6 }, [3]);
  const slices = await Promise.all([0, 1, 2].map(async (rank) => (await batches({ sources, batchSize: 2, share: { rank, localSize: 3 } }, [3]))[0]));
  assert.deepEqual(slices.flatMap(({ names }) => names), whole.names);
  assert.deepEqual(Buffer.concat(slices.map(({ blur }) => blur)), Buffer.from(whole.blur));
  assert.deepEqual(slices.map(({ first }) => first), [0, 2, 4]);
});

test('sources are drawn by their weights', async (t) => {
  const root = await temporaryFolder(t);
  await writePairs(join(root, 'x/train'), numbered(2, 'x'));
  await writePairs(join(root, 'y/train'), numbered(9, 'y'));
  await writePairs(join(root, 'z/train'), numbered(3, 'z'));
  const sources = [{ path: join(root, 'x'), weight: 3 }, { path: join(root, 'y') }, { path: join(root, 'z'), weight: 0 }];
  const names = (await batches({ sources, batchSize: 100 }, [0, 1, 2, 3])).flatMap((batch) => batch.names);
  const share = names.filter((name) => name.startsWith('x')).length / names.length;
  assert.ok(Math.abs(share - 0.75) < 0.07, `3 of 4 expected from x, got ${share}`);
  assert.equal(names.filter((name) => name.startsWith('z')).length, 0);
});

test('validation: val/ where there is one, 5 % of the scenes where not, never trained on', async (t) => {
  const root = await temporaryFolder(t);
  await writePairs(join(root, 'split/train'), numbered(3, 'train'));
  await writePairs(join(root, 'split/val'), numbered(2, 'val'));
  await writePairs(join(root, 'split/test'), numbered(2, 'test'));
  const scenes = Array.from({ length: 40 }, (_, i) => `s${String(i).padStart(3, '0')}`);
  await writePairs(join(root, 'scenes'), scenes.flatMap((scene) => [`${scene}_00000001`, `${scene}_00000002`]));
  await withLoader({ sources: [{ path: join(root, 'split') }, { path: join(root, 'scenes') }] }, async (loader) => {
    assert.deepEqual(loader.validation.map(({ name }) => name), ['val0', 'val1']);
    assert.deepEqual(loader.sources.map(({ trainPairs }) => trainPairs), [3, 80]);
    const names = (await loader.batch(0)).names;
    assert.ok(names.every((name) => !name.startsWith('val') && !name.startsWith('test')));
  });
  const held = await withLoader({ sources: [{ path: join(root, 'scenes') }], batchSize: 64 }, async (loader) => {
    assert.equal(loader.validation.length, 4);
    assert.deepEqual([loader.sources[0].trainPairs, loader.sources[0].validationScenes.length], [76, 2]);
    const validationScenes = new Set(loader.validation.map(({ scene }) => scene));
    for (let step = 0; step < 4; step++) for (const name of (await loader.batch(step)).names) assert.ok(!validationScenes.has(name.slice(0, 4)), `${name} is trained on`);
    return loader.validation;
  });
  await withLoader({ sources: [{ path: join(root, 'scenes') }], limitPairs: 5 }, async ({ validation }) => assert.deepEqual(validation, held));
  await withLoader({ sources: [{ path: join(root, 'scenes') }], seed: 77 }, async ({ validation }) => assert.notDeepEqual(validation, held));
});

test('validation of photos: none beside real pairs, 5 % alone, each with a fixed blur', async (t) => {
  const root = await temporaryFolder(t);
  await writePairs(join(root, 'real'), numbered(4));
  await writeTree(join(root, 'photos'), Object.fromEntries(numbered(30).map((name, i) => [`${name}.png`, noise(i, 40, 32)])));
  const photos = { path: join(root, 'photos'), blur: 'shake' as const };
  await withLoader({ sources: [{ path: join(root, 'real') }, photos] }, async (loader) => {
    assert.deepEqual(loader.sources.map(({ trainPairs, validationPairs }) => [trainPairs, validationPairs]), [[3, 1], [30, 0]]);
  });
  await withLoader({ sources: [photos] }, async (loader) => {
    assert.deepEqual(loader.sources.map(({ trainPairs, validationPairs }) => [trainPairs, validationPairs]), [[28, 2]]);
    assert.deepEqual(await readPair(loader.validation[0]), await readPair(loader.validation[0]));
  });
});

test('a scene held out of one source is not trained on through another', async (t) => {
  const root = await temporaryFolder(t);
  const frames = (sequence: string): string[] => [`${sequence}_000001`, `${sequence}_000002`];
  await writePairs(join(root, 'one/train'), frames('GOPR0372_07_00'));
  await writePairs(join(root, 'one/val'), frames('GOPR0374_11_00'));
  await writePairs(join(root, 'two'), [...frames('GOPR0374_11_00'), ...frames('GOPR0379_11_00')]);
  await withLoader({ sources: [{ path: join(root, 'one') }, { path: join(root, 'two') }], batchSize: 64 }, async (loader) => {
    assert.equal(loader.sources[1].trainPairs, 2);
    assert.ok((await loader.batch(0)).names.every((name) => !name.startsWith('GOPR0374')));
  });
  await writePairs(join(root, 'same'), numbered(6));
  await withLoader({ sources: [{ path: join(root, 'same') }, { path: join(root, 'same'), blur: 'shake' }], batchSize: 64 }, async (loader) => {
    assert.deepEqual(loader.sources.map(({ trainPairs }) => trainPairs), [5, 5]);
    assert.ok(!(await loader.batch(0)).names.includes(loader.validation[0].name));
  });
  const overlapping = openLoader({ sources: [{ path: join(root, 'one') }, { path: join(root, 'one/val') }], seed: 1, batchSize: 1, crop: 8 });
  await assert.rejects(overlapping, (error) => error instanceof DataError && /one\/val: every pair belongs to a scene that another source holds out/.test(error.message));
});

test('one scene alone is all trained on: nothing can be held out', async (t) => {
  const root = await temporaryFolder(t);
  await writePairs(root, ['GOPR0372_07_00_1', 'GOPR0372_07_00_2']);
  await withLoader({ sources: [{ path: root }] }, async (loader) => {
    assert.equal(loader.validation.length, 0);
    assert.equal(loader.sources[0].trainPairs, 2);
  });
});

test('limitPairs keeps a seeded subset, each smaller one inside of the larger', async (t) => {
  const root = await temporaryFolder(t);
  await writePairs(join(root, 'a/train'), numbered(12, 'a'), { width: 16, height: 16 });
  await writePairs(join(root, 'b/train'), numbered(8, 'b'), { width: 16, height: 16 });
  const sources = [{ path: join(root, 'a') }, { path: join(root, 'b') }];
  const used = async (limitPairs: number, seed = 5): Promise<Set<string>> =>
    new Set((await batches({ sources, limitPairs, seed, batchSize: 60 }, [0, 1, 2, 3])).flatMap(({ names }) => names));
  const three = await used(3), ten = await used(10);
  assert.deepEqual([three.size, ten.size], [3, 10]);
  assert.ok([...three].every((name) => ten.has(name)));
  assert.notDeepEqual(await used(3, 6), three);
  assert.equal((await used(1)).size, 1);
  assert.equal((await used(500)).size, 18); // all but the two held out
});

test('impossible settings are refused by name', async (t) => {
  const root = await temporaryFolder(t);
  await writePairs(join(root, 'pairs'), numbered(2));
  await writePairs(join(root, 'test-only/test'), numbered(2));
  const good = { sources: [{ path: join(root, 'pairs') }], seed: 1, batchSize: 1, crop: 8 }, path = join(root, 'pairs');
  const cases: [Partial<LoaderOptions>, typeof DataError | typeof ConfigError, RegExp][] = [
    [{ sources: [] }, ConfigError, /at least one source/],
    [{ sources: [{ path, weight: -1 }] }, ConfigError, /pairs: expected a weight of 0 or more, got -1/],
    [{ sources: [{ path, weight: NaN }] }, ConfigError, /got NaN/],
    [{ sources: [{ path, weight: 0 }, { path, weight: 0 }] }, ConfigError, /weight above 0/],
    [{ batchSize: 0 }, ConfigError, /batchSize: expected a whole number of at least 1, got 0/],
    [{ crop: 2.5 }, ConfigError, /crop: .*got 2\.5/],
    [{ workers: 0 }, ConfigError, /workers/],
    [{ seed: -1 }, ConfigError, /seed/],
    [{ limitPairs: 0 }, ConfigError, /limitPairs/],
    [{ sources: [{ path: join(root, 'absent') }] }, DataError, /absent: no such folder/],
    [{ sources: [{ path: join(root, 'test-only') }] }, DataError, /test-only: expected a split train\/, found test\/ only/],
  ];
  for (const [change, kind, pattern] of cases) await assert.rejects(openLoader({ ...good, ...change }), (error) => error instanceof kind && pattern.test(error.message), String(pattern));
});

test("a file's fault surfaces as a DataError that names it, and other steps go on", async (t) => {
  const root = await temporaryFolder(t);
  const faulty = async (name: string, files: Parameters<typeof writeTree>[1], pattern: RegExp): Promise<void> => {
    await writeTree(join(root, name, 'train'), files);
    await withLoader({ sources: [{ path: join(root, name) }] }, async (loader) => {
      for (let attempt = 0; attempt < 2; attempt++) {
        await assert.rejects(loader.batch(attempt), (error) => error instanceof DataError && pattern.test(error.message) && !error.message.includes('\n'), String(pattern));
      }
    });
  };
  const good = noise(1, 64, 64);
  await writeTree(root, { 'good.png': good });
  const truncated = (await readFile(join(root, 'good.png'))).subarray(0, 3000);
  await faulty('text', { 'blur/a.png': 'not a picture', 'sharp/a.png': good }, /text\/train\/blur\/a\.png: can't be read as an image/);
  await faulty('truncated', { 'blur/a.png': good, 'sharp/a.png': truncated }, /truncated\/train\/sharp\/a\.png: can't be read as an image/);
  await faulty('sizes', { 'blur/a.png': noise(1, 64, 60), 'sharp/a.png': good }, /sizes\/train\/blur\/a\.png: 64×60, but its sharp partner .* is 64×64/);
  await faulty('small', { 'blur/a.png': noise(1, 15, 64), 'sharp/a.png': noise(2, 15, 64) }, /small\/train\/sharp\/a\.png: 15×64 is smaller than the crop, 16×16/);
});

test('close() ends the threads, and what was awaited is rejected', async (t) => {
  const root = await temporaryFolder(t);
  await writeTree(root, { 'a.png': noise(1, 200, 200) });
  const loader = await openLoader({ sources: [{ path: root, blur: 'photo' }], seed: 1, batchSize: 8, crop: 128, workers: 2 });
  const awaited = assert.rejects(loader.batch(0), /the data loader was closed/);
  await loader.close();
  await awaited;
  await assert.rejects(loader.batch(1), /the data loader was closed/);
  await loader.close();
});

test('a process that forgets close() ends by itself, and not before its batch is there', async (t) => {
  const root = await temporaryFolder(t);
  await writePairs(root, numbered(3));
  const script = `
    const { openLoader } = await import(${JSON.stringify(new URL('../src/data.js', import.meta.url).href)});
    const loader = await openLoader({ sources: [{ path: ${JSON.stringify(root)} }], seed: 1, batchSize: 2, crop: 8, workers: 2 });
    console.log((await loader.batch(0)).blur.length);
  `;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8', timeout: 30_000 });
  assert.deepEqual([status, stdout, stderr], [0, `${2 * 8 * 8 * 3}\n`, '']);
});

test('the cache keeps the pictures used last, under its cap, and forgets failures', async () => {
  const decoded: string[] = [];
  const decode = cached(async (file): Promise<RgbImage> => {
    decoded.push(file);
    if (file === 'bad') throw new Error('bad');
    return noise(1, 10, 10);
  }, 2 * 300);
  await Promise.all([decode('a'), decode('a')]);
  await decode('b');
  await decode('a');
  await decode('c'); // b was used longest ago
  await decode('a');
  await decode('b');
  await assert.rejects(decode('bad'));
  await assert.rejects(decode('bad'));
  assert.deepEqual(decoded, ['a', 'b', 'c', 'b', 'bad', 'bad']);
});
