/**
 * Deblurs a video frame by frame, through the user's ffmpeg: one process decodes into a pipe, one encodes from a pipe and takes the
 * sound along. Frames come as PPM, which says its size, so turned videos need no special case.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { deblurImage, type DeblurOptions } from './deblur.js';
import { AbortedError, messageOf, MissingError, throwIfAborted, UsageError, VideoError } from './errors.js';
import type { RgbImage } from './image/image.js';
import { placeOf, placesOf, statOf } from './place.js';
import type { Model } from './runtime/model.js';
import { besideOf } from './write-whole.js';

/** Extensions that are taken for videos, lower case. */
export const videoExtensions = ['.mp4', '.m4v', '.mov', '.mkv', '.webm', '.avi'] as const;

/** Whether a name's extension is a video's. */
export function isVideoName(name: string): boolean {
  return (videoExtensions as readonly string[]).includes(extname(name).toLowerCase());
}

/** A deblurred video. `tiles` is that of a frame, `seconds` wall time of all. */
export interface DeblurredVideo { input: string; output: string; width: number; height: number; frames: number; fps: number; tiles: number; seconds: number; device: string; model: string }

/** Settings of deblurVideo. Progress counts frames. */
export interface DeblurVideoOptions extends DeblurOptions {
  /** Called with what is worth a word: before the first frame, what could not be kept of the video; then what deblurImage says of frames, each once. */
  onNote?: (note: string) => void;
}

/** What ffprobe tells about the first video stream. */
interface Stream { rate: string; frames: number; matrix: 'bt709' | 'smpte170m' }

/** And about a sound stream: its place in the file; 'unknown' for a codec that ffmpeg doesn't know. */
interface Sound { index: number; codec: string; channels: number }

const commonSound = ['aac', 'ac3', 'eac3', 'mp2', 'mp3'];
const commonPcm = ['pcm_u8', 'pcm_s16le', 'pcm_s24le', 'pcm_s32le', 'pcm_f32le', 'pcm_f64le', 'pcm_alaw', 'pcm_mulaw'];

/**
 * What each container can hold, in ffprobe's names: tried with ffmpeg 5.1, which wrote it and read it back (AMR wasn't, it has no encoder).
 * What isn't listed is re-encoded: one codec too few costs some quality, one too many the whole result. MOV keeps the tag of what nobody knows.
 */
const soundHeldBy: Record<string, string[] | undefined> = {
  '.mp4': [...commonSound, 'alac', 'dts', 'flac', 'opus', 'truehd', 'vorbis'],
  '.m4v': ['aac', 'ac3', 'alac'],
  '.mov': [...commonSound, 'alac', 'dts', ...commonPcm, 'pcm_s8', 'pcm_s16be', 'pcm_s24be', 'pcm_s32be', 'pcm_f32be', 'pcm_f64be', 'adpcm_ima_qt', 'amr_nb', 'amr_wb', 'unknown'],
  '.mkv': [...commonSound, 'alac', 'dts', 'flac', 'mlp', 'opus', 'speex', 'truehd', 'vorbis', 'wavpack', 'wmav1', 'wmav2', 'ra_144', ...commonPcm, 'pcm_s16be', 'pcm_s24be', 'pcm_s32be', 'adpcm_ima_wav', 'adpcm_ms', 'adpcm_g722', 'adpcm_g726'],
  '.webm': ['opus', 'vorbis'],
  '.avi': [...commonSound, 'flac', 'speex', 'vorbis', 'wmav1', 'wmav2', ...commonPcm, 'adpcm_ima_wav', 'adpcm_ms', 'adpcm_g722', 'adpcm_g726'],
} satisfies Record<(typeof videoExtensions)[number], string[]>;

/** Where a video's result goes: a file, a folder in which the name is kept, or NAME.deblurred.EXT beside it. Throws UsageError for a name that is no video's, or the input itself. */
export async function videoOutput(input: string, output?: string): Promise<string> {
  if (output === '-') throw new UsageError('a video can not go to the standard output: name the result with -o FILE');
  const extension = extname(input);
  let path = output ?? join(dirname(input), `${basename(input, extension)}.deblurred${extension}`);
  if (output !== undefined && ((await stat(output).catch(() => undefined))?.isDirectory() || /[/\\]$/.test(output) || extname(output) === '')) path = join(output, basename(input));
  if (!isVideoName(path)) throw new UsageError(`-o should end in ${videoExtensions.join(', ')} or be a folder for a video, but is ${output}`);
  if ((await placesOf(input)).includes(await placeOf(path))) throw new UsageError(`the result of ${input} would overwrite it: name another file or folder with -o`);
  return path;
}

