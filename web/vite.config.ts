import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { defineConfig, type Plugin } from 'vite';

/** What a host may send so that the page gets threads at once; on hosts that don't, the service worker adds it. */
const isolation = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };

/** Tells the service worker the files of this build, so that it keeps them and drops those of older builds. */
function precache(): Plugin {
  return {
    name: 'unshake-precache',
    generateBundle(_, bundle) {
      const worker = bundle['sw.js'];
      if (worker?.type !== 'chunk') throw new Error('expected sw.js among the built files');
      const still = new URL('public/', import.meta.url), names = readdirSync(still).sort();
      const files = [...Object.keys(bundle).filter((name) => name !== 'sw.js').sort(), ...names];
      const hash = createHash('sha256').update(files.join()).update(worker.code);
      for (const name of names) hash.update(readFileSync(new URL(name, still))); // their names don't change with what is in them
      worker.code = worker.code.replace('__VERSION__', hash.digest('hex').slice(0, 12)).replace('__FILES__', files.join());
    },
  };
}

export default defineConfig({
  base: './', // any folder of any host
  // ONNX Runtime's .wasm files stand beside the page as files of their own, see src/worker/deblur.ts.
  resolve: { conditions: ['onnxruntime-web-use-extern-wasm', 'browser', 'module'] },
  worker: { format: 'es' },
  build: {
    target: 'es2022',
    chunkSizeWarningLimit: 1000,
    rollupOptions: {
      input: { index: 'index.html', sw: 'src/sw.ts' },
      output: { entryFileNames: ({ name }) => (name === 'sw' ? 'sw.js' : 'assets/[name]-[hash].js') },
    },
  },
  plugins: [precache()],
  preview: { headers: isolation, port: 4173 },
});
