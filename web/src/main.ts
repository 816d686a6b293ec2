/** The page: one photo at a time goes in, is deblurred in the worker, looked at, and saved. */
import { AbortedError, ImageError } from '../../src/errors.js';
import { byId } from './dom.js';
import { openEngine, runOnce, type Settings } from './engine.js';
import { rememberSpeed, startEstimate, timeText } from './estimate.js';
import { listenForFiles } from './intake.js';
import type { DeviceChoice, Result, Running } from './messages.js';
import { serveOffline } from './offline.js';
import { identify, savedName, type PhotoFile } from './photo-file.js';
import { showScores, showScoresText } from './scores.js';
import { openViewer } from './viewer.js';
import { orientationFor, unreadable } from './worker/pixels.js';
import { deviceText, explain, sizeText } from './words.js';

type State = 'empty' | 'working' | 'done' | 'failed';

const models = import.meta.glob<string>('../../models/*.onnx', { query: '?url', import: 'default', eager: true });
const engine = openEngine(), viewer = openViewer();
const [modelSelect, deviceSelect] = [byId('model', HTMLSelectElement), byId('device', HTMLSelectElement)];
const strength = byId('strength', HTMLInputElement), saveButton = byId('save', HTMLButtonElement);
/** The photo on the stage, and what became of it. */
let photo: PhotoFile | undefined, result: Result | undefined, reference: File | undefined;
let isReady = false;

const settings = (): Settings => ({ model: new URL(modelSelect.value, location.href).href, device: deviceSelect.value as DeviceChoice });
const strengthNow = (): number => strength.valueAsNumber / 100;
const say = (text: string): void => { byId('status').textContent = text; };

function enter(state: State): void {
  document.body.dataset.state = state;
  byId('empty').hidden = state !== 'empty';
  byId('work').hidden = state === 'empty';
  byId('busy').hidden = state !== 'working';
  byId('failure').hidden = state !== 'failed';
  byId('result').hidden = byId('measure').hidden = state !== 'done';
}

/** Takes a photo, or a network of the visitor's own. */
async function open(file: File): Promise<void> {
  if (/\.onnx$/i.test(file.name)) return addModel(file);
  engine.stop();
  result = reference = undefined;
  showScoresText('');
  byId('save-note').textContent = '';
  viewer.clear();
  const mine: PhotoFile = photo = { file, type: 'image/png', notes: [], heic: false };
  byId('file-name').textContent = file.name;
  byId('file-facts').textContent = '';
  enter('working');
  byId('cancel').focus({ preventScroll: true });
  try {
    Object.assign(mine, await identify(file));
    const show = (): Promise<ImageBitmap> => createImageBitmap(mine.file, { imageOrientation: orientationFor(mine.type === 'image/webp') });
    const shown = await show().catch(async () => {
      if (!mine.heic) throw new ImageError(unreadable);
      mine.file = new File([await runOnce({ kind: 'convert', file })], file.name, { type: 'image/webp' });
      return show();
    });
    if (photo !== mine) return shown.close();
    byId('file-facts').textContent = [sizeText(shown.width, shown.height), ...mine.notes].join('\n');
    const pixels = shown.width * shown.height;
    await viewer.show(shown);
    await deblur(mine, pixels);
  } catch (error) {
    if (photo === mine) fail(error);
  }
}

async function deblur(mine: PhotoFile, pixels: number): Promise<void> {
  enter('working');
  const progress = byId('progress', HTMLProgressElement), title = byId('busy-title'), detail = byId('busy-detail');
  title.textContent = isReady ? 'Getting ready…' : 'Fetching the network…';
  detail.textContent = '';
  progress.removeAttribute('value');
  let estimate: ReturnType<typeof startEstimate> | undefined, tiles = { done: 0, total: 1 };
  const show = (): void => {
    if (!estimate) return;
    const { share, secondsLeft } = estimate.at();
    progress.value = share;
    detail.textContent = `${tiles.total > 1 ? `Tile ${Math.min(tiles.done + 1, tiles.total)} of ${tiles.total} · ` : ''}${timeText(secondsLeft)}`;
  };
  const timer = setInterval(show, 250);
  try {
    const answer = await engine.deblur(mine.file, settings(), {
      onRunning: (running) => {
        ready(running, `Deblurring ${deviceText(running)}…`);
        title.textContent = 'Deblurring…';
        estimate = startEstimate(running, pixels);
      },
      onProgress: (now) => {
        estimate?.tick(tiles = now);
        show();
      },
      onRetry: (why) => { title.textContent = why; },
    });
    if (photo !== mine) return answer.after.close();
    rememberSpeed(answer.running, pixels, answer.seconds);
    // Shown by the browser's own tools, and read by the bench.
    performance.measure('unshake.deblur', { start: performance.now() - answer.seconds * 1000, duration: answer.seconds * 1000 });
    result = answer.result;
    byId('file-facts').textContent = [sizeText(result.width, result.height), ...mine.notes, ...answer.notes].join('\n');
    const hadFocus = document.activeElement === byId('cancel');
    enter('done');
    if (hadFocus) saveButton.focus({ preventScroll: true });
    say(`Done in ${answer.seconds.toFixed(1)} seconds, ${deviceText(answer.running)}.`);
    viewer.setStrength(strengthNow());
    await viewer.reveal(answer.after);
  } finally {
    clearInterval(timer);
  }
}

