/** The report's tables as plain text cells, for the page and for Markdown alike. */
import type { MetricName, Scores } from '../metrics/index.js';
import { complexitySide, type Complexity } from './complexity.js';
import { differences } from './difference.js';
import { publishedOn, publishedRow } from './published.js';

/** `kind` decides how a row looks: `input` the blurry input, `below` no better than it, `best` the best PSNR, `published` not ours. */
export interface Row { cells: string[]; kind?: 'input' | 'below' | 'best' | 'published' }
export interface Table { caption: string; columns: string[]; rows: Row[]; notes: string[] }

/** Over the pictures; one picture has no deviation. */
export interface MeanAndStd { mean: Scores; std: Scores | null }

/** A run's scores on the pairs of one table. */
export interface ScoreRow extends MeanAndStd { label: string; experiment: string; name: string; notes: readonly string[] }

const titles: Partial<Record<MetricName, string>> = { psnr: 'PSNR, dB', ssim: 'SSIM', msssim: 'MS-SSIM', fsimc: 'FSIMc', vif: 'VIF' };
const digits = (metric: MetricName): number => (metric === 'psnr' ? 2 : 4);
const signed = (value: number): string => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(2)}`;

function scoreCells(mean: Scores, std: Scores | null, metrics: readonly MetricName[]): string[] {
  return metrics.map((metric) => {
    const value = mean[metric]!.toFixed(digits(metric));
    return std ? `${value} ± ${std[metric]!.toFixed(digits(metric))}` : value;
  });
}

/** The PSNR that a reader sees: it is what is compared, so that rows below the input are those that look so. */
export const printedPsnr = ({ psnr }: Scores): number => Number(psnr!.toFixed(2));

const gain = (mean: Scores, input: Scores): number => printedPsnr(mean) - printedPsnr(input);

/** Title of the column of that change. */
export const gainTitle = 'Δ PSNR';

/** Long remarks, each said once under the table; `mark` gives what stands in the cell instead. */
function footnotes(): { mark: (remarks: readonly string[]) => string; texts: () => string[] } {
  const long: string[] = [];
  const mark = (remark: string): string => {
    if (remark.length <= 40) return remark;
    if (!long.includes(remark)) long.push(remark);
    return `note ${long.indexOf(remark) + 1}`;
  };
  return { mark: (remarks) => remarks.map(mark).join('; '), texts: () => long.map((remark, i) => `Note ${i + 1}: ${remark}.`) };
}

const belowInput = 'below the blurry input';

/** The blurry input, each run, and beside it the row that the report published (protocol report only). */
export function scoreTable(caption: string, input: MeanAndStd, runs: readonly ScoreRow[], metrics: readonly MetricName[], { published }: { published: boolean }): Table {
  const most = Math.max(...runs.map(({ mean }) => mean.psnr!));
  const rows: Row[] = [{ kind: 'input', cells: ['blurry input', '', ...scoreCells(input.mean, input.std, metrics), ''] }];
  const shown = new Set<string>(), remarks = footnotes();
  for (const { label, name, mean, std, notes } of runs) {
    const change = gain(mean, input.mean);
    const kind = change < 0 ? 'below' as const : mean.psnr === most && change > 0 ? 'best' as const : undefined;
    rows.push({ ...(kind && { kind }), cells: [label, signed(change), ...scoreCells(mean, std, metrics), remarks.mark([...(change < 0 ? [belowInput] : []), ...notes])] });
    const row = published ? publishedRow(name) : null;
    if (!row || shown.has(row.title)) continue;
    shown.add(row.title);
    rows.push({ kind: 'published', cells: [`report's ${row.title}`, '', ...scoreCells(row.scores, null, metrics), 'other pictures'] });
  }
  return {
    caption, columns: ['', gainTitle, ...metrics.map((metric) => titles[metric]!), 'notes'], rows,
    notes: ['± is the standard deviation over the pictures. Δ PSNR: against the blurry input.', ...remarks.texts(), ...(shown.size > 0 ? [`Rows “report's …”: ${publishedOn}.`] : [])],
  };
}

