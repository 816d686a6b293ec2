/** What is installed, what is missing, and how to get it. */
import { availableParallelism, cpus, totalmem } from 'node:os';
import sharp from 'sharp';
import { cpuFlags } from './cpu.js';
import { checkFfmpeg } from './deblur-video.js';
import { messageOf } from './errors.js';
import { shippedModels } from './model-path.js';
import { installedDevices, loadRuntime } from './runtime/session.js';
import { version } from './version.js';

/** One piece: there or not, in a few words; when it is missing, what for and how to get it. */
export interface Finding { name: string; ok: boolean; found: string; cure?: string }

/** What doctor prints with --json. */
export interface Diagnosis {
  unshake: string;
  node: string;
  platform: string;
  cpu: { model: string; threads: number; memoryGiB: number; instructions: string[] };
  onnxruntime: RuntimeStatus;
  sharp: { version: string; libvips: string };
  models: string[];
  libtorch: LibtorchStatus;
  findings: Finding[];
}

/** ONNX Runtime: its version and devices, or why it can't be loaded. */
export interface RuntimeStatus { version?: string; devices: string[]; reason?: string }

/** What @unshake/libtorch says about itself. */
export interface LibtorchStatus { available: boolean; reason?: string; version?: string; path?: string; cuda?: boolean; groups?: string[] }

/** CPU instructions that decide which precision is fast, as Linux names them. */
const telling = ['amx_bf16', 'amx_tile', 'avx512_bf16', 'avx512_fp16', 'avx512f', 'avx2', 'asimd', 'bf16', 'sve'];
const leastNode = [20, 9] as const;

/** Looks at everything that unshake can use. Never throws: what is missing is a finding. */
export async function diagnose(): Promise<Diagnosis> {
  const flags = new Set(cpuFlags());
  const instructions = telling.filter((name) => flags.has(name));
  const libtorch = await libtorchStatus();
  const models = await shippedModels();
  const onnxruntime = await runtimeStatus();
  return {
    unshake: version,
    node: process.versions.node,
    platform: `${process.platform} ${process.arch}`,
    cpu: { model: cpus()[0]?.model.trim() ?? 'unknown', threads: availableParallelism(), memoryGiB: Math.round(totalmem() / 2 ** 30), instructions },
    onnxruntime,
    sharp: { version: sharp.versions.sharp ?? 'unknown', libvips: sharp.versions.vips },
    models,
    libtorch,
    findings: [nodeFinding(), runtimeFinding(onnxruntime), cudaFinding(onnxruntime.devices), precisionFinding(instructions), modelsFinding(models), await videosFinding(), libtorchFinding(libtorch), groupsFinding(libtorch)],
  };
}

function nodeFinding(): Finding {
  const [major, minor] = process.versions.node.split('.').map(Number);
  const ok = major > leastNode[0] || (major === leastNode[0] && minor >= leastNode[1]);
  return { name: 'Node', ok, found: process.versions.node, ...(ok ? {} : { cure: `install Node ${leastNode.join('.')} or newer` }) };
}

function precisionFinding(instructions: string[]): Finding {
  const bf16 = instructions.find((name) => name === 'amx_bf16' || name === 'avx512_bf16');
  return { name: 'bf16 on the CPU', ok: bf16 !== undefined, found: bf16 ?? 'no (training on this CPU runs in fp32, about 5 times slower than with AMX)' };
}

function runtimeFinding({ version: runtime, devices, reason }: RuntimeStatus): Finding {
  if (!reason) return { name: 'ONNX Runtime', ok: true, found: `${runtime} with ${devices.join(', ')}` };
  return { name: 'ONNX Runtime', ok: false, found: reason, cure: 'without it deblurring runs in WebAssembly, several times slower' };
}

function cudaFinding(devices: string[]): Finding {
  const ok = devices.includes('cuda');
  const cure = process.platform === 'linux' && process.arch === 'x64'
    ? 'for an NVIDIA GPU: ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node (docs/install.md)' : 'npm brings CUDA for Linux on x64 only';
  return { name: 'CUDA for deblurring', ok, found: ok ? 'its libraries are installed' : 'not installed; the CPU is used', ...(ok ? {} : { cure }) };
}

function modelsFinding(models: string[]): Finding {
  const ok = models.includes('default');
  return { name: 'shipped models', ok, found: models.join(', ') || 'none', ...(ok ? {} : { cure: 'models/default.onnx is missing: reinstall unshake, or name another with --model' }) };
}

async function videosFinding(): Promise<Finding> {
  try {
    await checkFfmpeg();
    return { name: 'videos', ok: true, found: 'ffmpeg and ffprobe' };
  } catch (error) {
    return { name: 'videos', ok: false, found: 'not read here; photos are', cure: messageOf(error) };
  }
}

function libtorchFinding(status: LibtorchStatus): Finding {
  const { available, version: torch, path, cuda, reason } = status;
  const where = path ? ` in ${path}` : '';
  if (available) return { name: 'libtorch', ok: true, found: `${torch ?? 'unknown version'}${where}, ${cuda ? 'with' : 'without'} CUDA` };
  const cure = 'only training needs it; docs/install.md has the steps for Debian and for others';
  return { name: 'libtorch', ok: false, found: `not usable${torch ? ` (${torch}${where})` : ''}: ${reason ?? 'no reason given'}`, cure };
}

function groupsFinding({ available, groups = [] }: LibtorchStatus): Finding {
  if (groups.length > 0) return { name: 'several processes', ok: true, found: groups.join(', ') };
  return { name: 'several processes', ok: false, found: available ? 'the addon was built without Gloo' : 'no libtorch', cure: 'only train --nproc needs it: apt-get install libgloo-dev (Debian), then npm run build' };
}

async function runtimeStatus(): Promise<RuntimeStatus> {
  try {
    const runtime = await loadRuntime();
    return { version: runtime.env.versions.node, devices: installedDevices(runtime) };
  } catch (error) {
    return { devices: [], reason: messageOf(error) };
  }
}

async function libtorchStatus(): Promise<LibtorchStatus> {
  try {
    const libtorch = await import('@unshake/libtorch') as { status?: () => LibtorchStatus };
    return libtorch.status?.() ?? { available: false, reason: 'this @unshake/libtorch does not tell its status' };
  } catch (error) {
    return { available: false, reason: messageOf(error) };
  }
}
