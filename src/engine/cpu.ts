// The `cpu` engine: TensorFlow.js's kernels in plain JavaScript. The reference in tests.
import os from 'node:os';
import * as tf from '../tf.ts';
import type {OpenedBackend} from './engine.ts';
import {packageVersion} from './package_version.ts';

export async function openCpu(): Promise<OpenedBackend> {
  await import('@tensorflow/tfjs-backend-cpu');
  await tf.setBackend('cpu');
  await tf.ready();
  return {
    device: 'CPU, JavaScript',
    threads: 1,
    describe: {...host(), version: packageVersion('@tensorflow/tfjs-backend-cpu')},
  };
}

/** What results can depend on besides the engine itself. */
export function host(): Record<string, string | number> {
  return {cpu: os.cpus()[0]?.model.trim() ?? process.arch, node: process.versions.node};
}
