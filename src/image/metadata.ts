/**
 * Puts EXIF and a colour profile into an encoded JPEG, PNG or WebP, byte for byte. Runs in Node and in browsers.
 *
 * Formats: EXIF 2.32 §4.5.4 and ICC.1:2022 annex B.4 (JPEG's APP1 and APP2), PNG 3rd edition §11.3.2.3 (iCCP) and §11.3.3.3 (eXIf),
 * WebP container specification (VP8X, ICCP, EXIF).
 */
import { crc32, joined } from '../bytes.js';

/** What a photo carries beside its pixels. */
export interface PhotoMetadata {
  /** TIFF structure, without a leading "Exif\0\0". */
  exif?: Uint8Array;
  /** ICC profile. */
  icc?: Uint8Array;
}

/** The file with metadata in it. A file of another format, and a JPEG whose EXIF exceeds its 64 KiB, come back without: `kept` says so. */
export async function insertMetadata(encoded: Uint8Array, metadata: PhotoMetadata): Promise<{ bytes: Uint8Array; kept: { exif: boolean; icc: boolean } }> {
  const { exif, icc } = metadata, kept = { exif: exif !== undefined, icc: icc !== undefined };
  if (!exif && !icc) return { bytes: encoded, kept };
  if (encoded[0] === 0xff && encoded[1] === 0xd8) {
    const fits = exif !== undefined && exif.length <= 0xffff - 8;
    return { bytes: intoJpeg(encoded, { exif: fits ? exif : undefined, icc }), kept: { ...kept, exif: fits } };
  }
  if (encoded[0] === 0x89 && ascii(encoded, 1, 3) === 'PNG') return { bytes: await intoPng(encoded, metadata), kept };
  if (ascii(encoded, 0, 4) === 'RIFF' && ascii(encoded, 8, 4) === 'WEBP') return { bytes: intoWebp(encoded, metadata), kept };
  return { bytes: encoded, kept: { exif: false, icc: false } };
}

const ascii = (bytes: Uint8Array, at: number, length: number): string => String.fromCharCode(...bytes.subarray(at, at + length));
const latin = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));

function uint32(value: number, little = false): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, little);
  return bytes;
}

function intoJpeg(encoded: Uint8Array, { exif, icc }: PhotoMetadata): Uint8Array {
  const parts = [encoded.subarray(0, 2)];
  const segment = (marker: number, ...content: Uint8Array[]): void => {
    const length = 2 + content.reduce((sum, part) => sum + part.length, 0);
    parts.push(Uint8Array.of(0xff, marker, length >> 8, length & 0xff), ...content);
  };
  if (exif) segment(0xe1, latin('Exif\0\0'), exif);
  const piece = 0xffff - 2 - 14, count = icc ? Math.ceil(icc.length / piece) : 0;
  for (let k = 0; k < count; k++) segment(0xe2, latin('ICC_PROFILE\0'), Uint8Array.of(k + 1, count), icc!.subarray(k * piece, (k + 1) * piece));
  return joined([...parts, encoded.subarray(2)]);
}

async function intoPng(encoded: Uint8Array, { exif, icc }: PhotoMetadata): Promise<Uint8Array> {
  const afterHeader = 8 + 12 + 13; // signature, then the IHDR chunk
  const chunk = (type: string, ...content: Uint8Array[]): Uint8Array => {
    const body = joined([latin(type), ...content]);
    return joined([uint32(body.length - 4), body, uint32(crc32(body))]);
  };
  const parts = [encoded.subarray(0, afterHeader)];
  if (icc) parts.push(chunk('iCCP', latin('ICC profile\0\0'), await deflated(icc)));
  if (exif) parts.push(chunk('eXIf', exif));
  return joined([...parts, encoded.subarray(afterHeader)]);
}

async function deflated(bytes: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new CompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

const webpFlags = { icc: 0x20, alpha: 0x10, exif: 0x08 } as const;

function intoWebp(encoded: Uint8Array, { exif, icc }: PhotoMetadata): Uint8Array {
  const view = new DataView(encoded.buffer, encoded.byteOffset, encoded.byteLength);
  const chunk = (type: string, content: Uint8Array): Uint8Array =>
    joined([latin(type), uint32(content.length, true), content, new Uint8Array(content.length & 1)]);
  const chunks: { type: string; bytes: Uint8Array }[] = [];
  for (let at = 12; at + 8 <= encoded.length;) {
    const length = 8 + view.getUint32(at + 4, true), end = at + length + (length & 1);
    chunks.push({ type: ascii(encoded, at, 4), bytes: encoded.subarray(at, end) });
    at = end;
  }
  const header = chunks[0].type === 'VP8X' ? chunks.shift()!.bytes.slice(8, 18) : extendedHeader(chunks[0].type, chunks[0].bytes);
  header[0] |= (icc ? webpFlags.icc : 0) | (exif ? webpFlags.exif : 0);
  const pictures = chunks.filter(({ type }) => type !== 'ICCP' && type !== 'EXIF').map(({ bytes }) => bytes);
  const body = joined([latin('WEBP'), chunk('VP8X', header), ...(icc ? [chunk('ICCP', icc)] : []), ...pictures, ...(exif ? [chunk('EXIF', exif)] : [])]);
  return joined([latin('RIFF'), uint32(body.length, true), body]);
}

/** The ten bytes of VP8X for a file that had none: flags, and the size less one in 24 bits each. */
function extendedHeader(type: string, bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const lossless = type === 'VP8L', bits = lossless ? view.getUint32(9, true) : 0;
  const [width, height] = lossless ? [bits & 0x3fff, (bits >>> 14) & 0x3fff] : [(view.getUint16(14, true) & 0x3fff) - 1, (view.getUint16(16, true) & 0x3fff) - 1];
  const alpha = lossless && (bits >>> 28) & 1 ? webpFlags.alpha : 0;
  return Uint8Array.of(alpha, 0, 0, 0, width & 0xff, width >> 8, 0, height & 0xff, height >> 8, 0);
}
