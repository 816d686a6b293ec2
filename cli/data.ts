/** `unshake data …`: check, prepare, synth, average. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { DataError, UsageError } from '../src/errors.js';
import { averageFrames, type Averaged } from '../src/data-average.js';
import { checkDataset, type CheckReport } from '../src/data-check.js';
import { prepareDataset, type Prepared } from '../src/data-prepare.js';
import { blurRecipes, type BlurRecipe } from '../src/blur/index.js';
import { synthPairs, synthScenes, type SynthResult } from '../src/blur/synth.js';
import type { AbOrder, BlurFolder, DatasetKind, Problem } from '../src/dataset.js';
import { withProgress } from './progress.js';

/** Adds `unshake data` and its four commands. */
export function registerData(root: Command): void {
  const data = root.command('data').description('check datasets, and make them');
  registerCheck(data);
  registerPrepare(data);
  registerSynth(data);
  registerAverage(data);
}

function registerCheck(data: Command): void {
  data.command('check').description('say what a dataset is, its splits and counts, and everything that is wrong with it')
    .argument('<dir>', 'blur/ + sharp/ (input/ + target/, A/ + B/), side-by-side pairs, the GOPRO_Large tree, or sharp photos')
    .addOption(abOption()).addOption(blurFolderOption()).addOption(jsonOption())
    .action(async (dir: string, options: { ab?: AbOrder; blur?: BlurFolder; json?: boolean }) => {
      const report = await withProgress((onProgress) => checkDataset(dir, { ab: options.ab, blurFolder: options.blur, onProgress }));
      print(options.json, report, checkText(report));
      if (!report.ok) {
        const [{ path, message }, ...others] = report.problems;
        throw new DataError(`${path}: ${message}${others.length > 0 ? ` (the first of ${report.problems.length} problems)` : ''}`);
      }
    });
}

function registerPrepare(data: Command): void {
  data.command('prepare').description("scale and crop a dataset's pairs; by default as the report did: half scale, 256×256 from the centre, side by side, sharp left")
    .argument('<src>', 'a dataset').argument('<out>', 'a new folder, or one to go on with')
    .option('--scale <factor>', 'factor in (0, 1]; bilinear without antialias, at 0.5 the mean of 2×2 pixels', numberOf, 0.5)
    .option('--crop <side>', 'side of the centre crop after scaling, pixels; 0 for none', wholeNumberOf, 256)
    .addOption(new Option('--format <format>', 'ab: one picture, sharp left; folders: blur/ and sharp/').choices(['ab', 'folders']).default('ab'))
    .addOption(blurFolderOption())
    .option('--sequences <names>', "only these sequences, separated by commas; report-test for the report's five of the GoPro test set (534 pairs)")
    .addOption(abOption()).addOption(jsonOption())
    .action(async (source: string, out: string, options: { scale: number; crop: number; format: 'ab' | 'folders'; blur?: BlurFolder; sequences?: string; ab?: AbOrder; json?: boolean }) => {
      const { scale, crop, format, blur: blurFolder, ab } = options;
      const sequences = options.sequences === undefined || options.sequences === 'report-test' ? options.sequences : namesOf('--sequences', options.sequences);
      const result = await withProgress((onProgress) => prepareDataset(source, out, { scale, crop, format, blurFolder, sequences, ab, onProgress }));
      print(options.json, result, prepareText(result));
    });
}

function registerSynth(data: Command): void {
  data.command('synth').description('blur sharp photos, or generated scenes, into pairs: SHARP_DIR OUT, or --scenes OUT')
    .argument('<paths...>', 'SHARP_DIR OUT, or with --scenes only OUT')
    .option('--scenes', 'generate the sharp pictures too')
    .option('--count <n>', 'pairs; default one for each photo, or 100 scenes', countOf)
    .option('--seed <n>', 'another seed, other pairs', wholeNumberOf, 0)
    .option('--size <WxH>', 'with --scenes: size of the pictures (default 512x384)')
    .addOption(new Option('--recipe <recipe>', 'shake: one camera-shake path a picture; photo: what cameras do; uniform: one kernel for the whole picture, some with dark borders').choices(blurRecipes).default('shake'))
    .addOption(jsonOption())
    .action(async (paths: string[], options: { scenes?: boolean; count?: number; seed: number; size?: string; recipe: BlurRecipe; json?: boolean }) => {
      const { scenes = false, count, seed, recipe } = options;
      if (paths.length !== (scenes ? 1 : 2)) throw new UsageError(`data synth: expected ${scenes ? 'one path with --scenes, OUT' : 'two paths, SHARP_DIR OUT (or --scenes OUT)'}, got ${paths.length}`);
      if (options.size !== undefined && !scenes) throw new UsageError('--size: only with --scenes; photos keep their own size');
      const size = options.size === undefined ? {} : sizeOf(options.size);
      const result = await withProgress((onProgress): Promise<SynthResult> => scenes
        ? synthScenes(paths[0], { ...(count !== undefined && { count }), ...size, seed, recipe, onProgress })
        : synthPairs(paths[0], paths[1], { count, seed, recipe, onProgress }));
      print(options.json, { ...result, seed, recipe }, [`${result.out}: ${result.pairs} pairs in blur/ and sharp/${result.kept > 0 ? ` (${result.kept} were there)` : ''}, recipe ${recipe}, seed ${seed}`]);
    });
}

