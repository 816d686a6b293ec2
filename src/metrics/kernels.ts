/** The metrics' inner loops: WebAssembly SIMD (assembly/metrics.ts) where the JavaScript engine has it, else plain TypeScript. */
import { innerLoops } from '../inner-loops.js';
import { plainKernels, type Kernels } from './kernels-plain.js';
import { wasmBase64 } from './kernels-wasm.js';

export const { use: useKernels, workspace } = innerLoops<Kernels>(wasmBase64, plainKernels);
