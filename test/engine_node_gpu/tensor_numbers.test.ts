// The guard against the binding's 32-bit tensor numbers, with a double in the binding's place.
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {describe, expect, test} from 'vitest';
import {limitTensorNumbers, reusesNumbers} from '../../src/engine/node_gpu/tensor_numbers.ts';
import {UserError} from '../../src/platform/user_error.ts';

describe('tensor numbers', () => {
  test.each([2 ** 31 - 1, -(2 ** 31)])('a binding that has come to number %d is stopped', number => {
    const binding = {createTensor: () => number};
    limitTensorNumbers(binding);
    expect(() => binding.createTensor()).toThrow(UserError);
  });

  test('smaller numbers pass', () => {
    const binding = {createTensor: (shape: number[]) => shape.length};
    limitTensorNumbers(binding);
    expect(binding.createTensor([1, 2, 3])).toBe(3);
  });

  test('only what setup.mjs has written down counts as reusing numbers', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'node-gpu-'));
    try {
      expect(reusesNumbers(folder)).toBe(false);
      mkdirSync(path.join(folder, 'deps'));
      for (const [text, expected] of [
        ['{"from": "x"}', false],
        ['no json', false],
        ['{"reusesNumbers": true}', true],
      ] as const) {
        writeFileSync(path.join(folder, 'deps', 'origin.json'), text);
        expect(reusesNumbers(folder)).toBe(expected);
      }
    } finally {
      rmSync(folder, {recursive: true, force: true});
    }
  });
});
