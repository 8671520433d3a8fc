// The `wasm` engine: TensorFlow.js's WebAssembly backend, from npm alone, with the kernels that training needs and it lacks.
import path from 'node:path';
import {setWasmPaths} from '@tensorflow/tfjs-backend-wasm';
import {UserError} from '../../platform/user_error.ts';
import * as tf from '../../tf.ts';
import {host} from '../cpu.ts';
import type {OpenedBackend} from '../engine.ts';
import {packageFolder, packageVersion} from '../package_version.ts';
import {supplyWasmKernels} from './register.ts';

const PACKAGE = '@tensorflow/tfjs-backend-wasm';

/** @throws UserError where the WebAssembly module does not load. */
export async function openWasm(): Promise<OpenedBackend> {
  setWasmPaths(path.join(packageFolder(PACKAGE), 'dist') + path.sep);
  // Its operations in Node run on one thread: the threaded build needs a browser.
  if (!(await tf.setBackend('wasm'))) {
    throw new UserError(
      `The wasm engine did not load from ${packageFolder(PACKAGE)}: run "npm ci" to install it again.`,
    );
  }
  await tf.ready();
  supplyWasmKernels();
  const simd = await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT');
  return {
    device: simd ? 'CPU, WebAssembly with SIMD' : 'CPU, WebAssembly',
    threads: 1,
    describe: {...host(), version: packageVersion(PACKAGE), simd: simd ? 1 : 0},
  };
}
