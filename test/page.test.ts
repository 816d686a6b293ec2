/** The page in headless Chromium, on WebAssembly: a photo in, a photo out, and everything that can go differently. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import sharp from 'sharp';
import { deblurImage } from '../src/deblur.js';
import { readImage } from '../src/image/codec-node.js';
import type { RgbImage } from '../src/image/image.js';
import { measure } from '../src/metrics/index.js';
import { openNamedModel } from '../src/open-model.js';
import { openModel } from '../src/runtime/session.js';
import { buildPage, findChromium, launch, type BuiltPage } from './browser.js';
import { largestDifference, noisyImage } from './small-images.js';
import { blockModel, boxModel, identityModel, wideModel } from './small-models.js';
import { download, drop, hasFailed, isDone, paste, patience, pngOf, rgbOf, visit, type NamedFile } from './page-visit.js';

const { chromium, skip } = await findChromium();

async function isDisplayP3(file: Uint8Array): Promise<boolean> {
  const { icc } = await sharp(file).metadata();
  return icc !== undefined && (icc.includes('Display P3') || icc.includes(Buffer.from('Display P3', 'utf16le').swap16()));
}

describe('the page', { skip }, () => {
  let browser: Browser, built: BuiltPage, page: Page;
  let complaints: string[] = [];
  const photo = noisyImage(150, 110) as RgbImage;
  let png: NamedFile;

  before(async () => {
    built = await buildPage();
    browser = await launch(chromium);
    ({ page, complaints } = await visit(browser, await built.serve({ isolated: true })));
    png = { name: 'my photo.png', mimeType: 'image/png', buffer: await pngOf(photo) };
  });
  after(async () => {
    await browser?.close();
    await built?.close();
  });

  test('says what it runs on, with threads where the host isolates it', async () => {
    assert.match((await page.textContent('#status'))!, /^Ready\. Photos are deblurred on your processor \(WebAssembly, \d+ threads?\)\.$/);
    assert.equal(await page.evaluate('crossOriginIsolated'), true);
  });

  test('a dropped photo: progress that only rises, and the pixels that Node computes', async () => {
    await page.evaluate(`{
      window.seen = [];
      const progress = document.querySelector('#progress');
      new MutationObserver(() => { if (progress.hasAttribute('value')) window.seen.push(progress.value); }).observe(progress, { attributes: true });
    }`);
    await drop(page, png);
    await isDone(page);
    const seen = await page.evaluate('window.seen') as number[];
    assert.ok(seen.length > 1 && seen.every((value, index) => index === 0 || value >= seen[index - 1]), seen.join(' '));
    assert.equal(seen.at(-1), 1);

    const model = await openNamedModel('default');
    const { image } = await deblurImage(model, photo);
    await model.release();
    const { name, bytes } = await download(page);
    assert.equal(name, 'my photo.deblurred.png');
    const saved = await rgbOf(bytes);
    assert.ok(largestDifference(saved, photo) > 2, 'the photo was changed');
    assert.ok(largestDifference(saved, image) <= 2, `${largestDifference(saved, image)} steps from Node's`);
  });

  test('a wrong file is refused in words, and the next photo, a pasted one, works', async () => {
    await drop(page, { name: 'letter.jpg', mimeType: 'image/jpeg', buffer: Buffer.from('Dear visitor,') });
    await hasFailed(page);
    assert.match((await page.textContent('#failure'))!, /isn’t a photo.*JPEG, PNG, WebP.*HEIC/s);
    await drop(page, { ...png, buffer: png.buffer.subarray(0, png.buffer.length / 2) }).then(() => page.waitForSelector('body[data-state=done], body[data-state=failed]', patience));
    await paste(page, { ...png, name: 'pasted.png' });
    await isDone(page);
    assert.equal((await download(page)).name, 'pasted.deblurred.png');
  });

  test('HEIC, which this browser can not read: the colours that Node reads, saved as a JPEG; a damaged one is refused in words', async () => {
    const file = fileURLToPath(new URL('../../test/fixtures/heic/colour.heic', import.meta.url)), buffer = await readFile(file);
    await drop(page, { name: 'IMG_1.HEIC', mimeType: '', buffer });
    await isDone(page);
    assert.match((await page.textContent('#file-facts'))!, /72 × 50.*EXIF of HEIC/s);
    const { name, bytes } = await download(page), model = await openNamedModel('default');
    const { image } = await deblurImage(model, (await readImage(file)).image);
    await model.release();
    assert.equal(name, 'IMG_1.deblurred.jpg');
    assert.ok(await isDisplayP3(bytes), 'the profile is kept');
    const saved = await sharp(bytes, { ignoreIcc: true }).removeAlpha().raw().toBuffer();
    assert.equal(saved.length, image.data.length);
    const mean = saved.reduce((sum, value, i) => sum + Math.abs(value - image.data[i]), 0) / saved.length;
    assert.ok(mean < 5, `${mean} of 255 on average from Node's`); // its JPEG halves the colours, which are strong here
    await drop(page, { name: 'cut.heic', mimeType: '', buffer: buffer.subarray(0, 2000) });
    await hasFailed(page);
    assert.match((await page.textContent('#failure'))!, /looks like HEIC, but can’t be decoded/);
  });

  test('a network that may invent detail: the page warns of it, and only of it', async () => {
    const warning = page.locator('#invents');
    assert.equal(await warning.isVisible(), false);
    await useModelOn(page, identityModel({ invents: true }), png);
    assert.equal(await warning.isVisible(), true);
    assert.match((await warning.textContent())!, /may invent detail/);
    await page.selectOption('#model', { label: 'default' });
    await isDone(page);
    assert.equal(await warning.isVisible(), false);
  });

  test('strength blends, without running again', async () => {
    await useModelOn(page, boxModel(), png);
    const full = await rgbOf((await download(page)).bytes);
    const model = await openModel(boxModel());
    assert.ok(largestDifference(full, (await deblurImage(model, photo)).image) <= 2);
    await model.release();
    await page.fill('#strength', '50');
    assert.equal(await page.textContent('#strength-value'), '50 %');
    const half = await rgbOf((await download(page)).bytes);
    for (let i = 0; i < half.data.length; i++) assert.ok(Math.abs(half.data[i] - (photo.data[i] + full.data[i]) / 2) <= 1);
    await page.fill('#strength', '100');
  });

  test('a sharp reference: the five metrics of before and after', async () => {
    const result = await rgbOf((await download(page)).bytes);
    const reference = noisyImage(150, 110, 3, 8, 2) as RgbImage;
    await page.setInputFiles('#reference', { name: 'sharp.png', mimeType: 'image/png', buffer: await pngOf(reference) });
    await page.waitForSelector('#scores p, #scores table', patience);
    await page.waitForFunction(`!/Measuring/.test(document.querySelector('#scores').textContent)`, undefined, patience);
    // 150×110 is below what MS-SSIM needs: that is said.
    assert.match((await page.textContent('#scores'))!, /msssim|MS-SSIM/i);
    const large = noisyImage(240, 200) as RgbImage, other = noisyImage(240, 200, 3, 8, 5) as RgbImage;
    await drop(page, { ...png, buffer: await pngOf(large) });
    await isDone(page);
    await page.setInputFiles('#reference', { name: 'sharp.png', mimeType: 'image/png', buffer: await pngOf(other) });
    await page.waitForSelector('#scores table', patience);
    const rows = await page.evaluate(`[...document.querySelectorAll('#scores tr')].slice(1).map((row) => [...row.cells].map((cell) => cell.textContent))`) as string[][];
    assert.deepEqual(rows.map(([name]) => name), ['PSNR', 'SSIM', 'MS-SSIM', 'FSIM', 'VIF']);
    const expected = [measure(large, other), measure(await rgbOf((await download(page)).bytes), other)];
    for (const [row, metric] of (['psnr', 'ssim', 'msssim', 'fsim', 'vif'] as const).entries()) {
      for (const column of [0, 1]) assert.ok(Math.abs(parseFloat(rows[row][column + 1]) - expected[column][metric]!) < 0.006, `${metric} ${rows[row].join(' ')}`);
    }
    assert.ok(result.data.length > 0);
  });

  test('JPEG, PNG and WebP keep their format and their EXIF, JPEG and PNG upright', async () => {
    for (const [name, saved] of [['turned.JPG', 'turned.deblurred.jpg'], ['turned.png', 'turned.deblurred.png'], ['turned.x.webp', 'turned.x.deblurred.webp']]) {
      const format = saved.endsWith('jpg') ? 'jpeg' : saved.endsWith('png') ? 'png' : 'webp';
      const file = await sharp(photo.data, { raw: { width: 150, height: 110, channels: 3 } })
        .withMetadata({ orientation: 6, exif: { IFD0: { Make: 'Shaky' } } })[format]().toBuffer();
      assert.equal((await sharp(file).metadata()).orientation, 6);
      await drop(page, { name, mimeType: '', buffer: file });
      await isDone(page);
      const got = await download(page), metadata = await sharp(got.bytes).metadata();
      assert.equal(got.name, saved);
      const expected = format === 'webp' ? [150, 110, 6] : [110, 150, 1]; // browsers don't agree on turning WebP: it stays as it is
      assert.deepEqual([metadata.format, metadata.width, metadata.height, metadata.orientation], [format, ...expected]);
      assert.ok(metadata.exif!.includes('Shaky'), format);
    }
  });

  test('Display P3 stays Display P3', async () => {
    await page.evaluate(`(async () => {
      const canvas = new OffscreenCanvas(120, 90), context = canvas.getContext('2d', { colorSpace: 'display-p3' });
      context.fillStyle = 'color(display-p3 1 0 0)'; // outside sRGB
      context.fillRect(0, 0, 120, 90);
      const transfer = new DataTransfer();
      transfer.items.add(new File([await canvas.convertToBlob({ type: 'image/jpeg', quality: 1 })], 'wide.jpg'));
      document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true }));
    })()`);
    await isDone(page);
    const { bytes } = await download(page);
    assert.ok(await isDisplayP3(bytes));
    const stored = await sharp(bytes, { ignoreIcc: true }).raw().toBuffer(), middle = 3 * (45 * 120 + 60);
    assert.ok(stored[middle] >= 250 && stored[middle + 1] <= 5 && stored[middle + 2] <= 5, stored.subarray(middle, middle + 3).join(' '));
  });

  test('by keyboard alone: choose, compare, change the strength, download', async () => {
    await page.reload();
    await page.waitForFunction(`/^Ready/.test(document.querySelector('#status').textContent)`, undefined, patience);
    const choosing = page.waitForEvent('filechooser', patience); // asked for well before the key: it takes the browser a moment to listen
    await page.focus('.brand');
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate('document.activeElement.id'), 'file');
    await page.keyboard.press('Enter');
    await (await choosing).setFiles(png);
    await isDone(page);
    await page.waitForFunction(`document.activeElement.id === 'save'`, undefined, patience);
    await page.focus('#canvas');
    await page.keyboard.press('+');
    assert.match((await page.textContent('#zoom-fit'))!, /%/);
    await page.keyboard.press('0');
    assert.equal(await page.textContent('#zoom-fit'), 'Fit');
    await page.keyboard.press('Tab');
    const boundary = (): Promise<number> => page.getAttribute('#divider', 'aria-valuenow').then(Number);
    const start = await boundary();
    await page.keyboard.press('ArrowRight');
    assert.ok(await boundary() > start);
    await page.focus('#strength');
    await page.keyboard.press('ArrowLeft');
    assert.equal(await page.inputValue('#strength'), '99');
    await page.keyboard.press('Tab');
    assert.equal((await download(page, () => page.keyboard.press('Enter'))).name, 'my photo.deblurred.png');
  });

  test('cancelled half way: the worker is gone with its memory; it can be tried again', async () => {
    await useModelOn(page, wideModel(16, 3), png);
    const large = await sharp({ create: { width: 2200, height: 1500, channels: 3, background: '#7a8' } }).png().toBuffer();
    // Clicked by the page itself as soon as the second tile begins: from out here it might be too late.
    await page.evaluate(`{
      const detail = document.querySelector('#busy-detail');
      const observer = new MutationObserver(() => {
        if (!/^Tile [2-9]/.test(detail.textContent)) return;
        observer.disconnect();
        document.querySelector('#cancel').click();
      });
      observer.observe(detail, { childList: true, characterData: true, subtree: true });
    }`);
    await drop(page, { ...png, buffer: large });
    await hasFailed(page);
    assert.match((await page.textContent('#failure-title'))!, /Cancelled/);
    while (page.workers().length > 0) await page.workers()[0].waitForEvent('close', patience);
    await page.click('#retry');
    await page.waitForSelector('body[data-state=working]', patience);
    await drop(page, png); // another photo ends the one that is at work
    await isDone(page);
    assert.match((await page.textContent('#file-facts'))!, /150 × 110/);
  });

  test('a photo of 24 megapixels', async () => {
    const jpeg = await sharp({ create: { width: 6000, height: 4000, channels: 3, background: '#468' } }).jpeg().toBuffer();
    await useModelOn(page, blockModel(), { name: 'large.jpg', mimeType: 'image/jpeg', buffer: jpeg });
    assert.match((await page.textContent('#file-facts'))!, /6000 × 4000 · 24\.0 megapixels/);
    const { width, height } = await sharp((await download(page)).bytes).metadata();
    assert.deepEqual([width, height], [6000, 4000]);
  });

  test('nothing was complained about in the console', () => assert.deepEqual(complaints, []));
});

/** Gives the page a small network and a photo. */
async function useModelOn(page: Page, model: Uint8Array, file: NamedFile): Promise<void> {
  await page.setInputFiles('#file', { name: 'own.onnx', mimeType: 'application/octet-stream', buffer: Buffer.from(model) });
  await drop(page, file);
  await isDone(page);
}
