// Whether this machine has a set-up node-gpu engine, for the names of the tests that are skipped without one.
import {locateNodeGpu} from '../../src/engine/node_gpu/index.ts';

export const isSetUp = 'folder' in locateNodeGpu();
export const needs = 'needs @tensorflow/tfjs-node-gpu: node scripts/node_gpu/setup.mjs --wheel';
