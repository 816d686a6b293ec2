/** `unshake export`: checkpoint → ONNX file. */
import type { Command } from 'commander';
import { UsageError } from '../src/errors.js';
import { exportModel } from '../src/export.js';
import { withInterrupt } from './interrupt.js';
import { withProgress } from './progress.js';

interface Flags { output: string; half?: boolean; name?: string; license?: string }

export function registerExport(root: Command): void {
  root.command('export')
    .description('write a trained network as an ONNX file, compared with libtorch before it is kept')
    .argument('<model>', "checkpoint, the folder of a run (its best checkpoint), or NAFNet's .pth")
    .requiredOption('-o, --output <file.onnx>', 'file to write')
    .option('--half', 'keep parameters in half precision: half the size, the same arithmetic')
    .option('--name <name>', 'what the file calls itself (default: the name of the experiment)')
    .option('--license <spdx>', 'licence of the weights (default: unknown)')
    .action(run);
}

async function run(model: string, { output, ...options }: Flags): Promise<void> {
  if (!output.endsWith('.onnx')) throw new UsageError(`-o should name an .onnx file, but is '${output}'`);
  const { bytes, traits, comparisons } = await withInterrupt((signal) => withProgress((onProgress) => exportModel(model, output, { ...options, onProgress, signal })));
  const tiles = traits.whole ? 'runs whole' : `tiles overlap by ${traits.overlap} pixels`;
  process.stdout.write(`${model} → ${output}  ${(bytes / 1e6).toFixed(1)} MB, multiples of ${traits.multiple}, ${tiles}\n`);
  const differences = comparisons.map(({ width, height, difference }) => `${difference.toExponential(1)} at ${width}×${height}`);
  process.stdout.write(`largest difference from libtorch: ${differences.join(', ')}\n`);
}
