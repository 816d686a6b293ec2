/** Reading and writing picture files in Node, by sharp (libvips). */
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import sharp, { type Metadata, type Sharp } from 'sharp';
import { ImageError, messageOf } from '../errors.js';
import { insertExif, uprightExif } from './exif.js';
import type { Image, RgbImage } from './image.js';

/** Extensions that we read and write, lower case. */
export const imageExtensions = ['.png', '.jpg', '.jpeg', '.webp', '.tif', '.tiff', '.avif', '.gif'] as const;

/** Whether the name's extension is one that we read and write. */
export function isImageName(name: string): boolean {
  return (imageExtensions as readonly string[]).includes(extname(name).toLowerCase());
}

/** A picture file as it was read. */
export interface Picture {
  /** The samples: sRGB or gray, upright. */
  image: Image;
  /** The camera's EXIF block (TIFF structure), its orientation already applied and set to upright. */
  exif?: Uint8Array;
  /** What could not be kept, in words: one short sentence each. */
  notes: string[];
}

/** Reads a file as 8-bit sRGB: alpha dropped, gray repeated, EXIF orientation applied. Throws ImageError naming the file. */
export async function readRgb(path: string): Promise<RgbImage> {
  try {
    const { data, info } = await sharp(await readFile(path), { failOn: 'error' }).autoOrient().toColourspace('srgb').removeAlpha()
      .raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
    return { width: info.width, height: info.height, channels: 3, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
  } catch (error) {
    throw unreadable(path, error);
  }
}

const rawRgb = ({ width, height, data }: RgbImage): Sharp => sharp(data, { raw: { width, height, channels: 3 } });

async function toRgb(picture: Sharp): Promise<RgbImage> {
  const { data, info } = await picture.removeAlpha().raw().toBuffer({ resolveWithObject: true });
  // A copy: small buffers share Node's pool, and a worker hands its crops' memory over.
  return { width: info.width, height: info.height, channels: 3, data: new Uint8Array(data) };
}

/** Lanczos with antialias, of the encoded values; the same picture where it has that size. */
export async function resizeRgb(image: RgbImage, width: number, height: number): Promise<RgbImage> {
  return width === image.width && height === image.height ? image : toRgb(rawRgb(image).resize(width, height, { fit: 'fill' }));
}

/** What is left of a picture after JPEG of a quality between 1 and 100, rounded, with halved chroma as cameras and messengers write it. */
export async function throughJpeg(image: RgbImage, quality: number): Promise<RgbImage> {
  return toRgb(sharp(await rawRgb(image).jpeg({ quality: Math.round(quality) }).toBuffer()));
}

/**
 * Reads a file with its own depth (8 or 16 bits), gray or colour, with or without alpha; EXIF orientation applied. Colours that
 * are not sRGB (CMYK, Lab, another RGB profile) are converted to it; `notes` says so.
 * @throws ImageError naming the file, when it is missing, damaged, cut short, or of a kind that we don't read
 */
export async function readImage(path: string): Promise<Picture> {
  try {
    const bytes = await readFile(path);
    if (bytes.length === 0) throw new Error('the file is empty');
    const metadata = await sharp(bytes).metadata();
    const { format, depth, hasAlpha, exif } = metadata;
    if (format === 'svg' || format === 'pdf') throw new Error(`expected a photograph, got a drawing in ${format.toUpperCase()}`);
    if (depth !== 'uchar' && depth !== 'ushort') throw new Error(`expected samples of 8 or 16 bits, got ${depth}: save it as PNG or TIFF with 16 bits`);
    const { notes, keepsNumbers } = colourOf(metadata);
    if ((metadata.pages ?? 1) > 1) notes.push(`only the first of ${metadata.pages} frames or pages is used`);
    const picture = sharp(bytes, { failOn: 'error', ignoreIcc: keepsNumbers }).autoOrient();
    const image = await (depth === 'ushort' ? read16(picture, isGray(metadata)) : read8(picture, isGray(metadata), hasAlpha));
    return { image, notes, ...(exif ? { exif: uprightExif(exif) } : {}) };
  } catch (error) {
    throw unreadable(path, error);
  }
}

function unreadable(path: string, error: unknown): ImageError {
  const code = (error as NodeJS.ErrnoException).code;
  const reason = code === 'ENOENT' ? 'no such file' : code === 'EISDIR' ? 'it is a folder' : code === 'EACCES' ? 'no permission' : messageOf(error);
  return new ImageError(`${path}: can't be read as an image (${reason})`, { cause: error });
}

const isGray = ({ space }: Metadata): boolean => space === 'b-w' || space === 'grey16';

/** What happens to the colours: `keepsNumbers` when the samples are used as they are stored. */
function colourOf({ space, icc, channels }: Metadata): { notes: string[]; keepsNumbers: boolean } {
  if (space === 'b-w' || space === 'grey16') return { notes: icc ? ['its gray profile was dropped'] : [], keepsNumbers: true };
  if (space === 'srgb' || space === 'rgb' || space === 'rgb16') {
    // A profile describes itself in ASCII (version 2) or big-endian UTF-16 (version 4).
    if (!icc || icc.includes('sRGB', 0, 'latin1') || icc.includes('\0s\0R\0G\0B', 0, 'latin1')) return { notes: [], keepsNumbers: true };
    return { notes: ['its colour profile was converted to sRGB'], keepsNumbers: false };
  }
  if (space === 'multiband') throw new Error(`${channels} channels of no known colour space`);
  return { notes: [`${space === 'cmyk' ? 'CMYK' : space} was converted to sRGB`], keepsNumbers: false };
}

async function read16(picture: Sharp, gray: boolean): Promise<Image> {
  const { data, info } = await picture.toColourspace(gray ? 'grey16' : 'rgb16').raw({ depth: 'ushort' }).toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, channels: info.channels as Image['channels'], data: new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2) };
}

