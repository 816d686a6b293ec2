/** Reading and writing picture files in Node, by sharp (libvips). */
import { readFile } from 'node:fs/promises';
import { dirname, extname } from 'node:path';
import sharp, { type Metadata, type Sharp } from 'sharp';
import { ImageError, messageOf } from '../errors.js';
import { gib } from '../gib.js';
import { freeMemory } from '../memory.js';
import { writeWhole } from '../write-whole.js';
import { littleEndian, uprightExif } from './exif.js';
import { heicAsPng, heicExtensions } from './heic.js';
import type { Image, RgbImage } from './image.js';
import { insertMetadata, type PhotoMetadata } from './metadata.js';
import { exifOfTiff, tiffWithMetadata } from './tiff.js';

/** Extensions that we read and write, lower case. HEIC is read as well: heicExtensions. */
export const imageExtensions = ['.png', '.jpg', '.jpeg', '.webp', '.tif', '.tiff', '.avif', '.gif'] as const;

/** Whether the name's extension is one that we read and write. */
export function isImageName(name: string): boolean {
  return (imageExtensions as readonly string[]).includes(extname(name).toLowerCase());
}

/** Whether the name's extension is HEIC's, which is read only. */
export function isHeicName(name: string): boolean {
  return (heicExtensions as readonly string[]).includes(extname(name).toLowerCase());
}

/** Whether the name's extension is one that readImage reads. */
export const isReadableName = (name: string): boolean => isImageName(name) || isHeicName(name);

/** Extensions of what readImage reads, lower case. */
export const readableExtensions = [...imageExtensions, ...heicExtensions] as const;

/** Formats that we read, as people write them: for error messages. */
const formatNames = 'PNG, JPEG, WebP, TIFF, AVIF, GIF, HEIC';

/** What libjpeg says of the JPEGs of many phones (Samsung's), in which nothing is wrong. Its other warnings may mean damage. */
const phoneQuirk = 'Invalid SOS parameters for sequential JPEG';

/** What sharp calls the format that an extension stands for. */
const formatOf: Record<string, Format> = { '.png': 'png', '.jpg': 'jpeg', '.jpeg': 'jpeg', '.webp': 'webp', '.tif': 'tiff', '.tiff': 'tiff', '.avif': 'avif', '.gif': 'gif' };
export type Format = 'png' | 'jpeg' | 'webp' | 'tiff' | 'avif' | 'gif';

/** The format that a file's name asks for; undefined for an extension that we don't write. */
export function formatOfName(name: string): Format | undefined {
  return formatOf[extname(name).toLowerCase()];
}

