/** Files that appear whole or not at all: written beside their place and renamed. A failure leaves nothing, and what was there as it was. */
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { hashText } from './random.js';

/** Bytes of a name that leave room for what is added to it, where a name may have 255. */
const mostBytes = 200;

/** Where a file is written first. Hidden, so that no dataset takes what a killed process left for a picture of its own; `extension` is for programs that go by it. */
export function besideOf(path: string, extension = ''): string {
  const name = basename(path), start = Buffer.byteLength(name) <= mostBytes ? name : `${[...name].slice(0, 40).join('')}~${hashText(name).toString(16)}`;
  return join(dirname(path), `.${start}.${process.pid}.tmp${extension}`);
}

/** Whether a file's name is one that a killed writer leaves. */
export const isLeftover = (name: string): boolean => /^\..*\.\d+\.tmp$/.test(name);

export async function writeWhole(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = besideOf(path);
  try {
    await writeFile(temporary, content);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {}); // the first error is the one to tell
    throw error;
  }
}

/** The same for callers that can't wait. */
export function writeWholeSync(path: string, content: string | Uint8Array): void {
  const temporary = besideOf(path);
  try {
    writeFileSync(temporary, content);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}