async function read8(picture: Sharp, gray: boolean, hasAlpha: boolean): Promise<Image> {
  const { data, info } = await picture.toColourspace('srgb').raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
  const { width, height } = info;
  const samples = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (!gray || info.channels < 3) return { width, height, channels: info.channels as Image['channels'], data: samples };
  // sharp gives gray as equal colours, and loses alpha when it is asked for gray.
  const channels = hasAlpha ? 2 : 1;
  const packed = new Uint8Array(width * height * channels);
  for (let from = 0, to = 0; to < packed.length; from += info.channels, to += channels) {
    packed[to] = samples[from];
    if (hasAlpha) packed[to + 1] = samples[from + 3];
  }
  return { width, height, channels, data: packed };
}

/** Settings of writeImage. */
export interface WriteOptions {
  /** EXIF to put into the file (JPEG and PNG). */
  exif?: Uint8Array;
}

/**
 * Writes a picture; the format follows the extension: PNG and TIFF without loss and with 16 bits where the picture has them, JPEG,
 * WebP and AVIF at high quality. Written beside `path` and renamed, so a failure leaves no half file.
 * @returns what the format could not hold, in words; usually nothing
 * @throws ImageError naming the file
 */
export async function writeImage(path: string, image: Image, options: WriteOptions = {}): Promise<string[]> {
  const extension = extname(path).toLowerCase();
  const temporary = join(dirname(path), `.${basename(path, extname(path))}.${process.pid}.tmp${extension}`);
  try {
    if (!isImageName(path)) throw new Error(`expected an extension of ${imageExtensions.join(', ')}, got '${extension}'`);
    const encoded = await encode(image, extension);
    await writeFile(temporary, options.exif ? insertExif(encoded, options.exif) : encoded);
    await rename(temporary, path);
    return lossesOf(image, extension, options.exif !== undefined);
  } catch (error) {
    await rm(temporary, { force: true });
    const reason = (error as NodeJS.ErrnoException).code === 'ENOENT' ? `no folder ${dirname(path)}` : messageOf(error);
    throw new ImageError(`${path}: can't be written (${reason})`, { cause: error });
  }
}

function encode({ width, height, channels, data }: Image, extension: string): Promise<Buffer> {
  const gray = channels <= 2, deep = data instanceof Uint16Array;
  const picture = sharp(data, { raw: { width, height, channels } }).toColourspace(gray ? (deep ? 'grey16' : 'b-w') : (deep ? 'rgb16' : 'srgb'));
  switch (extension) {
    case '.jpg': case '.jpeg': return picture.jpeg({ quality: 95, chromaSubsampling: '4:4:4' }).toBuffer();
    case '.webp': return picture.webp({ quality: 95 }).toBuffer();
    case '.avif': return picture.avif({ quality: 80 }).toBuffer();
    case '.tif': case '.tiff': return picture.tiff({ compression: 'deflate', predictor: 'horizontal' }).toBuffer();
    case '.gif': return picture.gif().toBuffer();
    default: return picture.png().toBuffer();
  }
}

function lossesOf(image: Image, extension: string, hasExif: boolean): string[] {
  const notes: string[] = [];
  const name = extension.slice(1).toUpperCase();
  const keepsDepth = extension === '.png' || extension.startsWith('.tif');
  if (image.data instanceof Uint16Array && !keepsDepth) notes.push(`${name} holds 8 bits of the 16; write PNG or TIFF to keep them`);
  if (image.channels % 2 === 0 && extension.startsWith('.jp')) notes.push('JPEG has no alpha; write PNG to keep it');
  if (extension === '.gif') notes.push('GIF holds 256 colours; write PNG to keep all');
  if (hasExif && !extension.startsWith('.jp') && extension !== '.png') notes.push(`EXIF was not kept in ${name}; write JPEG or PNG to keep it`);
  return notes;
}
