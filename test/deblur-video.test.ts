/** Videos through the user's ffmpeg: frames, sound, sizes, refusals, abort. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { deblurVideo, videoOutput } from '../src/deblur-video.js';
import { AbortedError, MissingError, ModelError, UsageError, VideoError } from '../src/errors.js';
import { openModel, type Model } from '../src/runtime/session.js';
import { brokenModel, identityModel } from './small-models.js';

const skip = spawnSync('ffmpeg', ['-version']).status !== 0 && 'ffmpeg is not installed';
const program = fileURLToPath(new URL('../../bin/unshake.js', import.meta.url));

let folder: string, clip: string, model: Model;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'unshake-'));
  clip = join(folder, 'clip.mp4');
  model = await openModel(identityModel());
  if (skip) return;
  ffmpeg('-f', 'lavfi', '-i', 'testsrc2=size=160x120:rate=30000/1001:duration=0.5', '-f', 'lavfi', '-i', 'sine=duration=0.5', '-c:v', 'libx264', '-crf', '10', '-pix_fmt', 'yuv420p', '-c:a', 'aac', clip);
});
after(async () => {
  await model.release();
  await rm(folder, { recursive: true });
});

function ffmpeg(...args: string[]): Buffer {
  return execFileSync('ffmpeg', ['-v', 'error', '-y', ...args], { maxBuffer: 2 ** 28, stdio: ['ignore', 'pipe', 'inherit'] });
}

function streamsOf(file: string): Record<string, string | number>[] {
  const json = execFileSync('ffprobe', ['-v', 'error', '-count_packets', '-show_entries', 'stream=codec_type,codec_name,width,height,r_frame_rate,nb_read_packets', '-of', 'json', file], { encoding: 'utf8' });
  return (JSON.parse(json) as { streams: Record<string, string | number>[] }).streams;
}

const soundOf = (file: string): Buffer => ffmpeg('-i', file, '-map', '0:a', '-c', 'copy', '-f', 'adts', 'pipe:1');
/** Brightness only: colours are stored at half the resolution. */
const framesOf = (file: string): Buffer => ffmpeg('-i', file, '-map', '0:v', '-f', 'rawvideo', '-pix_fmt', 'gray', 'pipe:1');

test('every frame is kept, close to what it was through an identity; sound is copied', { skip }, async () => {
  const output = join(folder, 'out.mp4'), seen: number[] = [], labels = new Set<string | undefined>();
  const result = await deblurVideo(model, clip, output, { onProgress: ({ done, total, label }) => { seen.push(done / total); labels.add(label?.replace(/[\d.]+/, 'N')); } });
  assert.deepEqual({ ...result, seconds: 0, fps: 0 }, { input: clip, output, width: 160, height: 120, frames: 15, fps: 0, tiles: 1, seconds: 0, device: model.device, model: 'identity' });
  assert.deepEqual(streamsOf(output), streamsOf(clip));
  assert.deepEqual(soundOf(output), soundOf(clip));
  const [a, b] = [framesOf(clip), framesOf(output)];
  assert.equal(a.length, 15 * 160 * 120);
  assert.equal(b.length, a.length);
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += Math.abs(a[i] - b[i]);
  assert.ok(sum / a.length < 2, `${(sum / a.length).toFixed(2)} of 255 on average`);
  assert.equal(seen.length, 15);
  assert.equal(seen.at(-1), 1);
  assert.deepEqual([...labels], ['N frames a second']);
});

