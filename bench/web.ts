/**
 * The page against onnxruntime-web in Node, and against onnxruntime-node: the default model on one 1280×720 picture, WebAssembly
 * with the same number of threads. All run in turn, so that a busy machine hurts them alike. Needs Chromium.
 */
import { availableParallelism, cpus } from 'node:os';
import { generateScene } from '../src/blur/scenes.js';
import { deblurImage } from '../src/deblur.js';
import { MissingError } from '../src/errors.js';
import { openNamedModel } from '../src/open-model.js';
import { randomAt } from '../src/random.js';
import { buildPage, findChromium, launch } from '../test/browser.js';
import { drop, isDone, pngOf, visit } from '../test/page-visit.js';

const runs = 5, bar = 1.3;

export async function benchWeb(json: boolean): Promise<void> {
  const { chromium, skip } = await findChromium();
  if (skip) throw new MissingError(skip);
  const picture = generateScene(randomAt(1), 1280, 720), png = await pngOf(picture);
  const built = await buildPage(), browser = await launch(chromium);
  const times = { page: [] as number[], node: [] as number[], native: [] as number[] };
  try {
    const { page } = await visit(browser, await built.serve({ isolated: true }));
    const threads = Number(/(\d+) threads?/.exec((await page.textContent('#status'))!)![1]);
    const models = { node: await openNamedModel('default', { device: 'wasm', threads }), native: await openNamedModel('default', { device: 'cpu', threads }) };
    for (let run = -1; run < runs; run++) { // the first of each only warms up
      await drop(page, { name: 'bench.png', mimeType: 'image/png', buffer: png });
      await isDone(page);
      const seconds = { page: await page.evaluate(`performance.getEntriesByName('unshake.deblur').at(-1).duration / 1000`) as number, node: 0, native: 0 };
      for (const name of ['node', 'native'] as const) {
        const started = performance.now();
        await deblurImage(models[name], picture);
        seconds[name] = (performance.now() - started) / 1000;
      }
      if (run >= 0) for (const name of ['page', 'node', 'native'] as const) times[name].push(seconds[name]);
    }
    await Promise.all(Object.values(models).map((model) => model.release()));
    const [inPage, inNode, native] = [median(times.page), median(times.node), median(times.native)];
    const report = { machine: `${cpus()[0].model.trim()}, ${availableParallelism()} cores`, nodeVersion: process.version, browser: browser.version(), threads, page: inPage, nodeWasm: inNode, native, ratio: inPage / inNode, ratioToNative: inPage / native, bar };
    process.stdout.write(json ? `${JSON.stringify(report)}\n` : [
      `${report.machine}; Chromium ${report.browser}, Node ${report.nodeVersion}; 1280×720, default model, ${threads} threads, median of ${runs}`,
      `page ${inPage.toFixed(2)} s, onnxruntime-web in Node ${inNode.toFixed(2)} s, native ${native.toFixed(2)} s`,
      `page / Node ${report.ratio.toFixed(2)} (at most ${bar}), page / native ${report.ratioToNative.toFixed(1)}`, '',
    ].join('\n'));
  } finally {
    await browser.close();
    await built.close();
  }
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
}
