/** The page as a visitor uses it: what tests of it do again and again. */
import { readFile } from 'node:fs/promises';
import type { Browser, Download, Page } from 'playwright-core';
import sharp from 'sharp';
import type { RgbImage } from '../src/image/image.js';

/** Generous: the machine may be busy. Everything waits for a condition, nothing for a time. */
export const patience = { timeout: 120_000 };

export interface OpenPage {
  page: Page;
  /** What the browser's console said that it shouldn't have. */
  complaints: string[];
}

/** A visitor's first visit, until the network is ready, in a browser that may lack a property of `navigator`. */
export async function visit(browser: Browser, url: string, { without }: { without?: string } = {}): Promise<OpenPage> {
  const context = await browser.newContext({ viewport: { width: 1000, height: 700 }, reducedMotion: 'reduce' });
  if (without) await context.addInitScript(`delete Navigator.prototype.${without}`);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => { if (message.type() === 'error' || message.type() === 'warning') complaints.push(`${message.text()} ${message.location().url}`); });
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(url);
  await isReady(page);
  return { page, complaints };
}

export async function isReady(page: Page): Promise<void> {
  await page.waitForFunction(`/^Ready/.test(document.querySelector('#status').textContent)`, undefined, patience);
}

export interface NamedFile { name: string; mimeType: string; buffer: Buffer }

export const isDone = (page: Page): Promise<unknown> => page.waitForSelector('body[data-state=done]', patience);
export const hasFailed = (page: Page): Promise<unknown> => page.waitForSelector('body[data-state=failed]', patience);

/** Runs a browser's `code` in which `transfer` is a DataTransfer that holds the file. */
async function transfer(page: Page, { name, mimeType, buffer }: NamedFile, code: string): Promise<void> {
  await page.evaluate(`{
    const transfer = new DataTransfer();
    const bytes = Uint8Array.from(atob('${buffer.toString('base64')}'), (character) => character.charCodeAt(0));
    transfer.items.add(new File([bytes], ${JSON.stringify(name)}, { type: '${mimeType}' }));
    ${code}
  }`);
}

/** Drops a file on the page as a file manager does. */
export const drop = (page: Page, file: NamedFile): Promise<void> => transfer(page, file,
  `for (const kind of ['dragenter', 'dragover', 'drop']) document.body.dispatchEvent(new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));`);

/** Pastes a file as from a clipboard. */
export const paste = (page: Page, file: NamedFile): Promise<void> => transfer(page, file,
  `document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData: transfer, bubbles: true, cancelable: true }));`);

/** Gives the page a network of the visitor's own, and waits until it is ready. */
export async function useModel(page: Page, bytes: Uint8Array): Promise<void> {
  await page.setInputFiles('#file', { name: 'own.onnx', mimeType: 'application/octet-stream', buffer: Buffer.from(bytes) });
  await isReady(page);
}

/** Clicks Download (or does what `press` does) and reads what came. */
export async function download(page: Page, press = (): Promise<void> => page.click('#save')): Promise<{ name: string; bytes: Buffer }> {
  const [file] = await Promise.all([page.waitForEvent('download', patience) as Promise<Download>, press()]);
  return { name: file.suggestedFilename(), bytes: await readFile(await file.path()) };
}

export async function pngOf({ width, height, data }: RgbImage): Promise<Buffer> {
  return sharp(data, { raw: { width, height, channels: 3 } }).png().toBuffer();
}

/** Decodes what was downloaded, as 8-bit RGB. */
export async function rgbOf(bytes: Buffer): Promise<RgbImage> {
  const { data, info } = await sharp(bytes).removeAlpha().toColourspace('srgb').raw().toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, channels: 3, data: new Uint8Array(data) };
}
