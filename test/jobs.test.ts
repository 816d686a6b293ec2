/** Plans of which picture becomes which: nothing over an input, the same command twice, what can't be listed or read. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { after, before, test } from 'node:test';
import { ImageError, UsageError } from '../src/errors.js';
import { planJobs, type Plan } from '../src/jobs.js';

const windows = process.platform === 'win32';
let root: string;
before(async () => { root = await mkdtemp(join(tmpdir(), 'unshake-')); });
after(() => rm(root, { recursive: true }));

/** A folder of files without content. */
async function folderOf(name: string, files: string[]): Promise<string> {
  const folder = join(root, name);
  for (const file of files) {
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await writeFile(join(folder, file), '');
  }
  return folder;
}

const inputsOf = ({ jobs }: Plan, folder: string): string[] => jobs.map(({ input }) => relative(folder, input));
const refused = (inputs: string[], output?: string, options?: object): Promise<void> => assert.rejects(planJobs(inputs, output, options), UsageError, `${inputs.join(' ')} -o ${output}`);

test('no result goes over an input that another path or a link leads to', async () => {
  const album = await folderOf('album', ['a.png', 'trip/b.png']), link = join(root, 'album-link'), photo = join(root, 'photo-link.png');
  await symlink(album, link);
  await symlink(join(album, 'a.png'), photo);
  await refused([album], link);
  await refused([link], album);
  await refused([join(album, 'a.png')], join(link, 'a.png'));
  await refused([join(album, 'trip', 'b.png')], join(link, 'trip', '..', 'trip', 'b.png'));
  await refused([photo], join(album, 'a.png'));
  await refused([join(album, 'a.png'), join(link, 'trip', 'b.png')], join(link, 'trip'), undefined);
  assert.deepEqual((await planJobs([album], join(link, 'new', 'deep'))).jobs.map(({ output }) => relative(link, output)), [join('new', 'deep', 'a.png'), join('new', 'deep', 'trip', 'b.png')]);
});

test('the picture before and after is planned with the result, and goes over nothing either', async () => {
  const folder = await folderOf('pairs', ['x.before-after.png', 'y.png', 'other/y.before-after.png']), options = { beforeAfter: true };
  await refused([join(folder, 'x.before-after.png')], join(folder, 'x.png'), options);
  await refused([join(folder, 'y.png'), join(folder, 'other', 'y.before-after.png')], join(folder, 'out'), options);
  await refused(['-'], undefined, options);
  await refused([join(folder, 'y.png')], '-', options);
  const { jobs } = await planJobs([join(folder, 'y.png')], undefined, options);
  assert.deepEqual(jobs, [{ input: join(folder, 'y.png'), output: join(folder, 'y.deblurred.png'), beforeAfter: join(folder, 'y.before-after.png') }]);
});

test('existing results are passed over where every file that is planned is there', async () => {
  const folder = await folderOf('existing', ['a.png', 'a.deblurred.png', 'b.png', 'b.before-after.png', 'c.png', 'c.deblurred.png', 'c.before-after.png']);
  const inputs = ['a.png', 'b.png', 'c.png'].map((name) => join(folder, name));
  const both = await planJobs(inputs, undefined, { skipExisting: true, beforeAfter: true });
  assert.deepEqual([inputsOf(both, folder), both.skipped.map(({ input }) => input)], [['a.png', 'b.png'], [inputs[2]]]);
  assert.deepEqual(inputsOf(await planJobs(inputs, undefined, { skipExisting: true }), folder), ['b.png']);
});

test('a failure keeps its error, and JSON and copies do not see it', async () => {
  const { failed: [failure] } = await planJobs([join(root, 'absent.png')]);
  assert.ok(failure.error instanceof ImageError && failure.error.stack!.includes('jobs.'));
  assert.deepEqual(Object.keys(JSON.parse(JSON.stringify(failure)) as object), ['input', 'code', 'message']);
  assert.deepEqual(Object.keys({ ...failure }), ['input', 'code', 'message']);
});

