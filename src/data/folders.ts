/** Listing folders of pictures, and telling side-by-side pairs from single photos. */
import { readdir } from 'node:fs/promises';
import { extname, join } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { DataError, messageOf } from '../errors.js';
import { isImageName } from '../image/codec-node.js';
import type { RgbImage } from '../image/image.js';
import { kindOf } from '../place.js';
import { spread } from '../spread.js';
import { sizeOfPicture } from './pair.js';

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

const side = 16;

/** A picture as gray values, `width`×16. */
const thumbnail = (picture: Sharp, width: number): Promise<Buffer> => picture.toColourspace('b-w').removeAlpha().resize(width, side, { fit: 'fill' }).raw({ depth: 'uchar' }).toBuffer();

/**
 * Whether two 16×16 thumbnails, each row `stride` bytes, are of one picture, by their correlation after each row's mean is taken away (sky over
 * ground makes any two landscapes alike, row by row). `undefined` when one has no contrast. Of 217 blurred pairs (GoPro, REDS, deshake_256) the
 * least alike have 0.85; a blurred picture and a sharp one of another scene have 0.57 at most.
 */
function thumbnailsAlike(a: Buffer, b: Buffer, stride: number): boolean | undefined {
  let product = 0, a2 = 0, b2 = 0;
  for (let y = 0; y < side; y++) {
    const [left, right] = [a, b].map((all) => all.subarray(stride * y, stride * y + side));
    const mean = (row: Buffer): number => row.reduce((sum, value) => sum + value, 0) / side;
    const leftMean = mean(left), rightMean = mean(right);
    for (let x = 0; x < side; x++) {
      const l = left[x] - leftMean, r = right[x] - rightMean;
      product += l * r;
      a2 += l * l;
      b2 += r * r;
    }
  }
  return a2 * b2 > 0 ? product / Math.sqrt(a2 * b2) > 0.6 : undefined;
}

/** Whether two pictures show the same, blurred or not. `undefined` when one has no contrast. */
export async function looksAlike(a: RgbImage, b: RgbImage): Promise<boolean | undefined> {
  const [left, right] = await Promise.all([a, b].map(({ data, width, height, channels }) => thumbnail(sharp(data, { raw: { width, height, channels } }), side)));
  return thumbnailsAlike(left, right, side);
}

/** Whether a picture looks like a pair side by side: it is twice as wide as high or wider, or its halves are alike. `undefined` when it can't be read or has no contrast. */
async function halvesLookAlike(file: string): Promise<boolean | undefined> {
  const size = await sizeOfPicture({ file });
  if (!size) return undefined;
  if (size.width >= 2 * size.height) return size.width % 2 === 0;
  const pixels = await thumbnail(sharp(file).rotate(), 2 * side).catch(() => undefined);
  return pixels && thumbnailsAlike(pixels, pixels.subarray(side), 2 * side);
}

/** Whether the pictures look like side-by-side pairs, by up to nine of them. Unreadable and blank ones don't vote; without any vote, yes. */
export async function looksSideBySide(files: readonly string[]): Promise<boolean> {
  const votes = (await Promise.all(spread(files, 9).map(halvesLookAlike))).filter((vote) => vote !== undefined);
  return votes.filter(Boolean).length * 2 >= votes.length;
}
