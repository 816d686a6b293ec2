/** Generated pictures and folders for the data tests. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { writeImage } from '../src/image/codec-node.js';
import type { RgbImage } from '../src/image/image.js';
import { randomAt } from '../src/random.js';

/** A folder that goes with the test. */
export async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'unshake-data-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export function picture(width: number, height: number, at: (x: number, y: number, channel: number) => number): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < data.length; i++) data[i] = at(Math.floor(i / 3) % width, Math.floor(i / 3 / width), i % 3);
  return { width, height, channels: 3, data };
}

export function noise(seed: number, width = 48, height = 40): RgbImage {
  const random = randomAt(seed);
  return picture(width, height, () => random.integer(256));
}

/** A scene as noise in blocks of 8, and its blur: the mean of 9 neighbours in a row. */
export function blurredPair(seed: number, width = 48, height = 40): { blur: RgbImage; sharp: RgbImage } {
  const blocks = noise(seed, Math.ceil(width / 8), Math.ceil(height / 8));
  const sharp = picture(width, height, (x, y, c) => blocks.data[(Math.floor(y / 8) * blocks.width + Math.floor(x / 8)) * 3 + c]);
  const blur = picture(width, height, (x, y, c) => {
    let sum = 0;
    for (let k = -4; k <= 4; k++) sum += sharp.data[(y * width + Math.min(width - 1, Math.max(0, x + k))) * 3 + c];
    return Math.round(sum / 9);
  });
  return { blur, sharp };
}

/** Writes files of a tree: pictures by their extension's codec, text and bytes as they are. */
export async function writeTree(root: string, files: Record<string, RgbImage | Uint8Array | string>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    const path = join(root, name);
    await mkdir(dirname(path), { recursive: true });
    if (typeof content === 'string' || content instanceof Uint8Array) await writeFile(path, content);
    else await writeImage(path, content);
  }
}

/** `blur/` and `sharp/` with these stems, each a pair of its own. */
export async function writePairs(root: string, stems: readonly string[], { width = 48, height = 40, names = ['blur', 'sharp'] as readonly [string, string] } = {}): Promise<void> {
  for (const [i, stem] of stems.entries()) {
    const { blur, sharp } = blurredPair(1000 + i, width, height);
    await writeTree(root, { [`${names[0]}/${stem}.png`]: blur, [`${names[1]}/${stem}.png`]: sharp });
  }
}