function fail(error: unknown): void {
  const { title, text } = explain(error);
  if (!(error instanceof AbortedError) && (error as { code?: string }).code === 'INTERNAL') console.error(error);
  byId('failure-title').textContent = title;
  byId('failure-text').textContent = text;
  byId('retry').hidden = (error as { code?: string }).code === 'IMAGE';
  enter('failed');
  byId(byId('retry').hidden ? 'failure-new' : 'retry').focus({ preventScroll: true });
  say(title);
}

function ready(running: Running, text: string): void {
  isReady = true;
  say(text);
  document.body.dataset.device = running.device;
  byId('invents').hidden = !running.invents;
}

/** Fetches and compiles the network while the visitor looks for a photo. */
async function prepare(): Promise<void> {
  isReady = false;
  say('Fetching the network…');
  try {
    const running = await engine.prepare(settings());
    ready(running, `Ready. Photos are deblurred ${deviceText(running)}.`);
  } catch (error) {
    if (!(error instanceof AbortedError)) say(explain(error).text);
  }
}

async function save(): Promise<void> {
  if (!photo || !result) return;
  saveButton.disabled = true;
  saveButton.textContent = 'Saving…';
  try {
    const { blob, notes } = await runOnce({ kind: 'save', file: photo.file, result, strength: strengthNow(), type: photo.type });
    const link = document.createElement('a');
    link.href = URL.createObjectURL(blob);
    link.download = savedName(photo.file.name, blob.type);
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    byId('save-note').textContent = [`Saved as ${link.download}.`, ...notes].join(' ');
  } catch (error) {
    byId('save-note').textContent = explain(error).text;
  } finally {
    saveButton.disabled = false;
    saveButton.textContent = 'Download';
  }
}

async function measure(file = reference): Promise<void> {
  if (!photo || !result || !file) return;
  const mine = result, at = strengthNow();
  reference = file;
  byId('measure', HTMLDetailsElement).open = true;
  showScoresText('Measuring…');
  try {
    const measured = await runOnce({ kind: 'measure', file: photo.file, result, strength: at, reference: file });
    if (result === mine && reference === file) showScores(measured, at);
  } catch (error) {
    if (result === mine) showScoresText(explain(error).text);
  }
}

function addModel(file: File): void {
  modelSelect.append(new Option(file.name.replace(/\.onnx$/i, ''), URL.createObjectURL(file), false, true));
  changeSettings();
}

function changeSettings(): void {
  engine.stop();
  byId('invents').hidden = true; // until the network has said
  if (photo) void open(photo.file);
  else void prepare();
}

async function openExample(): Promise<void> {
  try {
    const response = await fetch('./example.jpg');
    await open(new File([await response.blob()], 'example.jpg', { type: 'image/jpeg' }));
  } catch (error) {
    say(explain(error).text);
  }
}

for (const [path, url] of Object.entries(models)) modelSelect.add(new Option(path.replace(/^.*\/|\.onnx$/g, ''), url));
if ([...modelSelect.options].some(({ text }) => text === 'default')) modelSelect.selectedIndex = [...modelSelect.options].findIndex(({ text }) => text === 'default');
for (const select of [modelSelect, deviceSelect]) select.addEventListener('change', changeSettings);
listenForFiles({ onPhoto: (file) => void open(file), onReference: (file) => void measure(file), takesReference: () => result !== undefined });
strength.addEventListener('input', () => {
  byId('strength-value').textContent = `${strength.value} %`;
  viewer.setStrength(strengthNow());
});
strength.addEventListener('change', () => void measure());
byId('cancel').addEventListener('click', () => engine.stop());
byId('retry').addEventListener('click', () => { if (photo) void open(photo.file); });
byId('example').addEventListener('click', () => void openExample());
for (const id of ['new', 'failure-new']) byId(id).addEventListener('click', () => byId('file').click());
saveButton.addEventListener('click', () => void save());

await serveOffline(() => photo !== undefined);
if (!photo) await prepare();