/**
 * Deblurs every frame of the first video stream; sound streams are copied, or re-encoded where the output's container can't hold them
 * (Opus in WebM, else AAC), with a note. The frame rate becomes constant (the stream's average).
 * Encoded as H.264 (VP9 in WebM) at high quality, 8 bits. Progress counts frames; its label says how many a second.
 * @throws MissingError without ffmpeg; VideoError when it can't read or write the video; ModelError; AbortedError, which leaves no file
 */
export async function deblurVideo(model: Model, input: string, output: string, options: DeblurVideoOptions = {}): Promise<DeblurredVideo> {
  const { onProgress, onNote, signal, ...settings } = options;
  throwIfAborted(signal);
  const started = performance.now();
  const found = await statOf(input).catch((error: unknown) => { throw new VideoError(`${input}: can't be read as a video (${messageOf(error)})`, { cause: error }); });
  if (!found) throw new VideoError(`${input}: can't be read as a video (no such file)`);
  await checkFfmpeg();
  const { stream, sounds } = await probe(input);
  await mkdir(dirname(output), { recursive: true }).catch((error: unknown) => {
    throw new VideoError(`${output}: can't be written (${messageOf(error)})`, { cause: error });
  });
  const temporary = besideOf(output, extname(output));
  const sound = soundArguments(sounds, extname(output).toLowerCase());
  sound.notes.forEach((note) => onNote?.(note));

  // From time 0 on, so that pictures and sound stay together where the first picture comes later.
  const decoder = run('ffmpeg', ['-v', 'error', '-nostdin', '-i', asFile(input), '-map', '0:v:0', '-vf', `fps=${stream.rate}:start_time=0,scale=in_color_matrix=${scaleName(stream.matrix)}`, '-f', 'image2pipe', '-c:v', 'ppm', '-pix_fmt', 'rgb24', 'pipe:1']);
  let encoder: Child | undefined;
  const said = new Set<string>(); // of frames: each note once a video
  const result: DeblurredVideo = { input, output, width: 0, height: 0, frames: 0, fps: 0, tiles: 0, seconds: 0, device: model.device, model: model.name };
  const stop = (): void => { for (const child of [decoder, encoder]) child?.process.kill('SIGKILL'); };
  signal?.addEventListener('abort', stop);
  try {
    const working = performance.now();
    for await (const frame of framesOf(decoder.process.stdout)) {
      throwIfAborted(signal);
      encoder ??= run('ffmpeg', encoderArguments(input, temporary, frame, stream, sound.args));
      const { image, tiles, notes } = await deblurImage(model, frame, { ...settings, signal, inPlace: true });
      for (const note of notes.filter((other) => !said.has(other))) onNote?.(note);
      notes.forEach((note) => said.add(note));
      const { stdin } = encoder.process;
      if (!stdin.write(image.data)) await Promise.race([new Promise((resolve) => { stdin.once('drain', resolve); }), encoder.end]);
      if (encoder.closed()) break; // it has failed, and says why
      result.frames++;
      result.fps = result.frames / ((performance.now() - working) / 1000);
      Object.assign(result, { width: frame.width, height: frame.height, tiles });
      onProgress?.({ done: result.frames, total: Math.max(stream.frames, result.frames), label: `${result.fps.toFixed(2)} frames a second` });
    }
    encoder?.process.stdin.end();
    const fault = await encoder?.end ?? await decoder.end;
    throwIfAborted(signal);
    if (fault !== undefined) throw new VideoError(`${input}: ffmpeg failed (${fault})`);
    if (!encoder || result.frames === 0) throw new VideoError(`${input}: can't be read as a video (it has no frame)`);
    await rename(temporary, output);
  } catch (error) {
    stop();
    await Promise.all([decoder.end, encoder?.end]);
    await rm(temporary, { force: true });
    if (signal?.aborted) throw new AbortedError('aborted by the caller');
    throw error;
  } finally {
    signal?.removeEventListener('abort', stop);
  }
  result.seconds = (performance.now() - started) / 1000;
  return result;
}

