/**
 * Runs → one page: results beside the blurry input's own row, loss curves, blur | sharp | generated panels, what differs between the
 * runs, machine and commit. Nothing on the page comes from anywhere but the run folders and the pairs that the runs are measured on.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openDataset, type AbOrder, type BlurFolder } from './dataset.js';
import { AbortedError, DataError, UnshakeError, UsageError, messageOf } from './errors.js';
import { configToYaml } from './experiment-file.js';
import { writeImage } from './image/codec-node.js';
import { besideEachOther } from './image/image.js';
import { conventions, protocolText, protocols, summarise } from './metrics/index.js';
import { describeMachine, machineText } from './machine.js';
import type { LongWork } from './progress.js';
import { readRuns, type ReportRun } from './report-runs.js';
import { fixedPairs, fixedPictures, namedSet, ownSets, reportMetrics, scoreRun, type ScoreSet, type SetScores } from './report-scores.js';
import { chartSvg, svgToPng } from './report/charts.js';
import { lossPanels, mostPoints, validationPanel, type Panel } from './report/curves.js';
import { tableMarkdown, escapeMarkdown } from './report/html.js';
import { lossNotes } from './losses/notes.js';
import { pageHtml, type PageSet, type ShownPicture } from './report/page.js';
import { costTable, differenceTable, printedPsnr, scoreTable, seedTable, type MeanAndStd, type ScoreRow, type Table } from './report/tables.js';
import { writeWhole } from './write-whole.js';

export interface ReportOptions extends LongWork {
  /** Datasets to measure on: the test split, or all of one without splits. Default: each run's own test split, else the pairs it held out. */
  data?: readonly string[];
  /** Cut this centred square out of both pictures before deblurring. Default: whole pictures. */
  crop?: number;
  /** Files with one pair's name a line (# begins a comment): further tables without these pairs. */
  exclude?: readonly string[];
  /** How to read `data`; a run's own pairs are read as its configuration says. */
  ab?: AbOrder;
  blurFolder?: BlurFolder;
  /** The command that made this page, to be printed on it. */
  command?: string;
  /** Runs that failed, and why. */
  failed?: readonly { name: string; message: string }[];
  onNotice?: (line: string) => void;
}

export interface Report { page: string; table: string; runs: number; sets: { title: string; pairs: number; measured: number }[] }

/** A set, the runs that were measured on it, and which of its pairs one group of tables is about. */
interface Measured { set: ScoreSet; scores: Map<ReportRun, SetScores> }
interface View { measured: Measured; title: string; indices: number[]; without?: string }

/** Opens what a report will measure on and leave out, so that a wrong path is met before long work. Throws DataError. */
export async function checkInputs({ data = [], exclude = [], ab, blurFolder }: Pick<ReportOptions, 'data' | 'exclude' | 'ab' | 'blurFolder'> = {}): Promise<void> {
  exclude.forEach(readNames);
  await Promise.all(data.map((path) => openDataset(path, { ab, blurFolder })));
}

/**
 * Writes report.html, table.md, loss.svg, loss.png, validation.svg, validation.png and panels/ into the folder `out`. Scores are kept beside each run and
 * used again while its checkpoint and the pairs stay the same. A run that can't be measured is on the page with the reason.
 * @throws ModelError or ConfigError for a folder that is no run; DataError for `data`, `exclude` or `out`; AbortedError
 */
