/** The inner loops of synthetic blur: WebAssembly SIMD (assembly/blur.ts) where the JavaScript engine has it, else plain TypeScript. */
import { innerLoops } from '../inner-loops.js';
import { plainLoops, type BlurLoops } from './loops-plain.js';
import { wasmBase64 } from './loops-wasm.js';

export const { use: useBlurLoops, workspace } = innerLoops<BlurLoops>(wasmBase64, plainLoops);
