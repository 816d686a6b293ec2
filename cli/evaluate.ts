/** `unshake evaluate`: a model on a dataset. */
import { Option, type Command } from 'commander';
import { splitNames, type AbOrder, type BlurFolder, type SplitName } from '../src/dataset.js';
import { engines, evaluate, type Engine, type Evaluation } from '../src/evaluate.js';
import type { MetricName, Protocol } from '../src/metrics/index.js';
import { withInterrupt } from './interrupt.js';
import { withProgress } from './progress.js';
import { repeated } from './repeated.js';
import { alignColumns, cropOption, metricsOption, metricsOf, metricTitles, protocolOption, scoreCells, shaveOption } from './score-table.js';

interface Flags { data: string; split: SplitName; metrics?: MetricName[]; protocol: Protocol; crop?: number; shave: number; engine?: Engine; set: string[]; blur?: BlurFolder; ab?: AbOrder; json?: boolean }

export function registerEvaluate(root: Command): void {
  root.command('evaluate').description("measure a model's output on a dataset, beside the blurry input itself")
    .argument('<model>', "a shipped model's name, an ONNX file, a checkpoint (NAFNet's .pth too), or a run's folder (its best checkpoint)")
    .requiredOption('--data <dir>', 'a dataset of pairs')
    .addOption(new Option('--split <split>', 'a dataset without splits is taken whole').choices([...splitNames, 'all']).default('test'))
    .addOption(metricsOption()).addOption(protocolOption()).addOption(cropOption()).addOption(shaveOption())
    .addOption(new Option('--engine <engine>', 'default: onnx for ONNX files, libtorch for checkpoints').choices(engines))
    .option('--set <key=value>', "change a setting of a checkpoint's network that its weights don't depend on, e.g. generator.steps=1 (repeatable)", repeated, [])
    .addOption(new Option('--blur <folder>', 'which blur of the GOPRO_Large tree (default: blur where it is there)').choices(['blur', 'blur_gamma']))
    .addOption(new Option('--ab <order>', 'order of side-by-side pairs (default: sharp-left)').choices(['sharp-left', 'blur-left']))
    .option('--json', 'print one JSON document')
    .action(async (model: string, { data, split, metrics, protocol, crop, shave, engine, set, blur: blurFolder, ab, json }: Flags) => {
      const evaluation = await withInterrupt((signal) => withProgress((onProgress) =>
        evaluate(model, data, { split, metrics, protocol, crop, shave, engine, set, blurFolder, ab, onProgress, signal })));
      process.stdout.write(`${json ? JSON.stringify(evaluation) : tableLines(evaluation).join('\n')}\n`);
    });
}

function tableLines({ data, split, blurFolder, protocol, crop, shave, engine, device, pairs, rows, sequences, conventions, notes }: Evaluation): string[] {
  const metrics = metricsOf(rows[0].mean);
  const cells = rows.map(({ name, mean, std, secondsPerImage }) => {
    const deviations = scoreCells(std, metrics);
    return [name, ...scoreCells(mean, metrics).map((value, i) => `${value} ± ${deviations[i]}`), secondsPerImage?.toFixed(2) ?? ''];
  });
  return [
    `${data}${split === 'all' ? '' : `, split ${split}`}${blurFolder ? `, blurred pictures from ${blurFolder}/` : ''}: ${pairs} pairs, ${crop === null ? 'whole pictures' : `centred ${crop}×${crop} windows`}${shave === 0 ? '' : `, without ${shave} pixels at each edge`}; mean ± standard deviation`,
    '', ...alignColumns([['', ...metrics.map((metric) => metricTitles[metric]), 's/image'], ...cells]), '', ...sequenceLines(sequences, metrics),
    `engine ${engine} on ${device}; outputs rounded to 8 bits`,
    `protocol ${protocol}: ${conventions.protocol}`,
    ...metrics.map((metric) => `${metricTitles[metric]}: ${conventions[metric]}`), ...notes,
  ];
}

/** The blurry input and the model on each GoPro sequence, where there are several. */
function sequenceLines(sequences: Evaluation['sequences'], metrics: readonly MetricName[]): string[] {
  const parts = Object.entries(sequences);
  if (parts.length < 2) return [];
  const rows = parts.flatMap(([sequence, { pairs, rows }]) => rows.map(({ name, mean }, i) => [i === 0 ? `${sequence} (${pairs})` : '', name, ...scoreCells(mean, metrics)]));
  return [...alignColumns([['sequence (pairs)', '', ...metrics.map((metric) => metricTitles[metric])], ...rows]), ''];
}
