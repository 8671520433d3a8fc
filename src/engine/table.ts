// The table of `video-ldm doctor`: what each engine needs, whether it is here and what to install. Opens nothing.
import {existsSync} from 'node:fs';
import path from 'node:path';
import {type EngineName, engineNames} from './engine.ts';
import {findGpu, findLibtorch, findOpenblas} from './libraries.ts';
import {locateNodeGpu} from './node_gpu/index.ts';
import {packageFolder, packageVersion} from './package_version.ts';
import {torchBuild} from './torch.ts';

export interface EngineRow {
  engine: EngineName;
  available: boolean;
  version?: string;
  device?: string;
  /** Why it is not available, or what slows it down. */
  why?: string;
  /** What to do about it. */
  install?: string;
}

export async function engineTable(): Promise<EngineRow[]> {
  return Promise.all(engineNames.map(name => rows[name]()));
}

const rows = {torch: torchRow, 'node-gpu': nodeGpuRow, wasm: wasmRow, cpu: cpuRow} satisfies Record<
  EngineName,
  () => Promise<EngineRow>
>;

async function torchRow(): Promise<EngineRow> {
  const [build, libtorch, gpu] = [await torchBuild(), findLibtorch(), findGpu()];
  const gpuNote = gpu === undefined ? [] : [`this machine has a GPU (${gpu})`];
  if ('why' in build) {
    const found = libtorch ? `libtorch ${libtorch.version} found in ${libtorch.folder}` : 'no libtorch found';
    const install = libtorch
      ? 'npm run build:torch'
      : gpu === undefined
        ? 'apt install libtorch-dev libopenblas0-pthread (or pip install torch), then npm run build:torch'
        : 'pip install torch (with CUDA), then npm run build:torch';
    return {engine: 'torch', available: false, why: [build.why, found, ...gpuNote].join('; '), install};
  }
  const row: EngineRow = {engine: 'torch', available: true, version: `libtorch ${build.version}`, device: build.device};
  if (build.device === 'cpu' && gpu !== undefined) {
    return {
      ...row,
      why: `built for the CPU, but ${gpuNote[0]}`,
      install: 'pip install torch (with CUDA), then npm run build:torch',
    };
  }
  // Debian's libtorch calls whatever BLAS is installed; the wheels bring their own.
  if (build.device === 'cpu' && libtorch?.from === 'system' && findOpenblas() === undefined) {
    return {
      ...row,
      why: 'matrix products are 30 times slower without OpenBLAS',
      install: 'apt install libopenblas0-pthread',
    };
  }
  return row;
}

async function nodeGpuRow(): Promise<EngineRow> {
  const located = locateNodeGpu();
  if ('why' in located) {
    return {engine: 'node-gpu', available: false, why: located.why, install: 'see docs/engines.md'};
  }
  return {engine: 'node-gpu', available: true, version: located.folder, device: findGpu() ?? 'cpu'};
}

async function wasmRow(): Promise<EngineRow> {
  const name = '@tensorflow/tfjs-backend-wasm';
  try {
    const file = path.join(packageFolder(name), 'dist', 'tfjs-backend-wasm-simd.wasm');
    if (existsSync(file))
      return {engine: 'wasm', available: true, version: packageVersion(name), device: 'CPU, one thread'};
    return {engine: 'wasm', available: false, why: `${file} is missing`, install: 'npm ci'};
  } catch {
    return {engine: 'wasm', available: false, why: `${name} is not installed`, install: 'npm ci'};
  }
}

async function cpuRow(): Promise<EngineRow> {
  const version = packageVersion('@tensorflow/tfjs-backend-cpu');
  return {
    engine: 'cpu',
    available: true,
    version,
    device: 'CPU, JavaScript',
    why: 'for tests: a hundred times slower than wasm',
  };
}