export async function report(paths: readonly string[], out: string, options: ReportOptions = {}): Promise<Report> {
  const { onNotice = () => {}, exclude = [], failed = [] } = options;
  if (paths.length === 0 && failed.length === 0) throw new UsageError('report: expected at least one run');
  const runs = readRuns(paths);
  const excluded = exclude.map((file) => ({ file, names: readNames(file) }));
  try {
    mkdirSync(out, { recursive: true });
  } catch (error) {
    throw new DataError(`${out}: the report's folder can't be made (${messageOf(error)})`, { cause: error });
  }
  for (const run of runs) {
    if (run.problem) onNotice(`${run.path}: ${run.problem}`);
    if (run.damagedLines > 0) onNotice(`${run.path}: ${run.damagedLines} damaged lines of log.jsonl were left out`);
  }

  const notes = new Map(runs.map((run) => [run, [...lossNotes(run.config), ...(run.damagedLines > 0 ? [`${run.damagedLines} damaged lines of the log left out`] : [])]]));
  const measured = await measureAll(runs, notes, { ...options, onNotice });
  const views = measured.flatMap((each) => viewsOf(each, excluded));
  for (const { file, names } of excluded) {
    if (measured.length > 0 && !views.some(({ without }) => without === file)) throw new DataError(`--exclude ${file}: no pair is called ${names.slice(0, 3).join(', ')} in ${measured.map(({ set }) => set.title).join(' or ')}`);
  }
  const groups = views.map((view) => ({ view, tables: tablesOf(view, notes) }));
  const cost = costTable(runs.map((run) => ({
    ...run, seed: run.config.seed, steps: run.planned, batch: run.log.at(-1)?.effectiveBatch ?? run.config.batchSize * run.config.accumulate, environment: run.checkpoint?.info.environment ?? null,
    best: run.checkpoint?.info.best ?? null, notes: [...notes.get(run)!, ...(run.problem ? [`not measured: ${run.problem}`] : [])],
  })));
  const different = differenceTable(runs);
  const logged = runs.map((run) => ({ label: run.label, experiment: run.experiment, log: run.log }));
  const experiments = [...new Set(runs.map(({ experiment }) => experiment))];
  const losses = lossPanels(logged), validation = validationPanel(logged);
  const machines = machinesOf(runs);
  const thinned = logged.some(({ log }) => log.length > mostPoints) ? `Curves of more than ${mostPoints} logged steps are drawn as means over ${mostPoints} equal stretches.` : '';

  try {
    await writeCharts(out, 'loss', losses, experiments);
    await writeCharts(out, 'validation', validation ? [validation] : [], experiments);
    const pictures = new Map<ScoreSet, ShownPicture[]>();
    for (const each of measured) pictures.set(each.set, await writePanels(join(out, 'panels'), each, measured.length > 1 ? `${measured.indexOf(each) + 1}-` : ''));
    const inPage = (panel: Panel): Promise<string> => chartSvg([panel], { experiments, place: 'page' });
    const page = await pageHtml({
      sets: groups.map(({ view, tables }): PageSet => ({ title: view.title, lead: leadOf(view), tables, pictures: view.indices.length === view.measured.set.pairs.length ? pictures.get(view.measured.set)! : [] })),
      experiments, validation: validation && await inPage(validation), losses: await Promise.all(losses.map(inPage)), thinned,
      cost, different, configs: runs.map(({ label, config }) => ({ label, yaml: configToYaml(config) })),
      conventions: [...protocols.map((protocol) => `protocol ${protocol}: ${protocolText[protocol]}`), ...reportMetrics.map((metric) => `${metric === 'fsimc' ? 'FSIMc' : metric.toUpperCase()}: ${conventions[metric]}`)],
      machines, here: machineText(describeMachine()), command: options.command, failed, date: new Date().toISOString().slice(0, 10),
    });
    await writeWhole(join(out, 'report.html'), page);
    await writeWhole(join(out, 'table.md'), markdown(groups.flatMap(({ view, tables }) => [`## ${escapeMarkdown(view.title)}`, '', `${escapeMarkdown(leadOf(view))}`, '', ...tables.map(tableMarkdown)]), [cost, ...(different ? [different] : [])], machines, options));
  } catch (error) {
    throw error instanceof UnshakeError ? error : new DataError(`${out}: the report can't be written (${messageOf(error)})`, { cause: error });
  }
  return { page: join(out, 'report.html'), table: join(out, 'table.md'), runs: runs.length, sets: measured.map(({ set, scores }) => ({ title: set.title, pairs: set.pairs.length, measured: scores.size })) };
}

