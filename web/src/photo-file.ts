/** Names and formats of photo files. */

/** A file to deblur, and the format that is written for it. */
export interface PhotoFile { file: File; type: string; notes: string[]; heic: boolean }

const extensions: Record<string, string> = { 'image/jpeg': 'jpg', 'image/png': 'png', 'image/webp': 'webp' };

/** What the first bytes say, whatever the name says. */
function typeOf(start: Uint8Array): string | undefined {
  const text = String.fromCharCode(...start);
  if (text.startsWith('\xff\xd8\xff')) return 'image/jpeg';
  if (text.startsWith('\x89PNG\r\n\x1a\n')) return 'image/png';
  if (text.startsWith('RIFF') && text.slice(8, 12) === 'WEBP') return 'image/webp';
  return undefined;
}

/** An ISO media file of the HEIF family whose pictures are HEVC: `mif1` says only that there are some. */
function isHeic(start: Uint8Array): boolean {
  const text = String.fromCharCode(...start);
  return /^....ftyp(?:hei[cxms]|hev[cx]|mif1|msf1)/s.test(text) && !text.includes('avif');
}

/** Looks into the file. The result is saved in the photo's own format where browsers can write it, HEIC as JPEG, others as PNG. */
export async function identify(file: File): Promise<Pick<PhotoFile, 'type' | 'notes' | 'heic'>> {
  const start = new Uint8Array(await file.slice(0, 32).arrayBuffer());
  const type = typeOf(start);
  // A PNG says its depth in the 25th byte: browsers decode to 8 bits.
  const notes = type === 'image/png' && start[24] === 16 ? ['This photo has 16 bits a channel, of which browsers read 8. The command line keeps all 16.'] : [];
  const heic = isHeic(start);
  if (heic) notes.push('The page doesn’t keep the EXIF of HEIC photos. The command line does.');
  return { type: type ?? (heic ? 'image/jpeg' : 'image/png'), notes, heic };
}

/** photo.jpg → photo.deblurred.jpg */
export function savedName(name: string, type: string): string {
  return `${name.replace(/\.[^.]*$/, '') || 'photo'}.deblurred.${extensions[type] ?? 'png'}`;
}
