/** The service worker: keeps the page for use without a network, and makes it cross-origin isolated where the host doesn't. */

const tried = 'unshake.isolating';

/**
 * Resolves when the service worker serves this page, or when there can be none. The first visit to a host that sends no isolation
 * headers loads the page once more, unless `busy`: only a page that the worker has served is isolated.
 */
export async function serveOffline(busy: () => boolean): Promise<void> {
  if (crossOriginIsolated) sessionStorage.removeItem(tried);
  if (!('serviceWorker' in navigator) || import.meta.env.DEV) return;
  try {
    await navigator.serviceWorker.register('./sw.js');
    await Promise.race([controlled(), new Promise((resolve) => { setTimeout(resolve, 10_000); })]);
  } catch {
    return; // the browser forbids it here: everything else works
  }
  if (!crossOriginIsolated && navigator.serviceWorker.controller && !sessionStorage.getItem(tried) && !busy()) {
    sessionStorage.setItem(tried, '1');
    location.reload();
    await new Promise(() => {}); // nothing more happens on this page
  }
}

function controlled(): Promise<unknown> {
  if (navigator.serviceWorker.controller) return Promise.resolve();
  return new Promise((resolve) => { navigator.serviceWorker.addEventListener('controllerchange', resolve, { once: true }); });
}
