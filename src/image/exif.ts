/**
 * EXIF carried from one encoded picture to another, byte for byte but for its orientation.
 *
 * Formats: EXIF 2.32 §4.5 and §4.7 (a TIFF structure; in JPEG an APP1 segment that begins with "Exif\0\0"), PNG 3rd edition §11.3.3.3 (eXIf).
 */

const orientationTag = 0x0112;
const exifHeader = Buffer.from('Exif\0\0', 'latin1');
const pngSignature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');

/** A copy of an EXIF block, without a leading "Exif\0\0", with orientation 1: for pixels that have been turned upright. */
export function uprightExif(block: Uint8Array): Uint8Array {
  const start = Buffer.from(block.subarray(0, 6)).equals(exifHeader) ? 6 : 0;
  const exif = Uint8Array.from(block.subarray(start));
  const view = new DataView(exif.buffer);
  if (exif.length < 14) return exif;
  const little = view.getUint16(0) === 0x4949; // "II"
  const directory = view.getUint32(4, little);
  if (directory + 2 > exif.length) return exif;
  const entries = view.getUint16(directory, little);
  for (let entry = directory + 2; entry < directory + 2 + 12 * entries && entry + 12 <= exif.length; entry += 12) {
    if (view.getUint16(entry, little) === orientationTag) view.setUint16(entry + 8, 1, little);
  }
  return exif;
}

/** An encoded JPEG or PNG with an EXIF block put in; other formats, and blocks too large for JPEG's 64 KiB segment, come back as they are. */
export function insertExif(encoded: Buffer, exif: Uint8Array): Buffer {
  if (encoded[0] === 0xff && encoded[1] === 0xd8) {
    const length = 2 + exifHeader.length + exif.length;
    if (length > 0xffff) return encoded;
    const marker = Buffer.from([0xff, 0xe1, length >> 8, length & 0xff]);
    return Buffer.concat([encoded.subarray(0, 2), marker, exifHeader, exif, encoded.subarray(2)]);
  }
  if (encoded.subarray(0, 8).equals(pngSignature)) {
    const afterHeader = 8 + 12 + 13; // signature, then the IHDR chunk
    const chunk = Buffer.concat([Buffer.alloc(4), Buffer.from('eXIf', 'latin1'), exif, Buffer.alloc(4)]);
    chunk.writeUInt32BE(exif.length, 0);
    chunk.writeUInt32BE(crc32(chunk.subarray(4, 8 + exif.length)), 8 + exif.length);
    return Buffer.concat([encoded.subarray(0, afterHeader), chunk, encoded.subarray(afterHeader)]);
  }
  return encoded;
}

/** PNG's checksum, bit by bit: an EXIF block is short. (zlib.crc32 came to Node only with 20.15.) */
function crc32(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}