function readNames(file: string): string[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new DataError(`--exclude ${file}: can't be read (${messageOf(error)})`, { cause: error });
  }
  const names = text.split('\n').map((line) => line.replace(/#.*/, '').trim()).filter((name) => name !== '');
  if (names.length === 0) throw new DataError(`--exclude ${file}: expected one pair's name a line, found none`);
  return names;
}

async function measureAll(runs: readonly ReportRun[], notes: Map<ReportRun, string[]>, options: ReportOptions & { onNotice: (line: string) => void }): Promise<Measured[]> {
  const { data, onNotice, onProgress, signal } = options;
  const named = data && await Promise.all(data.map((path) => namedSet(path, options)));
  const sets = new Map<string, Measured>();
  for (const set of named ?? []) sets.set(set.id, { set, scores: new Map() });
  const wanted: { run: ReportRun; set: ScoreSet }[] = [];
  const failing = (run: ReportRun, error: unknown, title = ''): void => {
    if (!(error instanceof UnshakeError) || error instanceof AbortedError) throw error;
    notes.get(run)!.push(`not measured${title}: ${error.message}`);
    onNotice(`${run.label}: not measured${title}: ${error.message}`);
  };
  for (const run of runs) {
    if (!run.checkpoint) continue;
    try {
      for (const set of named ?? await ownSets(run, options)) wanted.push({ run, set });
    } catch (error) {
      failing(run, error);
    }
  }
  for (const { title, notes: remarks } of new Set(wanted.map(({ set }) => sets.get(set.id)?.set ?? set))) for (const remark of remarks) onNotice(`${title}: ${remark}`);
  const total = wanted.reduce((sum, { set }) => sum + set.pairs.length, 0);
  let before = 0;
  for (const { run, set } of wanted) {
    const measured = sets.get(set.id) ?? { set, scores: new Map<ReportRun, SetScores>() };
    const [other] = measured.scores.values();
    try {
      const scores = await scoreRun(run, set, { known: other?.input, signal, onNotice, onProgress: ({ done }) => onProgress?.({ done: before + done, total, label: `${run.label} on ${set.title}` }) });
      measured.scores.set(run, scores);
      sets.set(set.id, measured);
    } catch (error) {
      failing(run, error, ` on ${set.title}`);
    }
    before += set.pairs.length;
    onProgress?.({ done: before, total });
  }
  return [...sets.values()].filter(({ scores }) => scores.size > 0);
}

const count = (pairs: number): string => `${pairs} pair${pairs === 1 ? '' : 's'}`;

/** All pairs, and for each exclusion that concerns the set, those that are left. Throws DataError for a name that the set it concerns lacks, too. */
function viewsOf(measured: Measured, excluded: readonly { file: string; names: string[] }[]): View[] {
  const { pairs, crop, blurFolders, title } = measured.set;
  const geometry = `${crop === null ? '' : `, centred ${crop}×${crop}`}${blurFolders.length > 0 ? `, blurred pictures from ${blurFolders.join('/ and ')}/` : ''}`;
  const known = new Set(pairs.map(({ name }) => name));
  const views: View[] = [{ measured, title: `${title}${geometry}: ${count(pairs.length)}`, indices: pairs.map((_, index) => index) }];
  for (const { file, names } of excluded) {
    const unknown = names.filter((name) => !known.has(name));
    if (unknown.length === names.length) continue; // it is about another dataset
    if (unknown.length > 0) throw new DataError(`--exclude ${file}: ${unknown.join(', ')}: no such pair in ${title}`);
    const indices = views[0].indices.filter((index) => !names.includes(pairs[index].name));
    if (indices.length === 0) throw new DataError(`--exclude ${file}: no pair of ${title} would be left`);
    views.push({ measured, title: `${title}${geometry}, without ${names.length} of ${file}: ${count(indices.length)}`, indices, without: file });
  }
  return views;
}

function tablesOf({ measured: { set, scores }, indices }: View, notes: Map<ReportRun, string[]>): Table[] {
  return protocols.flatMap((protocol) => {
    const pick = (list: SetScores['input']): MeanAndStd => {
      const { mean, std } = summarise(indices.map((index) => list[index][protocol]));
      return { mean, std: indices.length > 1 ? std : null };
    };
    const rows = [...scores].map(([run, { output }]): ScoreRow => ({
      ...pick(output), label: run.label, experiment: run.experiment, name: run.config.name, notes: [...stopped(run), ...notes.get(run)!],
    }));
    const input = pick([...scores.values()][0].input);
    const table = scoreTable(`Protocol ${protocol}`, input, rows, set.metrics, { published: protocol === 'report' });
    table.notes.push(...set.notes.map((note) => `${note}.`));
    const seeds = seedTable(`Protocol ${protocol}, over seeds`, input, rows, set.metrics);
    return seeds ? [table, seeds] : [table];
  });
}

const stopped = ({ step, planned }: ReportRun): string[] => (step < planned ? [`stopped at ${step} of ${planned} steps`] : []);

/** The outcome in a sentence or two, whatever it is. */
function leadOf({ measured: { set, scores }, indices }: View): string {
  const psnr = (list: SetScores['input']): number => printedPsnr(summarise(indices.map((index) => list[index].clean)).mean);
  const input = psnr([...scores.values()][0].input);
  const runs = [...scores].map(([run, { output }]) => ({ label: run.label, psnr: psnr(output) })).sort((a, b) => b.psnr - a.psnr);
  const below = runs.filter((run) => run.psnr < input);
  const best = runs[0].psnr >= input
    ? `Best: ${runs[0].label}, ${runs[0].psnr.toFixed(2)} dB, ${(runs[0].psnr - input).toFixed(2)} dB above the blurry input's ${input.toFixed(2)} dB (protocol clean).`
    : `No run reaches the blurry input's ${input.toFixed(2)} dB (protocol clean): none of them deblurs.`;
  const others = below.length > 0 && below.length < runs.length ? ` Below the blurry input: ${below.map(({ label }) => label).join(', ')}.` : '';
  return `${best}${others}${set.choseBest ? ' The best checkpoint of each run was chosen on these pairs: they flatter it.' : ''}`;
}

async function writeCharts(out: string, name: string, panels: readonly Panel[], experiments: readonly string[]): Promise<void> {
  if (panels.length === 0) return;
  const svg = await chartSvg(panels, { experiments });
  await writeWhole(join(out, `${name}.svg`), svg);
  await writeWhole(join(out, `${name}.png`), await svgToPng(svg));
}

const fileName = (text: string): string => text.replace(/[^\w.-]+/g, '-');

/** Blur | sharp | generated of each fixed picture and run, in panels/RUN/PICTURE.png; returns what the page shows. */
async function writePanels(folder: string, { set, scores }: Measured, prefix: string): Promise<ShownPicture[]> {
  const pictures = await fixedPictures(set), indices = fixedPairs(set.pairs).map((pair) => set.pairs.indexOf(pair));
  for (const [run, { pictures: generated }] of scores) {
    mkdirSync(join(folder, fileName(run.label)), { recursive: true });
    for (const [k, { name, blur, sharp }] of pictures.entries()) await writeImage(join(folder, fileName(run.label), `${prefix}${fileName(name)}.png`), besideEachOther([blur, sharp, generated[k]]));
  }
  const input = [...scores.values()][0].input;
  return pictures.map(({ name, blur, sharp }, k) => ({
    name, blur: { image: blur, psnr: input[indices[k]].clean.psnr! }, sharp,
    generated: [...scores].map(([run, { pictures: shown, output }]) => ({ label: run.label, image: shown[k], psnr: output[indices[k]].clean.psnr! })),
  }));
}

/** Where the runs were trained; runs of one machine together. */
function machinesOf(runs: readonly ReportRun[]): { machine: string; runs: string[] }[] {
  const machines = new Map<string, string[]>();
  for (const { label, machines: own } of runs) {
    const text = own.length > 0 ? own.map(machineText).join('; then ') : 'not noted';
    machines.set(text, [...machines.get(text) ?? [], label]);
  }
  return [...machines].map(([machine, labels]) => ({ machine, runs: labels }));
}

function markdown(results: readonly string[], tables: readonly Table[], machines: readonly { machine: string; runs: string[] }[], { command, failed = [] }: ReportOptions): string {
  return [
    '# Results', '', ...(command ? [`Made by \`${command.replaceAll('`', "'")}\`.`, ''] : []),
    ...(failed.length > 0 ? ['Failed:', '', ...failed.map(({ name, message }) => `- ${escapeMarkdown(`${name}: ${message}`)}`), ''] : []),
    ...results, '## Runs', '', ...tables.map(tableMarkdown),
    'Trained on:', '', ...machines.map(({ machine, runs }) => `- ${escapeMarkdown(`${machine} (${runs.join(', ')})`)}`), '',
  ].join('\n');
}
