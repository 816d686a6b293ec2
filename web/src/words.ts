/** What the page says. */
import type { UnshakeError } from '../../src/errors.js';
import type { Running } from './messages.js';

export function deviceText({ device, threads }: Running): string {
  if (device === 'webgpu') return 'on your graphics card (WebGPU)';
  const single = crossOriginIsolated ? '1 thread' : '1 thread: without cross-origin isolation browsers allow no more, so it is slower';
  return `on your processor (WebAssembly, ${threads > 1 ? `${threads} threads` : single})`;
}

export interface Explanation { title: string; text: string }

/** What went wrong, and what to try. Our own errors say it themselves. */
export function explain(error: unknown): Explanation {
  const { code, message } = error as UnshakeError;
  switch (code) {
    case 'ABORTED': return { title: 'Cancelled', text: 'Nothing was saved, and the memory is free again.' };
    case 'IMAGE': return { title: 'This isn’t a photo that can be read', text: message };
    case 'MISSING': return { title: 'That device isn’t available', text: `${sentence(message)} Set “Runs on” to Automatic.` };
    case 'MODEL': return { title: 'The network couldn’t do it', text: navigator.onLine ? sentence(message) : 'The network isn’t on this device yet. Go online once, then it works without.' };
    case 'METRIC': return { title: 'These two can’t be compared', text: sentence(message) };
    default: return { title: 'Something went wrong', text: `${sentence(message ?? String(error))} Another photo, or a smaller one, may work.` };
  }
}

const sentence = (text: string): string => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;

export function sizeText(width: number, height: number): string {
  return `${width} × ${height} · ${(width * height / 1e6).toFixed(1)} megapixels`;
}
