/** Scores as text: PSNR with three decimals, the rest with four; columns aligned. */
import { InvalidArgumentError, Option } from 'commander';
import { distance } from 'fastest-levenshtein';
import { metricNames, protocols, type MetricName, type Scores } from '../src/metrics/index.js';

export const metricTitles: Record<MetricName, string> = { psnr: 'PSNR', ssim: 'SSIM', msssim: 'MS-SSIM', fsim: 'FSIM', fsimc: 'FSIMc', vif: 'VIF' };

/** What was measured, in its order. */
export const metricsOf = (scores: Scores): MetricName[] => Object.keys(scores) as MetricName[];

/** The cells of a row, in the order of `metrics`. */
export function scoreCells(scores: Scores, metrics: readonly MetricName[]): string[] {
  return metrics.map((metric) => (scores[metric] as number).toFixed(metric === 'psnr' ? 3 : 4));
}

/** First column to the left, the others to the right. */
export function alignColumns(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) => row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))).join('  ').trimEnd());
}

export const protocolOption = (): Option => new Option('--protocol <protocol>', 'clean: values in [0, 1]; report: per-image min–max first, VIF reversed').choices(protocols).default('clean');

export const cropOption = (): Option => new Option('--crop <pixels>', 'use only the centred square of this side').argParser((text) => pixels(text, 1));

export const shaveOption = (): Option => new Option('--shave <pixels>', 'measure without this many at each edge, after deblurring').default(0).argParser((text) => pixels(text, 0));

function pixels(text: string, least: number): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(count) || count < least) throw new InvalidArgumentError(`Expected a whole number of pixels of ${least} or more.`);
  return count;
}

export const metricsOption = (): Option => new Option('--metrics <names>', `separated by commas, of ${metricNames.join(', ')} (default: all that every picture is large enough for)`)
  .argParser((text) => {
    const names = text.split(',').map((name) => name.trim());
    for (const name of names) {
      if ((metricNames as readonly string[]).includes(name)) continue;
      const nearest = metricNames.find((known) => distance(known, name.toLowerCase().replace(/[^a-z]/g, '')) <= 1);
      throw new InvalidArgumentError(`There is no metric '${name}'${nearest ? `; did you mean ${nearest}` : ''}: expected some of ${metricNames.join(', ')}.`);
    }
    return [...new Set(names)] as MetricName[];
  });
