/** Sixty damaged, mislabelled and lying picture files, from seeds. */
import zlib from 'node:zlib';
import { crc32 } from '../src/bytes.js';
import { encodeImage, type Format } from '../src/image/codec-node.js';
import { randomAt } from '../src/random.js';
import { noisyImage } from './small-images.js';

const extensions: Record<Format, string> = { jpeg: 'jpg', png: 'png', webp: 'webp', tiff: 'tif', avif: 'avif', gif: 'gif' };
const formats = Object.keys(extensions) as Format[];

/** Name → content; every file is bad in its own way. */
export async function corruptFiles(): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>(), good = new Map<Format, Buffer>();
  for (const format of formats) good.set(format, Buffer.from((await encodeImage(noisyImage(160, 120), format)).bytes));

  for (const [format, bytes] of good) {
    const name = (what: string): string => `${format}-${what}.${extensions[format]}`;
    for (const share of [0.1, 0.4, 0.7]) files.set(name(`cut-${100 * share}`), bytes.subarray(0, share * bytes.length));
    files.set(name('cut-5-bytes'), bytes.subarray(0, 5));
    files.set(name('flipped-signature'), flipped(bytes, [format === 'avif' ? 5 : 0]));
  }
  // Where a format has checksums or codes that can't occur, single bits show; elsewhere only damage to its structure can.
  const png = good.get('png')!, jpeg = good.get('jpeg')!;
  const random = randomAt(7);
  for (let k = 0; k < 9; k++) files.set(`png-flipped-${k}.png`, flipped(png, [12 + random.integer(png.length - 30)]));
  // Flipped bits among a JPEG's codes give other codes, and a picture: only its tables can be seen to be damaged.
  for (const [what, marker] of [['quantisation', 0xdb], ['huffman', 0xc4], ['scan', 0xda]] as const) {
    const at = jpeg.indexOf(Buffer.of(0xff, marker));
    files.set(`jpeg-flipped-${what}.jpg`, flipped(jpeg, [at + 2, at + 3, at + 4, at + 5]));
  }

  formats.forEach((format, index) => {
    const other = formats[(index + 1) % formats.length];
    files.set(`${format}-inside.${extensions[other]}`, good.get(format)!);
  });
  files.set('text.jpg', Buffer.from('no picture at all'));
  files.set('page.png', Buffer.from('<!doctype html><title>404</title>'));
  files.set('drawing.png', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'));
  files.set('zeros.webp', Buffer.alloc(4096));
  files.set('empty.tif', Buffer.alloc(0));

  files.set('png-claims-100000.png', claimingPng(100_000, 100_000));
  files.set('png-claims-30000.png', claimingPng(30_000, 30_000));
  files.set('png-claims-16000.png', claimingPng(16_000, 16_000));
  files.set('png-claims-nothing.png', claimingPng(0, 9));
  files.set('jpeg-claims-65500.jpg', claimingJpeg(jpeg, 65_500));
  files.set('jpeg-claims-15000.jpg', claimingJpeg(jpeg, 15_000));
  // 400 megapixels in 50 KB: not a lie, but more than anybody photographs.
  files.set('png-bomb.png', claimingPng(20_000, 20_000, zlib.deflateSync(Buffer.alloc(20_000 * 400))));
  return files;
}

function flipped(bytes: Buffer, places: number[]): Buffer {
  const copy = Buffer.from(bytes);
  for (const [index, place] of places.entries()) copy[place] ^= 1 << index % 8;
  return copy;
}

/** A PNG whose header is right in itself, with pixels for a few rows only. */
function claimingPng(width: number, height: number, data = zlib.deflateSync(Buffer.alloc(1000))): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const chunk = (type: string, content: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), content]), length = Buffer.alloc(4), sum = Buffer.alloc(4);
    length.writeUInt32BE(content.length);
    sum.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, sum]);
  };
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), chunk('IHDR', header), chunk('IDAT', data), chunk('IEND', Buffer.alloc(0))]);
}

function claimingJpeg(jpeg: Buffer, side: number): Buffer {
  const copy = Buffer.from(jpeg), frame = [0xc0, 0xc1, 0xc2].map((marker) => copy.indexOf(Buffer.of(0xff, marker, 0, 17, 8))).find((at) => at > 0)!;
  copy.writeUInt16BE(side, frame + 5);
  copy.writeUInt16BE(side, frame + 7);
  return copy;
}
