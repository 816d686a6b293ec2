/**
 * The service worker: keeps the page's files, so that it works without a network, and adds the headers that make the page
 * cross-origin isolated (threads in WebAssembly need that) on hosts that send none.
 */
interface ExtendableEvent extends Event { waitUntil(promise: Promise<unknown>): void }
interface FetchEvent extends ExtendableEvent { readonly request: Request; respondWith(response: Promise<Response>): void }
const worker = self as unknown as {
  addEventListener(type: 'install' | 'activate', listener: (event: ExtendableEvent) => void): void;
  addEventListener(type: 'fetch', listener: (event: FetchEvent) => void): void;
  skipWaiting(): Promise<void>;
  readonly clients: { claim(): Promise<void> };
  readonly registration: { readonly scope: string };
};

/** Filled in when the page is built. */
const version = '__VERSION__', files = '__FILES__'.split(',');
const cacheName = `unshake-${version}`;
/** Large files are kept when they are first used: few visitors need both of ONNX Runtime's engines, or HEIC's. */
const large = /\.(?:wasm|onnx)$|\/heic-[^/]*\.js$/;

worker.addEventListener('install', (event) => {
  const shell = files.filter((name) => !large.test(name) && name !== 'index.html');
  event.waitUntil(caches.open(cacheName).then((cache) => cache.addAll(['', ...shell].map((name) => new URL(name, worker.registration.scope).href)))
    .then(() => worker.skipWaiting()));
});

worker.addEventListener('activate', (event) => {
  event.waitUntil(caches.keys()
    .then((names) => Promise.all(names.filter((name) => name.startsWith('unshake-') && name !== cacheName).map((name) => caches.delete(name))))
    .then(() => worker.clients.claim()));
});

worker.addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.method !== 'GET' || !request.url.startsWith(worker.registration.scope)) return;
  event.respondWith(answer(request).then(isolated));
});

/** What belongs to this build comes from the cache first; the page itself comes fresh where there is a network. */
async function answer(request: Request): Promise<Response> {
  const cache = await caches.open(cacheName);
  const address = new URL(request.url), { scope } = worker.registration;
  address.search = address.hash = '';
  const key = address.href === new URL('index.html', scope).href ? scope : address.href;
  const kept = await cache.match(key);
  if (kept && request.mode !== 'navigate') return kept;
  try {
    const response = await fetch(request);
    if (response.ok && response.status === 200) await cache.put(key, response.clone()).catch(() => {}); // a full disk only costs the offline copy
    return response;
  } catch (error) {
    if (kept) return kept;
    throw error;
  }
}

function isolated(response: Response): Response {
  if (response.type === 'opaque' || response.status === 0) return response;
  const headers = new Headers(response.headers);
  headers.set('Cross-Origin-Opener-Policy', 'same-origin');
  headers.set('Cross-Origin-Embedder-Policy', 'require-corp');
  headers.set('Cross-Origin-Resource-Policy', 'same-origin');
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}
