// The `node-gpu` engine: @tensorflow/tfjs-node-gpu, the user's own choice of package, over the libtensorflow it was set
// up with. It is never a dependency of this package; docs/engines.md says how to set it up.
import {createRequire} from 'node:module';
import os from 'node:os';
import path from 'node:path';
import util from 'node:util';
import {UserError} from '../../platform/user_error.ts';
import * as tf from '../../tf.ts';
import {isNodeBackend} from './backend.ts';
import {supplyKernels} from './kernels/index.ts';
import {locateNodeGpu} from './locate.ts';
import {limitTensorNumbers, reusesNumbers} from './tensor_numbers.ts';

export {folderVariable, locateNodeGpu} from './locate.ts';

/** The name under which tfjs-node registers itself. */
export const nodeGpuBackend = 'tensorflow';

export interface NodeGpu {
  /** 'cpu' or 'gpu': where TensorFlow runs the operations. */
  device: string;
  describe: Record<string, string | number>;
}

/**
 * Loads the package, makes `tensorflow` the current backend and supplies the kernels it lacks.
 * @throws UserError with the reason, when the package is not there or does not load.
 */
export async function openNodeGpu(): Promise<NodeGpu> {
  const located = locateNodeGpu();
  if ('why' in located) throw new UserError(`The node-gpu engine is not available: ${located.why}.`);
  const require = createRequire(path.join(located.folder, 'package.json'));
  checkSharedCore(require, located.folder);
  // TensorFlow logs its own start-up at level 0 and 1 on stderr.
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
  provideRemovedUtil();
  const restoreGradients = rememberGradients();
  try {
    require(located.folder);
    restoreGradients();
    await tf.setBackend(nodeGpuBackend);
    await tf.ready();
  } catch (error) {
    throw new UserError(`The node-gpu engine in ${located.folder} did not load: ${firstLine(error)}`, {cause: error});
  }
  const backend = tf.backend();
  if (tf.getBackend() !== nodeGpuBackend || !isNodeBackend(backend))
    throw new UserError(
      `The package in ${located.folder} registered no "${nodeGpuBackend}" backend with video-ldm's TensorFlow.js: it is not tfjs-node 4.x.`,
    );
  supplyKernels();
  if (!reusesNumbers(located.folder)) limitTensorNumbers(backend.binding);
  const {version} = require('./package.json') as {version: string};
  return {
    device: backend.isUsingGpuDevice ? 'gpu' : 'cpu',
    describe: {
      package: `tfjs-node-gpu ${version}`,
      libtensorflow: backend.binding.TF_Version,
      cpu: os.cpus()[0]?.model.trim() ?? process.arch,
      // TensorFlow's pool for one operation's work: every core unless the variable says otherwise.
      threads: Number(process.env.TF_NUM_INTRAOP_THREADS) || os.availableParallelism(),
    },
  };
}

/**
 * The package must use the very files of tfjs-core that this one uses: two copies print hundreds of warnings, and their
 * kernels and gradients depend on which was loaded last.
 */
function checkSharedCore(require: NodeJS.Require, folder: string): void {
  const ours = createRequire(import.meta.url).resolve('@tensorflow/tfjs-core');
  let theirs: string;
  try {
    theirs = createRequire(require.resolve('@tensorflow/tfjs')).resolve('@tensorflow/tfjs-core');
  } catch (error) {
    throw new UserError(`The node-gpu engine in ${folder} lacks a package it needs: ${firstLine(error)}.`);
  }
  if (theirs !== ours)
    throw new UserError(
      `The node-gpu engine in ${folder} uses another copy of TensorFlow.js (${path.dirname(path.dirname(theirs))}) than video-ldm (${path.dirname(path.dirname(ours))}): install @tensorflow/tfjs-node-gpu@${tf.version_core} so that npm shares one.`,
    );
}

/**
 * The package brings the union of TensorFlow.js's packages, which registers every stock gradient once more: over those
 * that this process may have replaced by better ones. Returns a function that puts them back.
 */
function rememberGradients(): () => void {
  const names = Object.values(tf).filter(value => typeof value === 'string');
  const before = names.flatMap(name => tf.getGradient(name) ?? []);
  return () => {
    for (const gradient of before) tf.registerGradient(gradient);
  };
}

/** tfjs-node 4.22 calls two functions of node:util that Node 23 removed. */
function provideRemovedUtil(): void {
  const removed = {isNullOrUndefined: (value: unknown) => value == null, isArray: Array.isArray};
  for (const [name, replacement] of Object.entries(removed))
    if (!(name in util)) Object.defineProperty(util, name, {value: replacement, configurable: true});
}

function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split('\n')[0] ?? '';
}
