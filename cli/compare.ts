/** `unshake compare`: pictures against references. */
import type { Command } from 'commander';
import { compare, type Comparison } from '../src/compare.js';
import { goproSequence } from '../src/dataset.js';
import { UsageError } from '../src/errors.js';
import type { MetricName, Protocol } from '../src/metrics/index.js';
import { withProgress } from './progress.js';
import { alignColumns, cropOption, metricsOption, metricsOf, metricTitles, protocolOption, scoreCells } from './score-table.js';

interface Flags { metrics?: MetricName[]; protocol: Protocol; crop?: number; json?: boolean; csv?: boolean }

export function registerCompare(root: Command): void {
  root.command('compare').description('measure pictures against references: PSNR, SSIM, MS-SSIM, FSIM, FSIMc, VIF')
    .argument('<test>', 'a picture, or a folder of them').argument('<reference>', 'a picture, or a folder of pictures with the same stems')
    .addOption(metricsOption()).addOption(protocolOption()).addOption(cropOption())
    .option('--json', 'print one JSON document').option('--csv', 'print one line for each pair, separated by commas')
    .action(async (test: string, reference: string, { metrics, protocol, crop, json, csv }: Flags) => {
      if (json && csv) throw new UsageError('--json and --csv: expected one of them');
      const comparison = await withProgress((onProgress) => compare(test, reference, { metrics, protocol, crop, onProgress }));
      for (const note of comparison.notes) process.stderr.write(`unshake: note: ${note}\n`);
      const lines = json ? [JSON.stringify(comparison)] : csv ? csvLines(comparison) : tableLines(comparison);
      process.stdout.write(`${lines.join('\n')}\n`);
    });
}

function tableLines({ protocol, crop, pairs, mean, std, sequences, conventions }: Comparison): string[] {
  const metrics = metricsOf(mean);
  const row = (title: string, scores: Comparison['mean']): string[] => [title, ...scoreCells(scores, metrics)];
  const header = ['pair', ...metrics.map((metric) => metricTitles[metric])];
  const grouped = Object.entries(sequences).map(([name, sequence]) => row(`${name} (${sequence.pairs})`, sequence.mean));
  const rows = alignColumns([header, ...pairs.map((pair) => row(pair.name, pair)), ...grouped, row(`mean of ${pairs.length}`, mean), row('standard deviation', std)]);
  const ends = [1 + pairs.length, 1 + pairs.length + grouped.length];
  return [
    ...rows.slice(0, ends[0]), '', ...(grouped.length > 0 ? [...rows.slice(...ends), ''] : []), ...rows.slice(ends[1]), '',
    `protocol ${protocol}: ${conventions.protocol}; ${crop === null ? 'whole pictures' : `centred ${crop}×${crop} window`}`,
    ...metrics.map((metric) => `${metricTitles[metric]}: ${conventions[metric]}`),
  ];
}

function csvLines({ protocol, crop, pairs, mean }: Comparison): string[] {
  const metrics = metricsOf(mean);
  const quoted = (text: string): string => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return [
    ['name', 'sequence', 'protocol', 'crop', ...metrics].join(','),
    ...pairs.map((pair) => [quoted(pair.name), goproSequence(pair.name) ?? '', protocol, crop ?? '', ...metrics.map((metric) => pair[metric])].join(',')),
  ];
}