/** Mean and standard deviation over seeds, for the experiments that have several; null when none has. */
export function seedTable(caption: string, input: MeanAndStd, runs: readonly ScoreRow[], metrics: readonly MetricName[]): Table | null {
  const rows: Row[] = [];
  for (const experiment of new Set(runs.map((run) => run.experiment))) {
    const means = runs.filter((run) => run.experiment === experiment).map(({ mean }) => mean);
    if (means.length < 2) continue;
    const over = (metric: MetricName): { mean: number; std: number } => meanAndDeviation(means.map((scores) => scores[metric]!));
    const mean = Object.fromEntries(metrics.map((metric) => [metric, over(metric).mean])) as Scores;
    const std = Object.fromEntries(metrics.map((metric) => [metric, over(metric).std])) as Scores;
    const change = gain(mean, input.mean);
    rows.push({ ...(change < 0 && { kind: 'below' as const }), cells: [experiment, String(means.length), signed(change), ...scoreCells(mean, std, metrics), change < 0 ? belowInput : ''] });
  }
  if (rows.length === 0) return null;
  return {
    caption, columns: ['', 'seeds', gainTitle, ...metrics.map((metric) => titles[metric]!), 'notes'], rows,
    notes: ['± is the standard deviation over seeds (n − 1) of each run\'s mean over the pictures.'],
  };
}

/** Mean and the sample's standard deviation (n − 1) of at least two numbers. */
export function meanAndDeviation(values: readonly number[]): { mean: number; std: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return { mean, std: Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1)) };
}

/** What a run cost. */
export interface CostRow {
  label: string; seed: number; step: number; steps: number; batch: number; seconds: number; imagesPerSecond: number | null;
  complexity: (Complexity & { discriminatorParameters: number }) | null;
  environment: { device: string; precision: string; threads: string; processes: string } | null;
  best: { step: number; psnr: number } | null;
  notes: readonly string[];
}

const duration = (seconds: number): string => {
  const minutes = Math.round(seconds / 60);
  return seconds < 90 ? `${seconds.toFixed(0)} s` : minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')}`;
};

export function costTable(runs: readonly CostRow[]): Table {
  const remarks = footnotes();
  const rows = runs.map(({ label, seed, step, steps, batch, seconds, imagesPerSecond, complexity, environment, best, notes }): Row => ({
    cells: [
      label, String(seed), step < steps ? `${step} of ${steps}` : String(step), String(batch),
      complexity ? complexity.parameters.toLocaleString('en') : '–',
      complexity ? (complexity.discriminatorParameters > 0 ? complexity.discriminatorParameters.toLocaleString('en') : 'none') : '–',
      complexity ? (complexity.macs / 1e9).toFixed(2) : '–',
      seconds > 0 ? duration(seconds) : '–', imagesPerSecond === null ? '–' : imagesPerSecond.toFixed(imagesPerSecond < 10 ? 2 : 1),
      environment ? `${environment.device}, ${environment.precision}, ${environment.processes === '1' ? '' : `${environment.processes} processes of `}${environment.threads} thread${environment.threads === '1' ? '' : 's'}` : '–',
      best && Number.isFinite(best.psnr) ? `${best.psnr.toFixed(2)} dB at step ${best.step}` : '–',
      remarks.mark(notes),
    ],
  }));
  return {
    caption: 'What the runs are and what they cost',
    columns: ['', 'seed', 'steps', 'batch', 'parameters', 'of D', 'GMACs', 'training time', 'images/s', 'on', 'best on held-out pairs', 'notes'], rows,
    notes: [`GMACs: multiply–accumulate operations of the generator for one ${complexitySide}×${complexitySide} picture, counted over its traced graph. images/s: median while training. D: discriminator, needed in training only.`, ...remarks.texts()],
  };
}

/** Only the settings that differ; null when none does. */
export function differenceTable(runs: readonly { label: string; config: { name: string } }[]): Table | null {
  const rows = differences(runs.map(({ config: { name: _, ...settings } }) => settings)).map(({ key, values }): Row => ({ cells: [key, ...values.map((value) => value ?? '–')] }));
  if (rows.length === 0) return null;
  return { caption: 'Settings that differ', columns: ['setting', ...runs.map(({ label }) => label)], rows, notes: ['–: the run has no such setting. All other settings are equal.'] };
}