/** A picture file as it was read. */
export interface Picture extends PhotoMetadata {
  /** The samples, upright: gray or RGB as they are stored, in the encoding that `icc` describes; sRGB without it. */
  image: Image;
  /** What the file is, whatever its name says. */
  format: Format | 'heic';
  /** Of a sample in the file: 10 or 12 in some AVIF and HEIC, whose samples are spread over 16. */
  bits: number;
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

/** Settings of readImage. */
export interface ReadOptions {
  /** What to call bytes in an error. */
  name?: string;
  /** Convert other RGB profiles to sRGB, for numbers that can be compared. Default false: the numbers and their profile are kept. */
  toSrgb?: boolean;
}

/**
 * Reads a file with its own depth (8 or 16 bits), gray or colour, with or without alpha; EXIF orientation applied. RGB and gray keep
 * their numbers and their profile; CMYK and Lab become sRGB, and `notes` says so.
 * @param source a file's path, or its bytes
 * @throws ImageError naming the file, when it is missing, damaged, cut short, too large for the memory, or of a kind that we don't read
 */
export async function readImage(source: string | Uint8Array, options: ReadOptions = {}): Promise<Picture> {
  const { name = typeof source === 'string' ? source : 'the picture', toSrgb = false } = options;
  try {
    const file = typeof source === 'string' ? await readFile(source) : source;
    if (file.length === 0) throw new Error('the file is empty');
    const metadata = await sharp(file).metadata();
    const { depth, hasAlpha, bitsPerSample } = metadata, format = formatIn(metadata);
    if (depth !== 'uchar' && depth !== 'ushort') throw new Error(`expected samples of 8 or 16 bits, got ${depth}: save it as PNG or TIFF with 16 bits`);
    const { notes, keepsNumbers } = colourOf(metadata, toSrgb);
    if ((metadata.pages ?? 1) > 1) notes.push(`only the ${format === 'heic' ? 'main one' : 'first'} of ${metadata.pages} frames or pages is used`);
    await checkMemory(file, metadata);
    const bytes = format === 'heic' ? await heicAsPng(file, metadata) : file;
    const exif = format === 'tiff' ? exifOfTiff(bytes) : metadata.exif;
    const upright = exif && uprightExif(exif);
    if (exif && !upright) notes.push('its EXIF is damaged and was dropped');
    const decode = (failOn: 'warning' | 'error'): Promise<Image> => {
      const picture = sharp(bytes, { failOn, ignoreIcc: keepsNumbers }).autoOrient();
      return depth === 'ushort' ? read16(picture, isGray(metadata)) : read8(picture, isGray(metadata), hasAlpha);
    };
    const image = await decode('warning').catch((error: unknown) => {
      if (!messageOf(error).includes(phoneQuirk)) throw error;
      return decode('error');
    });
    const icc = keepsNumbers ? profileFor(image, metadata.icc) : undefined;
    if (keepsNumbers && metadata.icc && !icc) notes.push('its colour profile does not fit its colours and was dropped');
    return { image, format, bits: depth === 'ushort' ? bitsPerSample ?? 16 : 8, notes, ...(upright ? { exif: upright } : {}), ...(icc ? { icc } : {}) };
  } catch (error) {
    throw unreadable(name, error);
  }
}

/** Bytes that a picture's samples take once decoded; 0 for what isn't a picture. */
export async function sampleBytes(file: Uint8Array): Promise<number> {
  try {
    const { width, height, channels, depth } = await sharp(file).metadata();
    return width * height * channels * (depth === 'ushort' ? 2 : 1);
  } catch {
    return 0;
  }
}

function formatIn({ format, compression }: Metadata): Picture['format'] {
  if (format === 'heif') return compression === 'hevc' ? 'heic' : 'avif';
  if (format && format in formatFamily) return format as Format;
  throw new Error(`expected a photograph in ${formatNames}, got ${format === 'svg' || format === 'pdf' ? 'a drawing in ' : ''}${format?.toUpperCase()}`);
}

/** A format as people write it. */
export const nameOf = (format: Picture['format']): string => (format === 'webp' ? 'WebP' : format.toUpperCase());

const formatFamily: Record<Format, true> = { png: true, jpeg: true, webp: true, tiff: true, avif: true, gif: true };

/** Refuses a picture whose samples, decoded, would not fit: a file of a few bytes can claim any size. */
async function checkMemory(file: Uint8Array, { width, height }: Metadata): Promise<void> {
  const need = 2 * await sampleBytes(file), free = freeMemory();
  if (need > free) throw new Error(`${width}×${height} needs about ${gib(need)} GiB to be decoded, and ${gib(free)} GiB are free`);
}

function unreadable(name: string, error: unknown): ImageError {
  return new ImageError(`${name}: can't be read as an image (${reasonOf(error)})`, { cause: error });
}

function reasonOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code, text = messageOf(error).trim();
  if (code === 'ENOENT') return 'no such file';
  if (code === 'EISDIR') return 'it is a folder';
  if (code === 'EACCES') return 'no permission';
  if (/unsupported image format|No decoding plugin/.test(text)) return `expected ${formatNames}, got something else or only a part of one`;
  if (text.includes('exceeds pixel limit')) return 'it claims to have more than 268 megapixels, and no more are read';
  return /^(?:vips|input buffer)/i.test(text) ? `it is damaged or cut short: ${text}` : text;
}

const isGray = ({ space }: Metadata): boolean => space === 'b-w' || space === 'grey16';

/** What happens to the colours: `keepsNumbers` when the samples are used as they are stored. */
function colourOf({ space, channels, icc }: Metadata, toSrgb: boolean): { notes: string[]; keepsNumbers: boolean } {
  if (space === 'b-w' || space === 'grey16') return { notes: [], keepsNumbers: true };
  if (space === 'srgb' || space === 'rgb' || space === 'rgb16') {
    // A profile describes itself in ASCII (version 2) or big-endian UTF-16 (version 4).
    const isSrgb = !icc || icc.includes('sRGB', 0, 'latin1') || icc.includes('\0s\0R\0G\0B', 0, 'latin1');
    return toSrgb && !isSrgb ? { notes: ['its colour profile was converted to sRGB'], keepsNumbers: false } : { notes: [], keepsNumbers: true };
  }
  if (space === 'multiband') throw new Error(`${channels} channels of no known colour space`);
  return { notes: [`${space === 'cmyk' ? 'CMYK' : space} was converted to sRGB`], keepsNumbers: false };
}

