// The reference's weights, exported: onnxruntime, native and in WebAssembly, gives the reference's outputs. VIDEO_LDM_GOLDEN names
// another folder of reference files.
import '@tensorflow/tfjs-backend-cpu';
import {existsSync} from 'node:fs';
import {mkdtemp, readFile, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import * as web from 'onnxruntime-web';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {
  type ComponentModel,
  type ComponentSizes,
  componentFunction,
  exportComponent,
  relativeError,
  toOnnx,
  weightsFrom,
  writeOnnx,
} from '../../src/export/index.ts';
import {type HostArray, openSession, runSession} from '../../src/export/runtime.ts';
import type {Block} from '../../src/layers/block.ts';
import {VideoResBlock} from '../../src/layers/temporal_resnet.ts';
import {VideoTransformer} from '../../src/layers/transformer.ts';
import {silu} from '../../src/ops/index.ts';
import * as tf from '../../src/tf.ts';
import {f32, type HostTensor, integersOf} from '../../src/weights/host_tensor.ts';
import {textPathOf} from '../../src/weights/import_sources/split_single_file.ts';
import {fromDiffusers} from '../../src/weights/key_maps/diffusers.ts';
import {
  autoencoderFromDiffusers,
  textEncoderFromTransformers,
  unetFromDiffusers,
} from '../../src/weights/key_maps/diffusers_configs.ts';
import {loadWeights, sourceOf} from '../../src/weights/load_weights.ts';
import {parseSafetensors} from '../../src/weights/safetensors.ts';
import {checkedOpset, checkFolder} from './checker.ts';

const folder = process.env.VIDEO_LDM_GOLDEN ?? path.join(import.meta.dirname, '../golden');
const here = (...names: string[]) => names.filter(name => existsSync(path.join(folder, `${name}.safetensors`)));
let out = '';

beforeAll(async () => {
  out = await mkdtemp(path.join(tmpdir(), 'onnx-golden-'));
  web.env.wasm.numThreads = 1;
  await tf.setBackend('cpu');
});
afterAll(() => rm(out, {recursive: true}));

interface Golden {
  readonly file: string;
  readonly config: Record<string, unknown>;
  readonly io: ReadonlyMap<string, HostTensor>;
}

async function golden(name: string): Promise<Golden> {
  const file = path.join(folder, `${name}.safetensors`);
  const {tensors, metadata} = parseSafetensors(await readFile(file), name);
  const io = new Map([...tensors].filter(([key]) => key.startsWith('io.')).map(([key, t]) => [key.slice(3), t]));
  return {file, config: JSON.parse(metadata.config ?? '{}') as Record<string, unknown>, io};
}

/** Moves channels (axis `from`) of host data to the end, or from the end there. */
function moved(t: HostTensor, channels: 'last' | 'first'): HostArray {
  const values = tf.tidy(() => {
    const x = tf.tensor(f32(t), [...t.shape]);
    const r = x.rank;
    const axes = Array.from({length: r}, (_, i) => i);
    const perm =
      channels === 'last'
        ? [...axes.slice(0, r - 3), r - 2, r - 1, r - 3]
        : [...axes.slice(0, r - 3), r - 1, r - 3, r - 2];
    const y = tf.transpose(x, perm);
    return {shape: y.shape, data: Float32Array.from(y.dataSync())};
  });
  return {dtype: 'float32', ...values};
}

const floats = (t: HostTensor): HostArray => ({
  dtype: 'float32',
  shape: t.shape,
  data: t.dtype === 'F32' ? f32(t) : Float32Array.from(integersOf(t)),
});
const integers = (t: HostTensor): HostArray => ({dtype: 'int32', shape: t.shape, data: Int32Array.from(integersOf(t))});
const shaped = (a: HostArray, shape: readonly number[]): HostArray => ({...a, shape});

async function run(
  from: ComponentModel,
  {file}: Golden,
  sizes: ComponentSizes,
  inputs: Record<string, HostArray>,
  pathOf = fromDiffusers as (name: string) => string | undefined,
) {
  const {model} = componentFunction(from, {sizes});
  const ownPath = (name: string) => (name.startsWith('weights.') ? pathOf(name.slice(8)) : undefined);
  const values = await weightsFrom(file, model.weightSpecs(), {pathOf: ownPath});
  const target = path.join(out, `${path.basename(file)}-${from.component}.onnx`);
  await exportComponent(from, values, target, {sizes, verify: false});
  return inBothRuntimes(target, inputs);
}

type Outputs = Record<string, HostArray>;

/** Runs a file in onnxruntime-node and in onnxruntime-web. */
async function inBothRuntimes(
  file: string,
  inputs: Record<string, HostArray>,
): Promise<[native: Outputs, web: Outputs]> {
  const session = await openSession(file, {logLevel: 3});
  const native = await runSession(session, inputs);
  await session.release();
  const other = await web.InferenceSession.create(await readFile(file), {
    executionProviders: ['wasm'],
    logSeverityLevel: 3,
  });
  const feeds = Object.entries(inputs).map(([key, a]) => [key, new web.Tensor(a.dtype, a.data, a.shape)] as const);
  const results = await other.run(Object.fromEntries(feeds));
  await other.release();
  const found = Object.entries(results).map(([key, t]) => [
    key,
    {dtype: 'float32', shape: t.dims, data: t.data as Float32Array} as const,
  ]);
  return [native, Object.fromEntries(found)];
}

const limit = 1e-4;

test.each(here('open-unet-sd1', 'open-unet-sd2', 'open-unet-x4', 'open-unet-spatiotemporal'))('%s', async name => {
  const g = await golden(name);
  const config = unetFromDiffusers(g.config);
  const latents = moved(g.io.get('x')!, 'last');
  const video = latents.shape.length === 5;
  const [batch] = latents.shape as [number];
  const [height, width] = latents.shape.slice(-3) as [number, number];
  const context = g.io.get('context')!;
  const t = floats(g.io.get('t')!);
  const timesteps = shaped({...t, data: Float32Array.from({length: batch}, (_, i) => t.data[i % t.data.length]!)}, [
    batch,
  ]);
  const inputs: Record<string, HostArray> = {latents, timesteps, context: floats(context)};
  if (config.classEmbedding !== undefined) inputs.classLabels = integers(g.io.get('class_labels')!);
  if (config.addedNumbers) inputs.addedNumbers = floats(g.io.get('added_time_ids')!);
  const sizes = {batch, height, width, tokens: context.shape[1]!, ...(video ? {frames: latents.shape[1]!} : {})};
  for (const {prediction} of await run({component: 'unet', config}, g, sizes, inputs))
    expect(relativeError(prediction!.data, moved(g.io.get('y')!, 'last').data)).toBeLessThan(limit);
});

test.each(here('open-vae', 'open-vae-temporal-decoder'))('%s', async name => {
  const g = await golden(name);
  const config = autoencoderFromDiffusers(g.config);
  const pixels = moved(g.io.get('x')!, 'last');
  const [batch, height, width] = pixels.shape as [number, number, number];
  const encoded = await run({component: 'encoder', config}, g, {batch, height, width}, {pixels});
  for (const {mean} of encoded)
    expect(relativeError(mean!.data, moved(g.io.get('mean')!, 'last').data)).toBeLessThan(limit);
  const [{mean}] = encoded;
  const [, h, w, c] = mean!.shape as [number, number, number, number];
  const frames = config.temporalDecoder ? Number(g.config.num_frames) : undefined;
  const clip = frames === undefined ? [batch] : [batch / frames, frames];
  const sizes = {batch: clip[0]!, height: h, width: w, ...(frames === undefined ? {} : {frames})};
  const decoded = await run({component: 'decoder', config}, g, sizes, {rawLatents: shaped(mean!, [...clip, h, w, c])});
  for (const {pixels: found} of decoded)
    expect(relativeError(found!.data, moved(g.io.get('recon')!, 'last').data)).toBeLessThan(limit);
});

test.each(here('open-text-clip-l', 'open-text-openclip-h'))('%s', async name => {
  const g = await golden(name);
  const config = textEncoderFromTransformers(g.config);
  const ids = integers(g.io.get('ids')!);
  const sizes = {batch: ids.shape[0]!, tokens: ids.shape[1]!};
  for (const {hidden, pooled} of await run({component: 'text', config}, g, sizes, {ids}, textPathOf)) {
    expect(relativeError(hidden!.data, f32(g.io.get('last_hidden_state')!))).toBeLessThan(limit);
    expect(relativeError(pooled!.data, f32(g.io.get('pooled')!))).toBeLessThan(limit);
  }
});

/** The blocks are functions that were never meant as components: toOnnx takes them as they are. */
async function runBlock<B extends Block>(
  model: B,
  {file}: Golden,
  inputs: Record<string, HostArray>,
  forward: (given: Record<string, tf.Tensor>) => tf.Tensor,
) {
  const {tensors} = parseSafetensors(await readFile(file), file);
  const weights = [...tensors].flatMap(([key, t]) => (key.startsWith('weights.') ? [[key.slice(8), t] as const] : []));
  await loadWeights(model, sourceOf(new Map(weights), file), {pathOf: fromDiffusers});
  const traced = await toOnnx(
    forward,
    Object.entries(inputs).map(([name, {shape, dtype}]) => ({name, shape, dtype})),
    {weights: model.namedWeights()},
  );
  const target = path.join(out, `${path.basename(file)}.onnx`);
  await writeOnnx(traced, target);
  model.dispose();
  return inBothRuntimes(target, inputs);
}

const mix = {kind: 'learned', init: 0.5, per: 'layer'} as const;

test('open-block-resnet', async () => {
  const g = await golden('open-block-resnet');
  const {channels, temb, eps, num_frames: frames} = g.config as Record<string, number>;
  const spatial = {inputs: channels!, outputs: channels!, embedding: temb!, groups: 32, epsilon: eps!};
  const block = new VideoResBlock({spatial, temporal: {kernel: [3, 1, 1], alpha: mix}});
  const inputs = {x: moved(g.io.get('x')!, 'last'), temb: floats(g.io.get('temb')!)};
  const outputs = await runBlock(block, g, inputs, ({x, temb: embedding}) =>
    block.forward(x as tf.Tensor4D, silu(embedding!) as tf.Tensor2D, {frames: frames!}),
  );
  for (const {output} of outputs)
    expect(relativeError(output!.data, moved(g.io.get('y')!, 'last').data)).toBeLessThan(limit);
});

test('open-block-transformer', async () => {
  const g = await golden('open-block-transformer');
  const {channels, heads, cross_attention_dim: contextDim, num_frames: frames} = g.config as Record<string, number>;
  const options = {channels: channels!, heads: heads!, contextDim: contextDim!, groups: 32, linearProjection: true};
  const block = new VideoTransformer({...options, temporal: {alpha: mix, contextDim: contextDim!}});
  const inputs = {x: moved(g.io.get('x')!, 'last'), context: floats(g.io.get('context')!)};
  const outputs = await runBlock(block, g, inputs, ({x, context}) => {
    const [n, m, d] = context!.shape as [number, number, number];
    const clips = tf.reshape(context!, [n / frames!, frames!, m, d]);
    // The temporal layers attend to the text of each clip's first frame.
    const first: tf.Tensor3D = tf.reshape(tf.slice(clips, [0, 0, 0, 0], [-1, 1, -1, -1]), [n / frames!, m, d]);
    return block.forward(x as tf.Tensor4D, context as tf.Tensor3D, {frames: frames!}, first);
  });
  for (const {output} of outputs)
    expect(relativeError(output!.data, moved(g.io.get('y')!, 'last').data)).toBeLessThan(limit);
});

test.skipIf(checkedOpset === undefined)('the checker of python3-onnx accepts every file', () => {
  const {count, problems} = checkFolder(out);
  expect(problems).toEqual([]);
  expect(count).toBeGreaterThan(10);
});
