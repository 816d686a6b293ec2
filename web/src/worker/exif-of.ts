/** The EXIF block of an encoded JPEG, PNG or WebP: a TIFF structure, without a leading "Exif\0\0". Formats as in src/image/metadata.ts. */
export function exifOf(bytes: Uint8Array): Uint8Array | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = (at: number, length: number): string => String.fromCharCode(...bytes.subarray(at, at + length));
  const block = (at: number, length: number): Uint8Array => bytes.slice(text(at, 6) === 'Exif\0\0' ? at + 6 : at, at + length);
  if (bytes[0] === 0xff && bytes[1] === 0xd8) {
    // Segments up to the start of the scan; EXIF is an APP1 among the first of them.
    for (let at = 2; at + 10 <= bytes.length && bytes[at] === 0xff && bytes[at + 1] !== 0xda;) {
      const length = view.getUint16(at + 2);
      if (bytes[at + 1] === 0xe1 && text(at + 4, 6) === 'Exif\0\0') return block(at + 4, length - 2);
      at += 2 + length;
    }
  } else if (text(1, 3) === 'PNG') {
    for (let at = 8; at + 12 <= bytes.length; at += 12 + view.getUint32(at)) {
      if (text(at + 4, 4) === 'eXIf') return block(at + 8, view.getUint32(at));
    }
  } else if (text(0, 4) === 'RIFF' && text(8, 4) === 'WEBP') {
    for (let at = 12; at + 8 <= bytes.length;) {
      const length = view.getUint32(at + 4, true);
      if (text(at, 4) === 'EXIF') return block(at + 8, length);
      at += 8 + length + (length & 1);
    }
  }
  return undefined;
}