function registerAverage(data: Command): void {
  data.command('average').description('average high-frame-rate frames into pairs, as the GoPro dataset was made')
    .argument('<frames>', 'a folder of frames in name order, or of such folders').argument('<out>', 'a new folder, or one to go on with')
    .option('--window <n>', 'frames averaged: a number, or a range such as 7..13 to draw from', windowOf, [7, 13] as const)
    .option('--gamma <g>', "the camera's curve, undone while averaging; 1 for none", numberOf, 2.2)
    .option('--seed <n>', 'for the lengths drawn from a range', wholeNumberOf, 0)
    .addOption(jsonOption())
    .action(async (frames: string, out: string, options: { window: readonly [number, number]; gamma: number; seed: number; json?: boolean }) => {
      const { window, gamma, seed } = options;
      const result = await withProgress((onProgress) => averageFrames(frames, out, { window, gamma, seed, onProgress }));
      print(options.json, result, averageText(result));
    });
}

const jsonOption = (): Option => new Option('--json', 'print one JSON document');
const abOption = (): Option => new Option('--ab <order>', 'order of side-by-side pairs (default: sharp-left)').choices(['sharp-left', 'blur-left']);
const blurFolderOption = (): Option => new Option('--blur <folder>', 'which blur of the GOPRO_Large tree (default: blur where it is there)').choices(['blur', 'blur_gamma']);

function numberOf(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('Expected a number.');
  return value;
}

function wholeNumberOf(text: string): number {
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(Number(text))) throw new InvalidArgumentError('Expected a whole number of 0 or more.');
  return Number(text);
}

function countOf(text: string): number {
  const value = wholeNumberOf(text);
  if (value === 0) throw new InvalidArgumentError('Expected at least 1.');
  return value;
}

function windowOf(text: string): readonly [number, number] {
  const parts = /^(\d+)(?:\.\.(\d+))?$/.exec(text);
  const least = Number(parts?.[1]), most = Number(parts?.[2] ?? parts?.[1]);
  if (!parts || least < 1 || most < least) throw new InvalidArgumentError('Expected a number of frames, or a range such as 7..13.');
  return [least, most];
}

function sizeOf(text: string): { width: number; height: number } {
  const parts = /^([1-9]\d*)[x×]([1-9]\d*)$/.exec(text);
  if (!parts) throw new UsageError(`--size: expected WIDTHxHEIGHT such as 512x384, got ${text}`);
  return { width: Number(parts[1]), height: Number(parts[2]) };
}

function namesOf(option: string, text: string): string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.some((name) => name === '')) throw new UsageError(`${option}: expected names separated by commas, got ${JSON.stringify(text)}`);
  return names;
}

function print(json: boolean | undefined, document: unknown, lines: string[]): void {
  process.stdout.write(json ? `${JSON.stringify(document)}\n` : `${lines.join('\n')}\n`);
}

const kindNames: Record<DatasetKind, string> = {
  folders: 'pairs in two folders with equal stems', 'side-by-side': 'side-by-side pairs', gopro: 'the GOPRO_Large tree',
  photos: 'sharp photos without blurred partners (for data synth, or a source with a blur recipe)',
};

function checkText(report: CheckReport): string[] {
  const lines = [`${report.path}: ${report.kind === null ? 'not a dataset' : kindNames[report.kind]}${report.blurFolder ? `, blur from ${report.blurFolder}/` : ''}`];
  const things = report.kind === 'photos' ? 'photos' : 'pairs';
  for (const [split, { pairs, scenes, sizes }] of Object.entries(report.splits)) {
    const bySize = Object.entries(sizes).sort((a, b) => b[1] - a[1]);
    const shown = bySize.slice(0, 3).map(([size, count]) => (bySize.length === 1 ? size : `${size} (${count})`)).join(', ');
    lines.push(`  ${split.padEnd(5)} ${String(pairs).padStart(6)} ${things}, ${scenes} scenes${shown ? `, ${shown}` : ''}${bySize.length > 3 ? ` and ${bySize.length - 3} more size${bySize.length > 4 ? 's' : ''}` : ''}`);
  }
  const list = (title: string, items: Problem[]): void => {
    if (items.length > 0) lines.push(`${items.length} ${title}${items.length > 1 ? 's' : ''}`, ...items.map(({ path, message }) => `  ${path}: ${message}`));
  };
  list('problem', report.problems);
  list('warning', report.warnings);
  if (report.ok) lines.push(report.warnings.length > 0 ? 'usable' : 'nothing wrong');
  return lines;
}

function prepareText(result: Prepared): string[] {
  const { out, pairs, kept, scale, filter, crop, format, blurFolder, splits } = result;
  const geometry = `${scale === 1 ? 'full size' : `scale ${scale}, ${filter}`}; ${crop === 0 ? 'not cropped' : `${crop}×${crop} from the centre`}`;
  return [
    `${out}: ${pairs} pairs (${Object.entries(splits).map(([split, count]) => `${split} ${count}`).join(', ')})${kept > 0 ? `, ${kept} were there` : ''}`,
    `  ${geometry}; ${format === 'ab' ? 'side by side, sharp left' : 'blur/ and sharp/'}${blurFolder ? `; blur from ${blurFolder}/` : ''}`,
    ...Object.entries(result.sequences).map(([name, count]) => `  ${name} ${count}`),
    ...result.notes.map((note) => `  note: ${note}`),
  ];
}

function averageText({ out, pairs, kept, window: [least, most], gamma, seed, sequences, leftOver }: Averaged): string[] {
  return [
    `${out}: ${pairs} pairs in blur/ and sharp/${kept > 0 ? ` (${kept} were there)` : ''}, ${least === most ? least : `${least} to ${most}`} frames each, gamma ${gamma}${least === most ? '' : `, seed ${seed}`}`,
    ...Object.entries(sequences).map(([name, count]) => `  ${name} ${count}`),
    ...(leftOver > 0 ? [`  ${leftOver} frames at the end were too few for a window`] : []),
  ];
}
