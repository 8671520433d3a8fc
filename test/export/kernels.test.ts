// Every kernel that has an ONNX form, against the cpu engine; and how many of the cpu engine's kernels have one.
import '@tensorflow/tfjs-backend-cpu';
import {mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {encodeOnnx, kernelSpecs, refusedKernels, type TracedFunction} from '../../src/export/index.ts';
import {runOnEngine} from '../../src/export/verify.ts';
import * as tf from '../../src/tf.ts';
import {checkedOpset, checkFolder} from './checker.ts';
import {complexCases, type FunctionCase, fusedCases} from './function_cases.ts';
import {type KernelCase, kernelCases} from './kernel_cases.ts';
import {compare, exported, type Given, runBytes} from './support.ts';

let out = '';
beforeAll(async () => {
  out = await mkdtemp(path.join(tmpdir(), 'onnx-kernels-'));
  await tf.setBackend('cpu');
});

afterAll(() => rm(out, {recursive: true}));

const fusedAndComplex = [...complexCases, ...fusedCases] satisfies FunctionCase[];

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

let written = 0;

/** The worst error of the exported function; its file is kept for the checker. */
async function checked(fn: TracedFunction, given: Given, opset: number): Promise<number> {
  const model = await exported(fn, given, {opset});
  await writeFile(path.join(out, `${String(written++).padStart(3, '0')}.onnx`), encodeOnnx(model));
  return compare(await runBytes(model, given), runOnEngine(fn, given));
}

function givenInputs({inputs, constant = []}: KernelCase): Given {
  return Object.fromEntries(Object.entries(inputs).filter(([key]) => !constant.includes(key)));
}

// 18 moves the axes of reductions, 20 has Gelu, 21 GroupNormalization by channel, 23 Attention.
const opsets = [17, 18, 20, 21, 23];

describe.each(opsets)('one kernel at opset %i', opset => {
  for (const c of kernelCases) {
    test(`${c.kernel}${c.note ? `, ${c.note}` : ''}`, async () => {
      expect(await checked(caseFunction(c), givenInputs(c), opset)).toBeLessThan(2e-6);
    });
  }
});

describe.each(opsets)('one function at opset %i', opset => {
  for (const c of fusedAndComplex) {
    test(`${c.kernels.join(' ')}${c.note ? `, ${c.note}` : ''}`, async () => {
      expect(await checked(c.fn, c.inputs, opset)).toBeLessThan(c.within ?? 2e-6);
    });
  }
});

test.skipIf(checkedOpset === undefined)(
  'every file of an opset that python3-onnx knows passes its checker',
  () => {
    const {count, problems} = checkFolder(out);
    expect(problems).toEqual([]);
    expect(count).toBe((kernelCases.length + fusedAndComplex.length) * opsets.filter(o => o <= checkedOpset!).length);
  },
  120_000,
);

test('every kernel with an ONNX form has a case', () => {
  const tested = new Set([...kernelCases.map(c => c.kernel), ...fusedAndComplex.flatMap(c => c.kernels)]);
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
