/** Listing folders of pictures, and telling side-by-side pairs from single photos. */
import { readdir } from 'node:fs/promises';
import { extname, join } from 'node:path';
import sharp from 'sharp';
import { DataError, messageOf } from '../errors.js';
import { isImageName } from '../image/codec-node.js';
import { kindOf } from '../place.js';
import { spread } from '../spread.js';

export interface Listing { folders: string[]; images: string[] }

/** Names directly inside a folder, sorted by code unit (the same on every machine); hidden entries and other files are left out, links are followed. Throws DataError when it can't be listed. */
export async function listFolder(folder: string): Promise<Listing> {
  const listing: Listing = { folders: [], images: [] };
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    throw new DataError(`${folder}: can't be listed (${messageOf(error)})`, { cause: error });
  });
  for (const entry of entries) {
    if (entry.name.startsWith('.')) continue;
    const kind = await kindOf(entry, join(folder, entry.name));
    if (kind === 'folder') listing.folders.push(entry.name);
    else if (kind === 'file' && isImageName(entry.name)) listing.images.push(entry.name);
  }
  listing.folders.sort();
  listing.images.sort();
  return listing;
}

/** Every picture below a folder, as paths relative to it with `/` between folders, sorted. */
export async function listImages(folder: string): Promise<string[]> {
  const { folders, images } = await listFolder(folder);
  const below = await Promise.all(folders.map(async (name) => (await listImages(join(folder, name))).map((path) => `${name}/${path}`)));
  return [...images, ...below.flat()].sort();
}

/** A picture's name without its extension. */
export function stemOf(name: string): string {
  return name.slice(0, name.length - extname(name).length);
}

/**
 * Whether a picture looks like a pair side by side: it is twice as wide as high or wider, or its halves are alike, by the correlation of
 * 16×16 thumbnails after each row's mean is taken away (sky over ground makes the halves of any landscape alike, row by row).
 * `undefined` when the picture can't be read or has no contrast.
 */
async function halvesLookAlike(file: string): Promise<boolean | undefined> {
  const side = 16;
  let pixels: Buffer;
  try {
    const { width, height } = (await sharp(file).metadata()).autoOrient;
    if (width >= 2 * height) return width % 2 === 0;
    pixels = await sharp(file).rotate().toColourspace('b-w').removeAlpha().resize(2 * side, side, { fit: 'fill' }).raw({ depth: 'uchar' }).toBuffer();
  } catch {
    return undefined;
  }
  let product = 0, left2 = 0, right2 = 0;
  for (let y = 0; y < side; y++) {
    const left = pixels.subarray(2 * side * y, 2 * side * y + side), right = pixels.subarray(2 * side * y + side, 2 * side * (y + 1));
    const mean = (row: Buffer): number => row.reduce((sum, value) => sum + value, 0) / side;
    const leftMean = mean(left), rightMean = mean(right);
    for (let x = 0; x < side; x++) {
      const a = left[x] - leftMean, b = right[x] - rightMean;
      product += a * b;
      left2 += a * a;
      right2 += b * b;
    }
  }
  return left2 * right2 > 0 ? product / Math.sqrt(left2 * right2) > 0.6 : undefined;
}

/** Whether the pictures look like side-by-side pairs, by up to nine of them. Unreadable and blank ones don't vote; without any vote, yes. */
export async function looksSideBySide(files: readonly string[]): Promise<boolean> {
  const votes = (await Promise.all(spread(files, 9).map(halvesLookAlike))).filter((vote) => vote !== undefined);
  return votes.filter(Boolean).length * 2 >= votes.length;
}
