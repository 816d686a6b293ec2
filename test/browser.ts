/** Headless Chromium and a plain file server, for tests of the page. */
import { execFile } from 'node:child_process';
import { access, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { chromium, type Browser } from 'playwright-core';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Debian's Chromium, or the one that UNSHAKE_CHROMIUM names; or why the page can't be tried here. */
export async function findChromium(): Promise<{ chromium: string; skip: string | false }> {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major === 20 && minor < 19) return { chromium: '', skip: `Vite needs Node 20.19, this is ${process.versions.node}` };
  const candidates = [process.env.UNSHAKE_CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
  for (const path of candidates) {
    if (path && await access(path).then(() => true, () => false)) return { chromium: path, skip: false };
  }
  return { chromium: '', skip: 'no Chromium: apt-get install chromium, or name one in UNSHAKE_CHROMIUM' };
}

/** A page that was built for one test file, in a folder of its own. */
export interface BuiltPage {
  /** Serves it as a plain host does, with or without the headers that isolate it. Returns the address. */
  serve(options: { isolated: boolean }): Promise<string>;
  /** Ends serving and removes the folder. */
  close(): Promise<void>;
}

/** Builds the page as `npm run build -w web` does. */
export async function buildPage(): Promise<BuiltPage> {
  const folder = await mkdtemp(join(tmpdir(), 'unshake-page-'));
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  await promisify(execFile)(npm, ['run', 'build', '--workspace', '@unshake/web', '--silent', '--', '--outDir', folder, '--emptyOutDir'], { cwd: root });
  const closers: (() => Promise<void>)[] = [];
  return {
    async serve({ isolated }) {
      const { url, close } = await serveFolder(folder, isolated);
      closers.push(close);
      return url;
    },
    async close() {
      for (const close of closers) await close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const types: Record<string, string> = {
  '.html': 'text/html', '.js': 'text/javascript', '.mjs': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.jpg': 'image/jpeg',
  '.wasm': 'application/wasm', '.onnx': 'application/octet-stream', '.webmanifest': 'application/manifest+json',
};

async function serveFolder(folder: string, isolated: boolean): Promise<{ url: string; close: () => Promise<void> }> {
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname;
    const name = path.endsWith('/') ? `${path}index.html` : path;
    readFile(join(folder, name)).then((body) => {
      const headers = isolated ? { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' } : {};
      response.writeHead(200, { 'Content-Type': types[extname(name)] ?? 'application/octet-stream', ...headers }).end(body);
    }, () => response.writeHead(404).end());
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () => new Promise((resolve) => {
      server.closeAllConnections();
      server.close(() => resolve());
    }),
  };
}

export function launch(executablePath: string, args: string[] = []): Promise<Browser> {
  return chromium.launch({ executablePath, args: ['--no-sandbox', ...args] });
}
