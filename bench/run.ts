/** `npm run bench -- NAME [--json]`. */
import { UnshakeError, UsageError, messageOf } from '../src/errors.js';

const benches = ['bf16-gradients', 'crops', 'metrics', 'model-card', 'parallel', 'train-step', 'web'] as const;
const [name, ...flags] = process.argv.slice(2);
const json = flags.includes('--json');

try {
  switch (name) {
    case 'bf16-gradients': await (await import('./bf16-gradients.js')).benchBf16Gradients(flags); break;
    case 'crops': await (await import('./crops.js')).benchCrops(flags); break;
    case 'metrics': await (await import('./metrics.js')).benchMetrics(json); break;
    case 'model-card': await (await import('./model-card.js')).benchModelCard(flags); break;
    case 'parallel': await (await import('./parallel.js')).benchParallel(flags); break;
    case 'train-step': await (await import('./train-step.js')).benchTrainStep(flags); break;
    case 'web': await (await import('./web.js')).benchWeb(json); break;
    default:
      process.stderr.write(`bench: expected one of ${benches.join(', ')}, got ${name ?? 'nothing'}\n`);
      process.exitCode = 2;
  }
} catch (error) {
  process.stderr.write(`bench: ${error instanceof UnshakeError ? `${error.code}: ` : ''}${messageOf(error)}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