/** A path as ffmpeg takes it: names with a colon are protocols to it, those with a dash options. */
const asFile = (path: string): string => `file:${path}`;

const scaleName = (matrix: Stream['matrix']): string => (matrix === 'bt709' ? 'bt709' : 'bt601');

function encoderArguments(input: string, output: string, { width, height }: RgbImage, { rate, matrix }: Stream, sound: string[]): string[] {
  const webm = extname(output).toLowerCase() === '.webm';
  const even = width % 2 === 0 && height % 2 === 0; // 4:2:0 halves both
  return ['-v', 'error', '-nostdin', '-y', '-f', 'rawvideo', '-pix_fmt', 'rgb24', '-s', `${width}x${height}`, '-r', rate, '-i', 'pipe:0', '-i', asFile(input),
    '-map', '0:v:0', ...sound, '-map_metadata', '1', ...(webm ? ['-c:v', 'libvpx-vp9', '-crf', '24', '-b:v', '0'] : ['-c:v', 'libx264', '-crf', '16']),
    '-vf', `scale=out_color_matrix=${scaleName(matrix)}:out_range=tv`, '-pix_fmt', even ? 'yuv420p' : 'yuv444p', '-colorspace', matrix, '-color_range', 'tv', asFile(output)];
}

/** Which sound streams go into a video with this extension, and how. A stream that can be neither copied nor decoded is left out. */
function soundArguments(sounds: Sound[], extension: string): { args: string[]; notes: string[] } {
  const held = soundHeldBy[extension], [encoder, name] = extension === '.webm' ? ['libopus', 'Opus'] : ['aac', 'AAC'];
  // ffmpeg before 6 asks for this to put FLAC and TrueHD, ffmpeg 4 also Opus, into MP4.
  const args = extension === '.mp4' ? ['-strict', 'experimental'] : [], notes: string[] = [];
  let count = 0;
  for (const [i, { index, codec, channels }] of sounds.entries()) {
    const which = sounds.length === 1 ? 'the sound' : `sound ${i + 1} of ${sounds.length}`;
    const copied = !held || held.includes(codec); // another extension is the caller's choice: ffmpeg says whether it works
    if (!copied && codec === 'unknown') {
      notes.push(`${which} is left out: ffmpeg does not know its codec, and ${extension} can't hold it`);
      continue;
    }
    const nth = `a:${count++}`;
    args.push('-map', `1:${index}`, `-c:${nth}`, copied ? 'copy' : encoder);
    if (copied) continue;
    // The layouts that both encoders take: libopus refuses the 5.1(side) of AC-3, for one.
    args.push(`-b:${nth}`, `${96 * Math.min(channels, 8)}k`, `-filter:${nth}`, 'aformat=channel_layouts=mono|stereo|3.0|quad|5.0|5.1|7.1');
    notes.push(`${extension} can't hold ${which}, ${codec}: it is re-encoded as ${name}${soundHeldBy['.mkv']?.includes(codec) ? '; write .mkv to keep it' : ''}`);
  }
  return { args, notes };
}

async function probe(input: string): Promise<{ stream: Stream; sounds: Sound[] }> {
  const child = run('ffprobe', ['-v', 'error', '-show_entries', 'stream=index,codec_type,codec_name,channels,height,avg_frame_rate,nb_frames,color_space:format=duration', '-of', 'json', asFile(input)]);
  child.process.stdin.end();
  const [json, fault] = await Promise.all([text(child.process.stdout), child.end]);
  if (fault !== undefined) throw new VideoError(`${input}: can't be read as a video (${fault})`);
  const { streams, format } = JSON.parse(json) as { streams: Probed[]; format: { duration?: string } };
  const picture = streams.find(({ codec_type }) => codec_type === 'video');
  if (!picture) throw new VideoError(`${input}: can't be read as a video (it has no pictures)`);
  const sounds = streams.filter(({ codec_type }) => codec_type === 'audio').map(({ index, codec_name = 'unknown', channels }) => ({ index, codec: codec_name, channels: channels || 2 }));
  return { stream: streamOf(picture, Number(format.duration) || 0), sounds };
}

