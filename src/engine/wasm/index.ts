// The `wasm` engine: TensorFlow.js's WebAssembly backend, from npm alone, with the kernels that training needs and it lacks.
import type {EventEmitter} from 'node:events';
import path from 'node:path';
import {setWasmPaths} from '@tensorflow/tfjs-backend-wasm';
import {UserError} from '../../platform/user_error.ts';
import * as tf from '../../tf.ts';
import {host} from '../cpu.ts';
import type {OpenedBackend} from '../engine.ts';
import {packageFolder, packageVersion} from '../package_version.ts';
import {supplyWasmKernels} from './register.ts';

const PACKAGE = '@tensorflow/tfjs-backend-wasm';
const crashListeners = ['uncaughtException', 'unhandledRejection'];

/** @throws UserError where the WebAssembly module does not load. */
export async function openWasm(): Promise<OpenedBackend> {
  setWasmPaths(path.join(packageFolder(PACKAGE), 'dist') + path.sep);
  const emitter: EventEmitter = process;
  const listeners = crashListeners.map(event => emitter.listeners(event));
  // Its operations in Node run on one thread: the threaded build needs a browser.
  const loaded = await tf.setBackend('wasm');
  // The module throws every uncaught error again, from a file of one line: Node then prints that line, 60 KB, before it.
  for (const [i, event] of crashListeners.entries()) {
    for (const listener of emitter.listeners(event)) {
      if (!listeners[i]!.includes(listener)) emitter.removeListener(event, listener as () => void);
    }
  }
  if (!loaded) {
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
