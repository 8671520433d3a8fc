// tfjs-node's binding numbers every tensor of a process anew with 32 bits. After 2^31 of them numbers turn negative, the
// package no longer frees such tensors, and later ones are mistaken for older. setup.mjs compiles a binding that reuses
// numbers; with any other the run is stopped, resumable, before that.
import {readFileSync} from 'node:fs';
import path from 'node:path';
import {UserError} from '../../platform/user_error.ts';
import type {NodeBackend} from './backend.ts';

/** Room for what a step makes between two numbers seen. */
const lastNumber = 2 ** 31 - 2 ** 24;

/** Whether the binding in this package's folder was compiled by setup.mjs with numbers reused. */
export function reusesNumbers(folder: string): boolean {
  try {
    const origin: unknown = JSON.parse(readFileSync(path.join(folder, 'deps', 'origin.json'), 'utf8'));
    return typeof origin === 'object' && origin !== null && 'reusesNumbers' in origin && origin.reusesNumbers === true;
  } catch {
    return false;
  }
}

/** Makes the binding refuse to go on shortly before its numbers run out. */
export function limitTensorNumbers(binding: Pick<NodeBackend['binding'], 'createTensor'>): void {
  const create = binding.createTensor.bind(binding);
  binding.createTensor = (shape, type, values) => {
    const number = create(shape, type, values);
    if (number >= 0 && number < lastNumber) return number;
    throw new UserError(
      `tfjs-node's binding has used nearly all of its 2^31 tensor numbers in this process: start the same command again to resume from the last checkpoint, or build the binding with scripts/node_gpu/setup.mjs, which reuses them.`,
    );
  };
}