test('*.png a second time: results of the first are passed over with a word, what is named twice is taken once', async () => {
  const names = ['a.png', 'a.deblurred.png', 'a.before-after.png', 'b.deblurred.png'], folder = await folderOf('twice', names);
  const plan = await planJobs([...names, 'a.png'].map((name) => join(folder, name)));
  assert.deepEqual(inputsOf(plan, folder), ['a.png', 'b.deblurred.png']);
  assert.deepEqual(plan.notes, ['2 results of earlier runs were passed over']);
  const again = await planJobs(names.map((name) => join(folder, name)), undefined, { skipExisting: true });
  assert.deepEqual([inputsOf(again, folder), again.skipped.length], [['b.deblurred.png'], 1]);
  assert.deepEqual(inputsOf(await planJobs([folder, join(folder, 'a.png')], join(root, 'twice-out')), folder), ['a.png']);
  await refused(['-', '-']);
});

test('a pattern does not reach into the folder that its results go to, by whatever path that is named', async () => {
  const folder = await folderOf('pattern', ['a.png', 'trip/b.png', 'sharp/a.png', 'sharp/trip/b.png']), link = join(root, 'sharp-link');
  await symlink(join(folder, 'sharp'), link);
  for (const output of [join(folder, 'sharp'), link]) {
    for (const input of [join(folder, '**', '*.png'), folder]) assert.deepEqual(inputsOf(await planJobs([input], output), folder), ['a.png', join('trip', 'b.png')]);
  }
});

test('a folder that can not be listed is one failure, and only where it is asked for', { skip: windows && 'has other permissions' }, async () => {
  const folder = await folderOf('locked', ['a.png', 'closed/b.png', 'open/c.png']);
  await chmod(root, 0o755);
  await chmod(join(folder, 'closed'), 0);
  const superuser = process.geteuid!() === 0; // who may list everything
  if (superuser) process.seteuid!(65534);
  try {
    for (const input of [folder, join(folder, '**', '*.png')]) {
      const plan = await planJobs([input]);
      assert.deepEqual(inputsOf(plan, folder), ['a.png', join('open', 'c.png')]);
      assert.deepEqual(plan.failed.map((failure) => failure.input), [join(folder, 'closed')]);
      assert.match(plan.failed[0].message, /closed: can't be listed \(EACCES/);
    }
    for (const pattern of ['*.png', join('o*', '*.png'), join('open', '**')]) assert.deepEqual((await planJobs([join(folder, pattern)])).failed, [], pattern);
    for (const name of ['b.png', '*.png']) assert.match((await planJobs([join(folder, 'closed', name)])).failed[0].message, /png: can't be read as an image \(EACCES/);
  } finally {
    if (superuser) process.seteuid!(0);
    await chmod(join(folder, 'closed'), 0o755);
  }
});

test('kinds that are not read: named, an error with the cure; in folders, one note', async () => {
  const folder = await folderOf('kinds', ['a.png', 'b.NEF', 'c.nef', 'trip/clip.mp4', 'notes.txt', '.hidden.nef']);
  for (const output of [undefined, join(root, 'from-raw.png')]) {
    const { failed: [{ message }] } = await planJobs([join(folder, 'b.NEF')], output);
    assert.match(message, /b\.NEF: expected a picture of a kind that is read \(\.png .*convert it to JPEG/);
    assert.doesNotMatch(message, /-o/);
  }
  assert.match((await planJobs([join(folder, 'notes.txt')])).failed[0].message, /'\.txt'; those that are: \.png/);
  const plan = await planJobs([folder, join(folder, '*')], join(root, 'kinds-out'));
  assert.deepEqual([inputsOf(plan, folder), plan.failed, plan.notes], [['a.png'], [], ['3 files of kinds that aren\'t read were passed over (.mp4, .nef)']]);
  assert.deepEqual((await planJobs([join(folder, '*.png')])).notes, []);
});

test('in folders, pipes with a picture\'s name are no pictures; links to pictures are', { skip: windows && 'needs mkfifo' }, async () => {
  const folder = await folderOf('pipes', ['a.png', 'folder.png/b.png']);
  spawnSync('mkfifo', [join(folder, 'pipe.png')]);
  for (const [name, target] of [['pipe-link.png', 'pipe.png'], ['link.png', 'a.png'], ['dangling.png', 'absent.png'], ['folder-link.png', 'folder.png']]) await symlink(target, join(folder, name));
  assert.deepEqual(inputsOf(await planJobs([folder]), folder), ['a.png', 'dangling.png', join('folder.png', 'b.png'), 'link.png']);
});
