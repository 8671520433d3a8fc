// Every kernel that has an ONNX form, against the cpu engine; and how many of the cpu engine's kernels have one.
import '@tensorflow/tfjs-backend-cpu';
import {spawnSync} from 'node:child_process';
import {mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {encodeOnnx, kernelSpecs, refusedKernels, type TracedFunction} from '../../src/export/index.ts';
import {runOnEngine} from '../../src/export/verify.ts';
import * as tf from '../../src/tf.ts';
import {complexCases, type FunctionCase, fusedCases} from './function_cases.ts';
import {type KernelCase, kernelCases} from './kernel_cases.ts';
import {compare, exported, type Given, runBytes} from './support.ts';

let out = '';
beforeAll(async () => {
  out = await mkdtemp(path.join(tmpdir(), 'onnx-kernels-'));
  await tf.setBackend('cpu');
});

afterAll(() => rm(out, {recursive: true}));

const python = spawnSync('/usr/bin/python3', ['-c', 'import onnx'], {stdio: 'ignore'}).status === 0;

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
async function checked(fn: TracedFunction, given: Given): Promise<number> {
  const model = await exported(fn, given);
  await writeFile(path.join(out, `${String(written++).padStart(3, '0')}.onnx`), encodeOnnx(model));
  return compare(await runBytes(model, given), runOnEngine(fn, given));
}

function givenInputs({inputs, constant = []}: KernelCase): Given {
  return Object.fromEntries(Object.entries(inputs).filter(([key]) => !constant.includes(key)));
}

describe('one kernel', () => {
  for (const c of kernelCases) {
    test(`${c.kernel}${c.note ? `, ${c.note}` : ''}`, async () => {
      expect(await checked(caseFunction(c), givenInputs(c))).toBeLessThan(2e-6);
    });
  }
});

describe('one function', () => {
  for (const c of [...complexCases, ...fusedCases] satisfies FunctionCase[]) {
    test(`${c.kernels.join(' ')}${c.note ? `, ${c.note}` : ''}`, async () => {
      expect(await checked(c.fn, c.inputs)).toBeLessThan(c.within ?? 2e-6);
    });
  }
});

test.skipIf(!python)('every file passes the checker of python3-onnx', () => {
  const code = `import onnx, glob, sys
for f in sorted(glob.glob(sys.argv[1] + '/*.onnx')):
  try:
    onnx.checker.check_model(f, full_check=True)
    onnx.shape_inference.infer_shapes(onnx.load(f), check_type=True, strict_mode=True)
  except Exception as e:
    print(f, [n.op_type for n in onnx.load(f).graph.node], str(e)[:300])`;
  const {status, stdout, stderr} = spawnSync('/usr/bin/python3', ['-c', code, out], {encoding: 'utf8'});
  expect(status, stderr).toBe(0);
  expect(written).toBeGreaterThan(200);
  expect(stdout).toBe('');
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