test('turned, odd-sized and silent videos; WebM', { skip }, async () => {
  const turned = join(folder, 'turned.mov'), odd = join(folder, 'odd.mkv'), webm = join(folder, 'out.webm');
  // ffmpeg 6 and newer turn by an option, older ones by metadata.
  const byOption = spawnSync('ffmpeg', ['-v', 'error', '-y', '-display_rotation', '90', '-i', clip, '-c', 'copy', turned]);
  if (byOption.status !== 0) ffmpeg('-i', clip, '-c', 'copy', '-metadata:s:v:0', 'rotate=90', turned);
  const upright = await deblurVideo(model, turned, join(folder, 'upright.mov'));
  assert.deepEqual([upright.width, upright.height], [120, 160]);
  ffmpeg('-f', 'lavfi', '-i', 'testsrc2=size=80x60:rate=10:duration=0.3,scale=75:53,format=bgr0', '-c:v', 'ffv1', odd);
  const result = await deblurVideo(model, odd, join(folder, 'odd-out.mkv'));
  assert.deepEqual([result.width, result.height, result.frames], [75, 53, 3]);
  assert.equal(streamsOf(result.output).length, 1);
  await deblurVideo(model, odd, webm);
  assert.equal(streamsOf(webm)[0].codec_name, 'vp9');
});

/** A second of pictures and, for each codec, of silence that a tone ends. */
function videoWith(name: string, codecs: string[], layout = 'stereo'): string {
  const file = join(folder, name), inputs = codecs.flatMap((_, i) => ['-f', 'lavfi', '-i', `aevalsrc=gt(t\\,0.4)*sin(${1500 + 500 * i}*t):d=1:s=48000,aformat=channel_layouts=${layout}`]);
  ffmpeg('-f', 'lavfi', '-i', 'testsrc2=size=64x48:rate=10:duration=1', ...inputs, '-map', '0', ...codecs.flatMap((codec, i) => ['-map', `${i + 1}`, `-c:a:${i}`, codec]), '-c:v', 'libx264', '-strict', 'experimental', file);
  return file;
}

const soundsOf = (file: string): (string | number)[] => streamsOf(file).filter(({ codec_type }) => codec_type === 'audio').map(({ codec_name }) => codec_name);
const packetsOf = (file: string, nth: number): string => ffmpeg('-i', file, '-map', `0:a:${nth}`, '-c', 'copy', '-f', 'streamhash', 'pipe:1').toString().replace(/^.*=/, '');

/** The second in which a sound stream gets loud, by the clock of the file. */
function onsetOf(file: string, nth = 0): number {
  const samples = ffmpeg('-i', file, '-map', `0:a:${nth}`, '-af', 'aresample=8000:async=1:first_pts=0', '-ac', '1', '-f', 's16le', 'pipe:1');
  for (let i = 0; i < samples.length; i += 2) if (Math.abs(samples.readInt16LE(i)) > 3000) return i / 16000;
  return Infinity;
}

async function deblurWithNotes(source: string, name: string): Promise<{ output: string; notes: string[] }> {
  const output = join(folder, name), notes: string[] = [];
  await deblurVideo(model, source, output, { onNote: (note) => { notes.push(note); } });
  return { output, notes };
}

test('what deblurring says of every frame is said once', { skip }, async () => {
  const notes: string[] = [];
  const faulty: Model = { ...model, name: 'faulty', device: 'webgpu', run: async (input) => new Float32Array(input.length).fill(NaN), inFloat32: async () => model };
  const { frames } = await deblurVideo(faulty, clip, join(folder, 'once.mp4'), { onNote: (note) => { notes.push(note); } });
  assert.ok(frames > 1);
  assert.deepEqual(notes, ['faulty gave NaN or infinity on webgpu: repeated in 32 bits on cpu']);
});