/** The profile, if it is one for these samples: its header names the colours that it is about. */
function profileFor({ channels }: Image, icc: Buffer | undefined): Uint8Array | undefined {
  return icc && icc.length >= 128 && icc.toString('latin1', 16, 20) === (channels <= 2 ? 'GRAY' : 'RGB ') ? icc : undefined;
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

/**
 * Writes a picture with its metadata, whole or not at all; the format follows the extension.
 * @returns what the format could not hold, in words; usually nothing
 * @throws ImageError naming the file
 */
export async function writeImage(path: string, image: Image, metadata: PhotoMetadata = {}): Promise<string[]> {
  const format = formatOfName(path);
  try {
    if (!format) throw new Error(`expected an extension of ${imageExtensions.join(', ')}, got '${extname(path)}'`);
    const { bytes, notes } = await encodeImage(image, format, metadata);
    await writeWhole(path, bytes);
    return notes;
  } catch (error) {
    throw unwritable(path, error);
  }
}

/** What to throw when a picture's file could not be written. */
export function unwritable(path: string, error: unknown): ImageError {
  if (error instanceof ImageError) return error;
  const reason = (error as NodeJS.ErrnoException).code === 'ENOENT' ? `no folder ${dirname(path)}` : messageOf(error);
  return new ImageError(`${path}: can't be written (${reason})`, { cause: error });
}

/** What a picture carries into its file; with `bits` below 16, a format that holds as many loses nothing. */
type Carried = PhotoMetadata & { bits?: number };

/**
 * Encodes a picture, of HEIC as JPEG: PNG and TIFF without loss and with 16 bits where it has them, AVIF with 12 of them; JPEG, WebP and AVIF at high quality.
 * @returns the file, and what the format could not hold, in words
 */
export async function encodeImage(image: Image, format: Picture['format'], metadata: Carried = {}): Promise<{ bytes: Uint8Array; notes: string[] }> {
  const { width, height, channels, data } = image;
  const gray = channels <= 2, deep = data instanceof Uint16Array;
  const picture = sharp(data, { raw: { width, height, channels }, limitInputPixels: false }).toColourspace(gray ? (deep ? 'grey16' : 'b-w') : (deep ? 'rgb16' : 'srgb'));
  switch (format) {
    // Optimal codes take a gigabyte beside a hundred megapixels, and save a few hundredths of the file.
    case 'jpeg': return carrying(await picture.jpeg({ quality: 95, chromaSubsampling: '4:4:4', optimiseCoding: width * height <= 5e7 }).toBuffer(), image, format, metadata);
    case 'heic': {
      const { bytes, notes } = await encodeImage(image, 'jpeg', metadata);
      return { bytes, notes: ['HEIC is read, not written: the result is a JPEG', ...notes] };
    }
    case 'webp': return carrying(await picture.webp({ quality: 95 }).toBuffer(), image, format, metadata);
    case 'gif': return carrying(await picture.gif().toBuffer(), image, format, metadata);
    case 'png': return carrying(await picture.png().toBuffer(), image, format, metadata);
    case 'tiff': {
      const encoded = await picture.tiff({ compression: 'deflate', predictor: 'horizontal' }).toBuffer();
      const exif = metadata.exif && littleEndian(metadata.exif);
      return { bytes: exif || metadata.icc ? tiffWithMetadata(encoded, { exif, icc: metadata.icc }) : encoded, notes: [] };
    }
    case 'avif': {
      // sharp writes AVIF's metadata only when it came with the picture: a PNG that isn't compressed brings it.
      const { bytes } = await insertMetadata(await picture.png({ compressionLevel: 0 }).toBuffer(), metadata);
      const encoded = await sharp(bytes, { limitInputPixels: false }).keepExif().keepIccProfile().avif({ quality: 80, chromaSubsampling: '4:4:4', bitdepth: deep ? 12 : 8 }).toBuffer();
      return { bytes: encoded, notes: lossesOf(image, format, metadata, { exif: true, icc: true }) };
    }
  }
}

async function carrying(encoded: Buffer, image: Image, format: Format, metadata: Carried): Promise<{ bytes: Uint8Array; notes: string[] }> {
  const { bytes, kept } = await insertMetadata(encoded, metadata);
  return { bytes, notes: lossesOf(image, format, metadata, kept) };
}

function lossesOf(image: Image, format: Format, { exif, icc, bits = 16 }: Carried, kept: { exif: boolean; icc: boolean }): string[] {
  const notes: string[] = [], name = nameOf(format);
  const held = ({ png: 16, tiff: 16, avif: 12 } as Partial<Record<Format, number>>)[format] ?? 8;
  if (image.data instanceof Uint16Array && bits > held) notes.push(`${name} holds ${held} bits of the ${bits}; write PNG or TIFF to keep them`);
  if (image.channels % 2 === 0 && format === 'jpeg') notes.push('JPEG has no alpha; write PNG to keep it');
  if (format === 'gif') notes.push('GIF holds 256 colours; write PNG to keep all');
  if (exif && !kept.exif) notes.push(`${exif.length} bytes of EXIF do not fit into ${name}; write PNG to keep them`);
  if (icc && !kept.icc) notes.push(`${name} holds no colour profile; write PNG to keep it`);
  return notes;
}