/** A stream as ffprobe prints it. */
interface Probed { index: number; codec_type?: string; codec_name?: string; channels?: number; height: number; avg_frame_rate: string; nb_frames?: string; color_space?: string }

function streamOf(stream: Probed, duration: number): Stream {
  const [count, per] = stream.avg_frame_rate.split('/').map(Number), perSecond = count / per;
  const known = perSecond > 0 && Number.isFinite(perSecond);
  return {
    rate: known ? stream.avg_frame_rate : '25',
    frames: Number(stream.nb_frames) || Math.round(duration * (known ? perSecond : 25)),
    // Without a tag, players go by the size.
    matrix: stream.color_space === 'bt709' || (!['smpte170m', 'bt470bg'].includes(stream.color_space ?? '') && stream.height >= 720) ? 'bt709' : 'smpte170m',
  };
}

/** A running ffmpeg. `end` gives undefined when it went well, else what it said; it never rejects. */
interface Child { process: ChildProcessByStdio<Writable, Readable, Readable>; end: Promise<string | undefined>; closed(): boolean }

function run(command: 'ffmpeg' | 'ffprobe', args: string[]): Child {
  const process = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  process.stdin.on('error', () => {}); // it went away: the exit code and its message say why
  let said = '', closed = false;
  process.stderr.on('data', (data) => { said = (said + String(data)).slice(-4000); });
  const end = new Promise<string | undefined>((settle) => {
    process.on('error', (error) => {
      closed = true;
      settle(messageOf(error));
    });
    process.on('close', (code) => {
      closed = true;
      settle(code === 0 ? undefined : reasonIn(said) ?? `${command} ended with ${code}`);
    });
  });
  return { process, end, closed: () => closed };
}

/** What ffmpeg says of what could not go on, after it has said why. */
const consequence = /^(\[[^\]]*\] )*(Could not (write header|open encoder before EOF)|Error (initializing|reinitializing|opening|while|encoding|sending)|Failed to (configure|inject)|Nothing was written|Conversion failed|Task finished|Terminating|Last message repeated|(Error|av_).*: Invalid argument$|file:.*: Invalid (argument|data found))/;

/** The line that says why: the last that is no consequence, since lines about harmless damage may come before it. */
function reasonIn(said: string): string | undefined {
  const lines = said.split(/[\r\n]+/).map((line) => line.replace(/ @ [0-9a-fx]+\]/g, ']').trim()).filter((line) => line !== '');
  return lines.findLast((line) => !consequence.test(line)) ?? lines.at(0);
}

/** Throws MissingError with the cure when ffmpeg isn't there. */
export async function checkFfmpeg(): Promise<void> {
  for (const command of ['ffmpeg', 'ffprobe'] as const) {
    const child = run(command, ['-version']);
    child.process.stdin.end();
    child.process.stdout.resume();
    if (await child.end !== undefined) {
      throw new MissingError(`videos need ${command}, which can't be run here: install it (apt-get install ffmpeg, brew install ffmpeg, winget install ffmpeg, or https://ffmpeg.org) and see that it is in the PATH`);
    }
  }
}

/** The frames of a stream of binary PPM pictures. */
async function* framesOf(stream: Readable): AsyncGenerator<RgbImage> {
  const chunks: Buffer[] = [];
  let held = 0, header: { width: number; height: number; start: number } | undefined;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    held += chunk.length;
    for (;;) {
      if (!header) {
        const match = /^P6\s(\d+)\s(\d+)\s255\s/.exec(Buffer.concat(chunks).toString('latin1', 0, 64));
        if (!match) break;
        header = { width: Number(match[1]), height: Number(match[2]), start: match[0].length };
      }
      const { width, height, start } = header, length = width * height * 3;
      if (held < start + length) break;
      const all = Buffer.concat(chunks);
      yield { width, height, channels: 3, data: Uint8Array.prototype.slice.call(all, start, start + length) };
      chunks.splice(0, chunks.length, all.subarray(start + length));
      held = all.length - start - length;
      header = undefined;
    }
  }
}
