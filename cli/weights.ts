/** `unshake weights fetch`: official weights of the networks that losses look through, into the cache. */
import type { Command } from 'commander';
import { closest } from 'fastest-levenshtein';
import { UsageError } from '../src/errors.js';
import { catalogue, weightsNames, type WeightsName } from '../src/weights/catalogue.js';
import { fetchWeights } from '../src/weights/fetch.js';
import { withInterrupt } from './interrupt.js';
import { withProgress } from './progress.js';

function known(name: string): WeightsName {
  if (Object.hasOwn(catalogue, name)) return name as WeightsName;
  throw new UsageError(`weights fetch: ${name} is not known; did you mean ${closest(name, weightsNames)}? There are ${weightsNames.join(', ')}`);
}

export function registerWeights(root: Command): void {
  root.command('weights').description('official weights that losses need')
    .command('fetch')
    .description(`download into the cache (UNSHAKE_CACHE, else the user's), resumed and checked: ${weightsNames.map((name) => `${name} (${catalogue[name].megabytes} MB)`).join(', ')}`)
    .argument('<name...>', 'one or more of them')
    .option('--url <url>', 'fetch from here instead, say a mirror; the file must be the same')
    .action(run);
}

async function run(names: string[], { url }: { url?: string }): Promise<void> {
  const wanted = names.map(known);
  if (url !== undefined && wanted.length > 1) throw new UsageError('weights fetch: --url is of one file; fetch the others by themselves');
  await withInterrupt(async (signal) => {
    for (const name of wanted) {
      const { path, bytes, downloaded } = await withProgress((onProgress) => fetchWeights(catalogue[name], { url, onProgress, signal }));
      process.stdout.write(`${name}: ${path}  ${(bytes / 1e6).toFixed(1)} MB${downloaded ? '' : ', was there'}\n`);
    }
  });
}
