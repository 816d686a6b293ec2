/** The page on other ground: a plain host, no network, no service worker, WebGPU. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { deblurImage } from '../src/deblur.js';
import type { RgbImage } from '../src/image/image.js';
import { openModel } from '../src/runtime/session.js';
import { buildPage, findChromium, launch, type BuiltPage } from './browser.js';
import { largestDifference, noisyImage } from './small-images.js';
import { blockModel } from './small-models.js';
import { download, drop, isDone, isReady, pngOf, rgbOf, useModel, visit, type NamedFile } from './page-visit.js';

const { chromium, skip } = await findChromium();

describe('the page on', { skip }, () => {
  let built: BuiltPage, url: string, png: NamedFile;
  const photo = noisyImage(90, 70) as RgbImage;
  before(async () => {
    built = await buildPage();
    url = await built.serve({ isolated: false });
    png = { name: 'photo.png', mimeType: 'image/png', buffer: await pngOf(photo) };
  });
  after(() => built?.close());

  const within = async (args: string[], use: (browser: Browser) => Promise<void>): Promise<void> => {
    const browser = await launch(chromium, args);
    try {
      await use(browser);
    } finally {
      await browser.close();
    }
  };

  test('a plain host: the service worker isolates it, and after the first visit it works without a network', () => within([], async (browser) => {
    const { page, complaints } = await visit(browser, url);
    assert.equal(await page.evaluate('crossOriginIsolated'), true);
    const other = await page.context().newPage(); // a file of the folder, opened by itself, doesn't take this page's place
    await other.goto(`${url}icon.svg`);
    await other.close();
    await page.context().setOffline(true);
    for (const name of ['index.html', '?from=home#top']) {
      await page.goto(url + name);
      await isReady(page);
    }
    await drop(page, png);
    await isDone(page);
    await page.context().setOffline(false);
    assert.deepEqual(complaints, []);
  }));

  test('a browser without service workers: one thread, and the page says why', () => within([], async (browser) => {
    const { page, complaints } = await visit(browser, url, { without: 'serviceWorker' });
    assert.match((await page.textContent('#status'))!, /1 thread: without cross-origin isolation/);
    await drop(page, png);
    await isDone(page);
    assert.deepEqual(complaints, []);
  }));

  const swiftShader = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'];
  test('WebGPU: the same pixels', () => within(swiftShader, async (browser) => {
    const { page, complaints } = await visit(browser, url);
    await useModel(page, blockModel());
    await drop(page, png);
    await isDone(page);
    await page.selectOption('#device', 'webgpu');
    await page.waitForSelector('body[data-state=done][data-device=webgpu]', { timeout: 120_000 });
    assert.match((await page.textContent('#status'))!, /graphics card \(WebGPU\)/);
    const saved = await rgbOf((await download(page)).bytes);
    const model = await openModel(blockModel());
    const { image } = await deblurImage(model, photo);
    await model.release();
    assert.ok(largestDifference(saved, photo) > 2);
    assert.ok(largestDifference(saved, image) <= 2, `${largestDifference(saved, image)} steps from the CPU's`);
    assert.deepEqual(complaints, []);
  }));
});