test('sound that the container can not hold is re-encoded, in time, with a note; other sound is copied', { skip }, async () => {
  for (const [source, target, codec, note] of [
    [videoWith('aac.mp4', ['aac']), 'webm', 'opus', /^\.webm can't hold the sound, aac: it is re-encoded as Opus; write \.mkv to keep it$/],
    [videoWith('pcm.mov', ['pcm_s16be']), 'mp4', 'aac', /^\.mp4 can't hold the sound, pcm_s16be: it is re-encoded as AAC; write \.mkv to keep it$/],
    [videoWith('surround.mkv', ['ac3'], '5.1(side)'), 'webm', 'opus', /ac3.*Opus/],
    [join(folder, 'pcm.mov'), 'AVI', 'aac', /^\.avi .*pcm_s16be.*AAC/],
    [videoWith('mp3.mp4', ['libmp3lame']), 'm4v', 'aac', /mp3.*AAC/],
    [videoWith('opus.webm.mkv', ['libopus']), 'mov', 'aac', /opus.*AAC/],
    [videoWith('flac.mkv', ['flac']), 'mp4', 'flac', undefined],
    [join(folder, 'pcm.mov'), 'mkv', 'pcm_s16be', undefined],
    [join(folder, 'opus.webm.mkv'), 'webm', 'opus', undefined],
    [join(folder, 'mp3.mp4'), 'avi', 'mp3', undefined],
  ] as const) {
    const { output, notes } = await deblurWithNotes(source, `sound.${target}`), what = `${source} → ${target}`;
    assert.deepEqual(soundsOf(output), [codec], what);
    assert.equal(notes.length, note ? 1 : 0, what);
    if (note) assert.match(notes[0], note);
    else assert.equal(packetsOf(output, 0), packetsOf(source, 0), what);
    assert.ok(Math.abs(onsetOf(output) - 0.4) < 0.03, `${what}: the tone begins at ${onsetOf(output)} s`);
  }
});

test('several sound streams: each is judged for itself, all stay in order', { skip }, async () => {
  const source = videoWith('three.mkv', ['flac', 'libopus', 'aac']);
  const webm = await deblurWithNotes(source, 'three.webm');
  assert.deepEqual(soundsOf(webm.output), ['opus', 'opus', 'opus']);
  assert.equal(packetsOf(webm.output, 1), packetsOf(source, 1));
  assert.deepEqual(webm.notes.map((note) => note.split(':')[0]), [".webm can't hold sound 1 of 3, flac", ".webm can't hold sound 3 of 3, aac"]);
  const again = await deblurWithNotes(source, 'three-again.mkv');
  assert.deepEqual([soundsOf(again.output), again.notes], [['flac', 'opus', 'aac'], []]);
  for (let i = 0; i < 3; i++) assert.equal(packetsOf(again.output, i), packetsOf(source, i));
});

test('sound of a codec that ffmpeg does not know is left out where it can not be copied, with a note', { skip }, async () => {
  const source = videoWith('unknown.mov', ['aac', 'pcm_s16le']);
  // As a telephone's spatial sound is to an older ffmpeg.
  const text = (await readFile(source)).toString('latin1').replaceAll('mp4a', 'zzza').replaceAll('esds', 'zzzb');
  await writeFile(source, text, 'latin1');
  assert.deepEqual(soundsOf(source), [undefined, 'pcm_s16le']);
  const mp4 = await deblurWithNotes(source, 'known.mp4');
  assert.deepEqual(soundsOf(mp4.output), ['aac']);
  assert.ok(Math.abs(onsetOf(mp4.output) - 0.4) < 0.03);
  assert.deepEqual(mp4.notes.map((note) => note.split(':')[0]), ['sound 1 of 2 is left out', ".mp4 can't hold sound 2 of 2, pcm_s16le"]);
  const mov = await deblurWithNotes(source, 'unknown-again.mov');
  assert.deepEqual([soundsOf(mov.output), mov.notes], [[undefined, 'pcm_s16le'], []]);
});

test('what is no video, a missing file, a failing network: an error that says so, and no file', { skip }, async () => {
  const text = join(folder, 'text.mp4'), out = join(folder, 'bad');
  await writeFile(text, 'no video');
  await assert.rejects(deblurVideo(model, text, join(out, 'a.mp4')), (error) => error instanceof VideoError && error.message.includes(text) && !error.message.includes('\n'));
  await assert.rejects(deblurVideo(model, join(folder, 'absent.mp4'), join(out, 'a.mp4')), (error) => error instanceof VideoError && /no such file/.test(error.message));
  await symlink('loop.mp4', join(folder, 'loop.mp4'));
  await assert.rejects(deblurVideo(model, join(folder, 'loop.mp4'), join(out, 'a.mp4')), (error) => error instanceof VideoError && /ELOOP/.test(error.message));
  await assert.rejects(deblurVideo(model, clip, join(out, 'a.unknown')), (error) => error instanceof VideoError && /ffmpeg failed \(.*suitable output format[^\n]*\)$/.test(error.message));
  await assert.rejects(deblurVideo(model, videoWith('pcm24.mov', ['pcm_s24le']), join(out, 'a.flv')), (error) => error instanceof VideoError && /ffmpeg failed \(\[flv\] .*not compatible with FLV[^\n]*\)$/i.test(error.message));
  const broken = await openModel(brokenModel());
  await assert.rejects(deblurVideo(broken, clip, join(out, 'a.mp4')), ModelError);
  await broken.release();
  assert.deepEqual(await readdir(out), []);
});

test('abort leaves no file and no process', { skip }, async () => {
  const out = join(folder, 'aborted'), abort = new AbortController();
  const work = deblurVideo(model, clip, join(out, 'a.mp4'), { signal: abort.signal, onProgress: ({ done }) => { if (done === 3) abort.abort(); } });
  await assert.rejects(work, AbortedError);
  assert.deepEqual(await readdir(out), []);
});

test('without ffmpeg: one line with the cure', async () => {
  const { PATH } = process.env;
  process.env.PATH = folder;
  try {
    await writeFile(clip, 'x', { flag: 'a' });
    await assert.rejects(deblurVideo(model, clip, join(folder, 'never.mp4')), (error) => error instanceof MissingError && /apt-get install ffmpeg/.test(error.message));
  } finally {
    process.env.PATH = PATH;
  }
});

test('on the command line', { skip }, async () => {
  const identity = join(folder, 'identity.onnx'), source = join(folder, 'cli.mp4');
  await writeFile(identity, identityModel());
  ffmpeg('-f', 'lavfi', '-i', 'testsrc2=size=64x48:rate=10:duration=0.3', source);
  const child = spawn(process.execPath, [program, 'deblur', source, '--model', identity]);
  let said = '';
  child.stdout.on('data', (data) => { said += data; });
  assert.equal(await new Promise((resolve) => { child.on('close', resolve); }), 0);
  assert.match(said, /cli\.mp4 → .*cli\.deblurred\.mp4 {2}64×48, 3 frames, [\d.]+ a second, [\d.]+ s, identity on \w+\n$/);
  const odd = join(folder, 'odd');
  await mkdir(odd);
  for (const name of ['12:30.mp4', '-c.mp4', `${'写'.repeat(82)}.mp4`]) {
    await copyFile(source, join(odd, name));
    const { status, stderr } = spawnSync(process.execPath, [program, 'deblur', '--model', identity, '-o', 'out', '--', name], { cwd: odd, encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    assert.equal(streamsOf(join(odd, 'out', name))[0].nb_read_packets, '3');
  }
  await assert.rejects(videoOutput(source, source), UsageError);
  await assert.rejects(videoOutput(source, join(folder, 'x.png')), UsageError);
  assert.equal(await videoOutput(source, folder).catch(() => 'over itself'), 'over itself');
});

test('no result over the video, by whatever path; none to the standard output; one that is there is passed over if asked', async () => {
  const album = join(folder, 'videos'), link = join(folder, 'videos-link'), source = join(album, 'clip.mp4');
  await mkdir(album);
  await writeFile(source, 'x');
  await symlink(album, link);
  await symlink(source, join(folder, 'other.mp4'));
  await assert.rejects(videoOutput(source, link), UsageError);
  await assert.rejects(videoOutput(join(folder, 'other.mp4'), source), UsageError);
  await assert.rejects(videoOutput(source, '-'), (error) => error instanceof UsageError && /standard output/.test(error.message));
  const earlier = await videoOutput(source);
  await writeFile(earlier, 'earlier');
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, 'deblur', source, '--skip-existing', '--json'], { encoding: 'utf8' });
  assert.deepEqual([status, JSON.parse(stdout), stderr], [0, { images: [], failed: [], skipped: [{ input: source, output: earlier }] }, 'unshake: note: 1 passed over: its result is there already\n']);
});
