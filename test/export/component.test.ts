// Every component of a tiny pipeline: exported, checked, run in onnxruntime at three sizes, and looked at for transposes.

import {mkdtemp, readFile, rm, stat} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {fromBinary} from '@bufbuild/protobuf';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {openEngine} from '../../src/engine/index.ts';
import type {OnnxNode} from '../../src/export/builder.ts';
import {
  type ComponentModel,
  type ComponentOptions,
  componentFunction,
  exportComponent,
  toOnnx,
  writeOnnx,
} from '../../src/export/index.ts';
import {ModelProtoSchema, TensorProto_DataLocation} from '../../src/export/proto/onnx_pb.ts';
import {sessionWarnings} from '../../src/export/verify.ts';
import * as tf from '../../src/tf.ts';
import {tinyUNet} from '../models/tiny.ts';
import {checkedOpset, checkFolder} from './checker.ts';
import {clip, components, images, values, videoUNet} from './component_cases.ts';

let out = '';
beforeAll(async () => {
  out = await mkdtemp(path.join(tmpdir(), 'onnx-component-'));
  await openEngine('wasm', {precision: 'fp32'});
});
afterAll(() => rm(out, {recursive: true}));

test('what onnxruntime says of a graph is heard', async () => {
  const model = await toOnnx(({x}) => tf.neg(x!), [{name: 'x', shape: [2], dtype: 'float32'}]);
  const unused = {
    name: 'unused',
    constant: {dtype: 'float32', shape: [4], load: () => new Float32Array(4)},
    stored: 'float32',
  } as const;
  const file = path.join(out, 'unused.onnx');
  await writeOnnx({...model, initializers: [...model.initializers, unused]}, file);
  expect((await sessionWarnings(file)).join()).toContain('unused');
});

describe.each(components)('%s', (name, from, options) => {
  const file = () => path.join(out, `${name.replaceAll(/[ ,]+/g, '_')}.onnx`);

  test('equals the engine at three sizes, without a warning', async () => {
    const {verification} = await exportComponent(from, values, file(), options);
    expect(verification!.runs).toHaveLength(3);
    expect(verification!.worst).toBeLessThan(1e-5);
    expect(verification!.warnings).toEqual([]);
  }, 120_000);
});

/** Nodes between which a Transpose would be wasted: what it takes comes from a convolution, what it gives goes into one. */
function transposesBetweenConvolutions(nodes: readonly OnnxNode[]): string[] {
  const makers = new Map(nodes.flatMap(n => n.outputs.map(o => [o, n] as const)));
  const through = new Set([
    'Add',
    'Mul',
    'Sigmoid',
    'Reshape',
    'InstanceNormalization',
    'Resize',
    'Concat',
    'Transpose',
    'Unsqueeze',
  ]);
  const found: string[] = [];
  const ends = (node: OnnxNode, next: (n: OnnxNode) => OnnxNode[], seen = new Set<OnnxNode>()): Set<string> => {
    const kinds = new Set<string>();
    for (const n of next(node)) {
      if (seen.has(n)) continue;
      seen.add(n);
      for (const kind of through.has(n.op) ? ends(n, next, seen) : [n.op]) kinds.add(kind);
    }
    return kinds;
  };
  const before = (n: OnnxNode) => n.inputs.slice(0, 1).flatMap(i => makers.get(i) ?? []);
  const after = (n: OnnxNode) => nodes.filter(m => m.inputs.some(i => n.outputs.includes(i)));
  for (const node of nodes.filter(n => n.op === 'Transpose')) {
    const [from, to] = [ends(node, before), ends(node, after)];
    if (from.has('Conv') && [...to].every(kind => kind === 'Conv'))
      found.push(`${node.name}: ${[...from]} -> ${[...to]}`);
  }
  return found;
}

async function nodesOf(from: ComponentModel, options: ComponentOptions) {
  const {model, fn, inputs} = componentFunction(from, options);
  model.allocateFrom(spec => tf.tensor(values(spec), [...spec.shape]));
  const traced = await toOnnx(fn, inputs, {...options, weights: model.namedWeights()});
  model.dispose();
  return traced;
}

const count = (nodes: readonly OnnxNode[], op: string) => nodes.filter(n => n.op === op).length;

test('an image UNet has the transposes of its attention only, and its two ends', async () => {
  const {nodes} = await nodesOf({component: 'unet', config: tinyUNet}, {sizes: images});
  expect(transposesBetweenConvolutions(nodes)).toEqual([]);
  const transformers = 4; // one on the way down, one in the middle, two on the way up
  expect(count(nodes, 'Softmax')).toBe(2 * transformers);
  expect(count(nodes, 'Transpose')).toBe(2 * 4 * transformers + 2 * transformers + 2);
  expect(count(nodes, 'InstanceNormalization')).toBeGreaterThan(10);
});

test('a video UNet moves each clip to time and back, no more', async () => {
  const {nodes} = await nodesOf({component: 'unet', config: videoUNet}, {sizes: clip});
  const temporal = 8; // residual blocks over time
  const attentions = count(nodes, 'Softmax');
  expect(count(nodes, 'Transpose')).toBe(4 * attentions + 2 * 4 + 2 * temporal + 2);
});

test('weights keep their paths as names', async () => {
  const {model} = componentFunction({component: 'unet', config: videoUNet});
  const {initializers} = await nodesOf({component: 'unet', config: videoUNet}, {sizes: clip});
  const names = new Set(initializers.map(i => i.name));
  // Mix factors become their sigmoids; position embeddings and all that follows from constants alone are folded.
  const kept = model
    .weightSpecs()
    .map(s => s.path)
    .filter(p => !/mix_factor|time_pos_embed/.test(p));
  expect(kept.filter(p => !names.has(p))).toEqual([]);
});

test('external data and float16: the same results, the sizes asked for', async () => {
  const from: ComponentModel = {component: 'unet', config: tinyUNet};
  const [inside, outside, half] = ['inside', 'outside', 'half'].map(n => path.join(out, `${n}.onnx`)) as [
    string,
    string,
    string,
  ];
  const a = await exportComponent(from, values, inside, {sizes: images});
  const b = await exportComponent(from, values, outside, {sizes: images, externalAbove: 1000});
  const c = await exportComponent(from, values, half, {sizes: images, weightType: 'float16'});
  expect(b.written.files).toEqual([outside, `${outside}.data`]);
  expect(b.verification!.worst).toBe(a.verification!.worst);
  expect(c.verification!.worst).toBeLessThan(2e-3);
  expect(c.written.bytes).toBeLessThan(0.75 * a.written.bytes);
  expect((await stat(outside)).size).toBeLessThan(a.written.bytes / 2);
  const {graph, metadataProps} = fromBinary(ModelProtoSchema, await readFile(outside));
  expect(metadataProps.find(p => p.key === 'component')?.value).toBe('unet');
  expect(graph!.initializer.some(t => t.dataLocation === TensorProto_DataLocation.EXTERNAL)).toBe(true);
}, 120_000);

test.each([18, 20, 23])(
  'opset %i',
  async opset => {
    const file = path.join(out, `opset${opset}.onnx`);
    const {verification} = await exportComponent({component: 'unet', config: videoUNet}, values, file, {
      sizes: clip,
      opset,
    });
    expect(verification!.worst).toBeLessThan(1e-5);
    expect(verification!.warnings).toEqual([]);
  },
  120_000,
);

test.skipIf(checkedOpset === undefined)('the checker of python3-onnx accepts every file', () => {
  const {count, problems} = checkFolder(out);
  expect(problems).toEqual([]);
  expect(count).toBeGreaterThan(components.length);
});
