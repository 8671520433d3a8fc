// Every kernel that has an ONNX form, against the cpu engine; and how many of the cpu engine's kernels have one.
import '@tensorflow/tfjs-backend-cpu';
import {beforeAll, describe, expect, test} from 'vitest';
import {kernelSpecs, refusedKernels} from '../../src/export/index.ts';
import * as tf from '../../src/tf.ts';
import {complexCases, type FunctionCase, fusedCases} from './function_cases.ts';
import {type KernelCase, kernelCases} from './kernel_cases.ts';
import {exportError, type Given} from './support.ts';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

function caseFunction({kernel, inputs, attrs, list, constant = []}: KernelCase) {
  return (given: Record<string, tf.Tensor>): Record<string, tf.Tensor> => {
    const all = Object.keys(inputs).map(key => {
      const held = inputs[key]!;
      return [key, constant.includes(key) ? tf.tensor(held.data, [...held.shape], held.dtype) : given[key]!] as const;
    });
    const tensors = list ? Object.fromEntries(all.map(([, t], i) => [i, t])) : Object.fromEntries(all);
    const input = list
      ? Object.assign(
          all.map(([, t]) => t),
          {},
        )
      : tensors;
    const result: tf.Tensor | tf.Tensor[] = tf
      .engine()
      .runKernel(kernel, input as tf.NamedTensorMap, {...attrs} as tf.NamedAttrMap);
    return Object.fromEntries((Array.isArray(result) ? result : [result]).map((t, i) => [`y${i}`, t]));
  };
}

function givenInputs({inputs, constant = []}: KernelCase): Given {
  return Object.fromEntries(Object.entries(inputs).filter(([key]) => !constant.includes(key)));
}

describe('one kernel', () => {
  for (const c of kernelCases) {
    test(`${c.kernel}${c.note ? `, ${c.note}` : ''}`, async () => {
      expect(await exportError(caseFunction(c), givenInputs(c))).toBeLessThan(2e-6);
    });
  }
});

describe('one function', () => {
  for (const c of [...complexCases, ...fusedCases] satisfies FunctionCase[]) {
    test(`${c.kernels.join(' ')}${c.note ? `, ${c.note}` : ''}`, async () => {
      expect(await exportError(c.fn, c.inputs)).toBeLessThan(c.within ?? 2e-6);
    });
  }
});

test('every kernel with an ONNX form has a case', () => {
  const tested = new Set([
    ...kernelCases.map(c => c.kernel),
    ...[...complexCases, ...fusedCases].flatMap(c => c.kernels),
  ]);
  expect(kernelSpecs.map(s => s.kernel).filter(k => !tested.has(k))).toEqual([]);
});

test('at least 90 % of the kernels of the cpu engine have an ONNX form, the others are refused by name', () => {
  const registered = tf.getKernelsForBackend('cpu').map(k => k.kernelName);
  const mapped = new Set(kernelSpecs.map(s => s.kernel));
  const missing = registered.filter(k => !mapped.has(k));
  expect(registered.length).toBeGreaterThanOrEqual(172);
  expect(missing.filter(k => !(k in refusedKernels))).toEqual([]);
  expect((registered.length - missing.length) / registered.length).toBeGreaterThanOrEqual(0.9);
});
