// The same files in onnxruntime-web's WebAssembly build, as browsers run them (one thread, here in Node).

import {mkdtemp, readFile, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import * as ort from 'onnxruntime-web';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {openEngine} from '../../src/engine/index.ts';
import {componentFunction, exportComponent, relativeError} from '../../src/export/index.ts';
import {concrete} from '../../src/export/to_onnx.ts';
import {randomInput, runOnEngine} from '../../src/export/verify.ts';
import * as tf from '../../src/tf.ts';
import {components, values} from './component_cases.ts';

let out = '';
beforeAll(async () => {
  ort.env.wasm.numThreads = 1;
  out = await mkdtemp(path.join(tmpdir(), 'onnx-web-'));
  await openEngine('wasm', {precision: 'fp32'});
});
afterAll(() => rm(out, {recursive: true}));

describe.each(components)('%s', (name, from, options) => {
  test('equals the engine', async () => {
    const file = path.join(out, `${name}.onnx`);
    await exportComponent(from, values, file, {...options, verify: false});
    const {model, fn, inputs, ranges} = componentFunction(from, options);
    model.allocateFrom(spec => tf.tensor(values(spec), [...spec.shape]));
    const given = Object.fromEntries(
      concrete(inputs, {}).map((input, i) => [input.name, randomInput(input, i, {ranges})]),
    );
    const expected = runOnEngine(fn, given);
    model.dispose();
    const session = await ort.InferenceSession.create(await readFile(file), {
      executionProviders: ['wasm'],
      logSeverityLevel: 3,
    });
    const feeds = Object.fromEntries(
      Object.entries(given).map(([key, {dtype, data, shape}]) => [key, new ort.Tensor(dtype, data, shape)]),
    );
    const found = await session.run(feeds);
    await session.release();
    for (const [key, e] of Object.entries(expected)) {
      expect(found[key]!.dims).toEqual(e.shape);
      expect(relativeError(found[key]!.data as Float32Array, e.data), key).toBeLessThan(1e-5);
    }
  }, 120_000);
});
