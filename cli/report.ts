/** `unshake report`: runs → one page. */
import { Option, type Command } from 'commander';
import type { AbOrder, BlurFolder } from '../src/dataset.js';
import { DataError, UsageError } from '../src/errors.js';
import { report } from '../src/report.js';
import { commandText } from './command-text.js';
import { withInterrupt } from './interrupt.js';
import { withProgress } from './progress.js';
import { repeated } from './repeated.js';
import { cropOption } from './score-table.js';

interface Flags { output: string; data: string[]; crop?: number; exclude: string[]; blur?: BlurFolder; ab?: AbOrder }

export function registerReport(root: Command): void {
  root.command('report').description('runs → report.html, table.md, loss.svg and panels/: results beside the blurry input, curves, pictures, what differs')
    .argument('<run...>', 'folders of runs')
    .requiredOption('-o, --output <dir>', 'folder of the report')
    .option('--data <dir>', "a dataset to measure on (repeatable; default: each run's own test split, else the pairs it held out)", repeated, [])
    .addOption(cropOption())
    .option('--exclude <file>', 'one name of a pair a line: further tables without these (repeatable)', repeated, [])
    .addOption(new Option('--blur <folder>', 'with --data: which blur of the GOPRO_Large tree (default: blur where it is there)').choices(['blur', 'blur_gamma']))
    .addOption(new Option('--ab <order>', 'with --data: order of side-by-side pairs (default: sharp-left)').choices(['sharp-left', 'blur-left']))
    .action(async (runs: string[], { output, data, crop, exclude, blur: blurFolder, ab }: Flags) => {
      const unused = blurFolder !== undefined ? '--blur' : ab !== undefined ? '--ab' : undefined;
      if (data.length === 0 && unused) throw new UsageError(`${unused}: only with --data; a run's own pairs are read as its config.yaml says`);
      const { page, sets } = await withInterrupt((signal) => withProgress((onProgress) => report(runs, output, {
        ...(data.length > 0 && { data }), crop, exclude, blurFolder, ab, command: commandText(), onProgress, signal,
        onNotice: (line) => process.stderr.write(`unshake: note: ${line}\n`),
      })));
      if (sets.length === 0) throw new DataError(`${page}: nothing could be measured, so it has no results; its notes, printed above, say why`);
      process.stdout.write(`${page}: ${sets.map(({ title, pairs, measured }) => `${measured} run${measured === 1 ? '' : 's'} on ${title} (${pairs} pairs)`).join('; ')}\n`);
    });
}
