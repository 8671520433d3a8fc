// The reference's weights, exported: onnxruntime gives the reference's outputs.
import '@tensorflow/tfjs-backend-cpu';
import {mkdtemp, readFile, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {
  type ComponentModel,
  type ComponentSizes,
  componentFunction,
  exportComponent,
  relativeError,
  weightsFrom,
} from '../../src/export/index.ts';
import {type HostArray, openSession, runSession} from '../../src/export/runtime.ts';
import * as tf from '../../src/tf.ts';
import {f32, type HostTensor, integersOf} from '../../src/weights/host_tensor.ts';
import {textPathOf} from '../../src/weights/import_weights.ts';
import {fromDiffusers} from '../../src/weights/key_maps/diffusers.ts';
import {
  autoencoderFromDiffusers,
  textEncoderFromTransformers,
  unetFromDiffusers,
} from '../../src/weights/key_maps/diffusers_configs.ts';
import {parseSafetensors} from '../../src/weights/safetensors.ts';
import {checkedOpset, checkFolder} from './checker.ts';

const folder = path.join(import.meta.dirname, '../golden');
let out = '';

beforeAll(async () => {
  out = await mkdtemp(path.join(tmpdir(), 'onnx-golden-'));
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
  const session = await openSession(target, {logLevel: 3});
  try {
    return await runSession(session, inputs);
  } finally {
    await session.release();
  }
}

const limit = 1e-4;

test.each(['open-unet-sd1', 'open-unet-x4', 'open-unet-spatiotemporal'])('%s', async name => {
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
  const {prediction} = await run({component: 'unet', config}, g, sizes, inputs);
  expect(relativeError(prediction!.data, moved(g.io.get('y')!, 'last').data)).toBeLessThan(limit);
});

test.each(['open-vae', 'open-vae-temporal-decoder'])('%s', async name => {
  const g = await golden(name);
  const config = autoencoderFromDiffusers(g.config);
  const pixels = moved(g.io.get('x')!, 'last');
  const [batch, height, width] = pixels.shape as [number, number, number];
  const encoded = await run({component: 'encoder', config}, g, {batch, height, width}, {pixels});
  expect(relativeError(encoded.mean!.data, moved(g.io.get('mean')!, 'last').data)).toBeLessThan(limit);
  const {mean} = encoded;
  const [, h, w, c] = mean!.shape as [number, number, number, number];
  const frames = config.temporalDecoder ? Number(g.config.num_frames) : undefined;
  const clip = frames === undefined ? [batch] : [batch / frames, frames];
  const sizes = {batch: clip[0]!, height: h, width: w, ...(frames === undefined ? {} : {frames})};
  const decoded = await run({component: 'decoder', config}, g, sizes, {rawLatents: shaped(mean!, [...clip, h, w, c])});
  expect(relativeError(decoded.pixels!.data, moved(g.io.get('recon')!, 'last').data)).toBeLessThan(limit);
});

test.each(['open-text-clip-l', 'open-text-openclip-h'])('%s', async name => {
  const g = await golden(name);
  const config = textEncoderFromTransformers(g.config);
  const ids = integers(g.io.get('ids')!);
  const sizes = {batch: ids.shape[0]!, tokens: ids.shape[1]!};
  const {hidden, pooled} = await run({component: 'text', config}, g, sizes, {ids}, textPathOf);
  expect(relativeError(hidden!.data, f32(g.io.get('last_hidden_state')!))).toBeLessThan(limit);
  expect(relativeError(pooled!.data, f32(g.io.get('pooled')!))).toBeLessThan(limit);
});

test.skipIf(checkedOpset === undefined)('the checker of python3-onnx accepts every file', () => {
  const {count, problems} = checkFolder(out);
  expect(problems).toEqual([]);
  expect(count).toBeGreaterThan(8);
});
