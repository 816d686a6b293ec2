/** Downloads an official weight file into the cache: resumed where it stopped, checked by its SHA-256 before it gets its name. */
import { existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { AbortedError, WeightsError, messageOf } from '../errors.js';
import type { LongWork } from '../progress.js';
import { cacheFolder, digitsOf, type OfficialFile } from './catalogue.js';
import { sha256 } from './read.js';

export interface FetchOptions extends LongWork {
  /** Default: the cache. */
  folder?: string;
  /** Another place that has the same file, say a mirror. */
  url?: string;
}

export interface Fetched { path: string; bytes: number; /** False when it was there already. */ downloaded: boolean }

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

/** What the server says of sizes: `total` is of the whole file, null when it doesn't say. */
function sizes(response: Response, start: number): { resumed: boolean; total: number | null } {
  const range = /^bytes (?:(\d+)-\d+|\*)\/(\d+)$/.exec(response.headers.get('content-range') ?? '');
  if (response.status === 206) {
    if (!range || Number(range[1]) !== start) throw new Error(`the server sends another part than the one from byte ${start} on`);
    return { resumed: true, total: Number(range[2]) };
  }
  const length = response.headers.get('content-length');
  return { resumed: false, total: length === null ? null : Number(length) };
}

/** Appends to `part` what is missing of it, or writes it anew where the server can't go on. Returns when the file is complete as far as the server says. */
async function download(url: string, part: string, { onProgress, signal }: LongWork): Promise<void> {
  const start = existsSync(part) ? statSync(part).size : 0;
  const response = await fetch(url, { signal, headers: { 'accept-encoding': 'identity', ...(start > 0 && { range: `bytes=${start}-` }) } });
  if (response.status === 416) { // nothing is left to send: the part is complete, or of another file
    await response.body?.cancel();
    if (response.headers.get('content-range') === `bytes */${start}`) return;
    rmSync(part);
    return download(url, part, { onProgress, signal });
  }
  if (!response.ok || !response.body) {
    await response.body?.cancel();
    throw new Error(`the server answers ${response.status} ${response.statusText}`.trim());
  }
  const { resumed, total } = sizes(response, start);
  let done = resumed ? start : 0;
  const file = await open(part, resumed ? 'a' : 'w');
  try {
    for await (const chunk of response.body) { // written one by one: what came before a lost connection is kept
      await file.appendFile(chunk);
      done += chunk.length;
      onProgress?.({ done, total: total ?? done, label: 'bytes' });
    }
  } finally {
    await file.close();
  }
  if (total !== null && done < total) throw new Error(`the connection ended after ${done} of ${total} bytes`);
}

/**
 * Fetches a file unless it is there and whole. What was downloaded stays beside it as `.part` when the connection or the process ends, and the next call goes on
 * from it. Throws WeightsError (the server, the disk, a wrong SHA-256), AbortedError.
 */
export async function fetchWeights(official: OfficialFile, { folder = cacheFolder(), url = official.url, onProgress, signal }: FetchOptions = {}): Promise<Fetched> {
  const path = join(folder, official.file), part = `${path}.part`, digits = digitsOf(official);
  if (existsSync(path) && sha256(path).startsWith(digits)) return { path, bytes: statSync(path).size, downloaded: false };
  try {
    mkdirSync(folder, { recursive: true });
    await download(url, part, { onProgress, signal });
  } catch (error) {
    const kept = existsSync(part) && statSync(part).size > 0 ? `; ${megabytes(statSync(part).size)} are kept, and the same command goes on from there` : '';
    if (signal?.aborted) throw new AbortedError(`stopped${kept}`, { cause: error });
    const cause = error instanceof Error && error.cause instanceof Error ? `: ${messageOf(error.cause)}` : ''; // fetch says no more than "fetch failed"
    throw new WeightsError(`${url} can't be fetched into ${folder}: ${messageOf(error)}${cause}${kept}`, { cause: error });
  }
  const found = sha256(part);
  if (!found.startsWith(digits)) {
    rmSync(part);
    throw new WeightsError(`${url}: the SHA-256 should begin with ${digits}, but is ${found.slice(0, 8)}…: damaged on the way, or another file; it was deleted. Try again, or --url with another place`);
  }
  renameSync(part, path);
  return { path, bytes: statSync(path).size, downloaded: true };
}
