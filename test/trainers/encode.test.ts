// Latents and text embeddings made beforehand: they are what the encoders would say, any kill leaves whole shards, trainers
// take them in place of pixels and refuse another encoder's.
import {once} from 'node:events';
import {existsSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import {beforeAll, expect, test} from 'vitest';
import {batches, type DataConfig, inspectShards, type VideoBatch} from '../../datasets/index.ts';
import {parseConfig} from '../../src/config/load.ts';
import {openEngine} from '../../src/engine/index.ts';
import {TextEncoder, Tokenizer} from '../../src/models/index.ts';
import * as tf from '../../src/tf.ts';
import {encodeShards, train} from '../../trainers/index.ts';
import {trainingData} from '../../trainers/inputs/data.ts';
import {batchPosterior, encodeBatch} from '../../trainers/inputs/latents.ts';
import {allocateExactly, buildAutoencoder} from '../../trainers/parents/frozen.ts';
import {loadParent} from '../../trainers/parents/load_run.ts';
import {scratch, shardsOf} from '../datasets/fixtures.ts';
import {command, start} from '../helpers/micro_runs.ts';
import {writeModelFolder} from '../helpers/model_folders.ts';

const MINUTES = 60_000;
let models = '';
let shards: string[] = [];
const size = {width: 16, height: 16};
const common = {
  ...size,
  maxFrames: 5,
  batch: 3,
  workers: 1,
  rank: 0,
  ranks: 1,
  onBadSample: 'skip',
  overwrite: false,
} as const;

/** Frames that get brighter, at 8 frames per second. */
async function clip(frames: number, from: number): Promise<Uint8Array> {
  const data = new Uint8Array(frames * 16 * 16 * 3).map((_, i) => (from + 20 * Math.floor(i / 768) + (i % 7)) % 256);
  const raw = {width: 16, height: 16 * frames, channels: 3, pageHeight: 16} as const;
  const delay = Array(frames).fill(125);
  return sharp(data, {raw}).webp({lossless: true, delay, loop: 0}).toBuffer();
}

beforeAll(async () => {
  models = await writeModelFolder(path.join(scratch(), 'sd'));
  const still = await sharp({create: {width: 20, height: 16, channels: 3, background: '#369'}})
    .png()
    .toBuffer();
  const boxes = [{frame: 1, xyxy: [4, 4, 12, 8], class: 'car'}];
  shards = await shardsOf(
    [
      ['a', {webp: await clip(5, 0), txt: 'a light', json: JSON.stringify({night: 1, fps: 8, boxes})}],
      ['b', {webp: await clip(5, 40), txt: 'hello world'}],
      ['bad', {webp: 'no picture'}],
      ['c', {webp: await clip(8, 80)}],
      ['d', {png: still, txt: 'blue'}],
    ],
    2,
  );
  await openEngine('wasm');
}, MINUTES);

const encode = (out: string, more: Partial<Parameters<typeof encodeShards>[0]> = {}) =>
  encodeShards({...common, shards, from: models, out, engine: 'wasm', ...more});

async function take(config: DataConfig, count: number): Promise<VideoBatch[]> {
  const taken: VideoBatch[] = [];
  for await (const batch of batches({repeat: false, shuffle: 0, ...config}, {seed: 3})) {
    taken.push(batch);
    if (taken.length === count) break;
  }
  return taken;
}

const namesOf = (folder: string) =>
  readdirSync(folder)
    .filter(name => name.endsWith('.tar'))
    .sort();
const bytesOf = (folder: string) =>
  namesOf(folder).map(name => readFileSync(path.join(folder, name)).toString('base64'));

test(
  'latent shards hold what the encoders say, to half precision, and read like shards of pixels',
  async () => {
    const out = scratch();
    const report = await encode(out);
    // The third shard's only two samples: a clip of eight frames in two pieces, and a still.
    expect(report).toMatchObject({shards: 3, skipped: 0, samples: 5, frames: 19});
    expect(report.bad.map(({key, reason}) => [key, reason])).toEqual([['bad', 'unreadable']]);
    const parent = await loadParent(models);
    const autoencoder = buildAutoencoder({autoencoder: parent.autoencoder!});
    const text = parent.text!;
    const tokenizer = new Tokenizer(text.tokenizer, text.tokenizerOptions);
    const textEncoder = allocateExactly(new TextEncoder(text.config), text.weights, 'text encoder');

    const config = {...size, frames: 4, fps: 8, batchSize: 2};
    const pixels = await take({...config, shards: shards[0]!}, 1);
    const made = namesOf(out).map(name => path.join(out, name));
    const encoders = {latents: {encoder: report.encoder}, text: {encoder: report.text!}};
    const latents = await take({...config, shards: made[0]!, ...encoders}, 1);
    const [a, b] = [pixels[0]!, latents[0]!];
    expect(b.keys).toEqual(a.keys);
    expect([b.captions, b.fps, b.labels, b.shape, b.kind]).toEqual([a.captions, a.fps, a.labels, a.shape, a.kind]);
    expect(b.boxes).toEqual(a.boxes);
    expect(b.boxes[0]).toEqual([{frame: expect.any(Number), xyxy: [0.25, 0.25, 0.75, 0.5], class: 'car'}]);
    expect(b.frames).toHaveLength(0);
    expect(b.latents?.shape).toEqual([2, 4, 8, 8, 4]);
    const expected = batchPosterior(autoencoder, a);
    const own = batchPosterior(autoencoder, b);
    for (const part of ['mean', 'logvar'] as const) {
      const [x, y] = [await expected[part].data(), await own[part].data()];
      // Half a unit of the 11 bits of F16, and the order of summation.
      for (let i = 0; i < x.length; i++) expect(Math.abs(x[i]! - y[i]!)).toBeLessThan(1e-5 + Math.abs(x[i]!) / 2000);
    }
    expect((await encodeBatch(autoencoder, 1, b).data()).some(value => value !== 0)).toBe(true);
    const ids = a.captions.flatMap(caption => [...tokenizer.encodePadded(caption!)]);
    const hidden = await textEncoder.forward(tf.tensor2d(ids, [2, tokenizer.length], 'int32')).hidden.data();
    expect(b.text?.shape).toEqual([2, tokenizer.length, text.config.channels]);
    for (const [i, value] of b.text!.hidden.entries())
      expect(Math.abs(value - hidden[i]!)).toBeLessThan(1e-5 + Math.abs(value) / 1000);

    // Two frames of each, four apart in the sample's five: at a quarter of the rate.
    const slow = await take({...config, shards: made[0]!, frames: 2, fps: 2, ...encoders}, 1);
    expect(slow[0]?.fps).toEqual([2, 2]);
    const stills = await take({...config, frames: 1, shards: made[2]!, ...encoders, batchSize: 3}, 1);
    expect(stills[0]).toMatchObject({kind: 'images', keys: expect.arrayContaining(['d'])});
    expect(stills[0]?.fps.at(-1)).toBe(0);
    expect(await inspectShards({shards: made})).toMatchObject({samples: 5, kinds: {'latents.safetensors': 5}, bad: []});
  },
  MINUTES,
);

test(
  'latents of another encoder, another size, or where pixels are needed are refused by name',
  async () => {
    const out = scratch();
    const {encoder} = await encode(out, {shards: [shards[0]!], text: false});
    const made = path.join(out, namesOf(out)[0]!);
    const config = {...size, frames: 4, batchSize: 1, shards: made};
    await expect(take(config, 1)).rejects.toThrow(
      /Sample a of shard .* holds latents, but this stage trains on pixels/,
    );
    await expect(take({...config, latents: {encoder: 'f'.repeat(64)}}, 1)).rejects.toThrow(
      new RegExp(`holds latents of the encoder ${encoder.slice(0, 12)}, but this run's is ffffffffffff`),
    );
    await expect(take({...config, latents: {encoder}, height: 32}, 1)).rejects.toThrow(
      /latents are of frames of 16x16, the data's size is 16x32/,
    );
    await expect(take({...config, latents: {encoder}, flip: true}, 1)).rejects.toThrow(/cannot be cropped or mirrored/);
    await expect(encode(out, {width: 32, text: false})).rejects.toThrow(/was encoded with another size or frame rate/);
    await expect(encode(scratch(), {height: 15})).rejects.toThrow(/15x16 must be a multiple of 2/);
    await expect(encode(scratch(), {onBadSample: 'stop'})).rejects.toThrow(/Sample bad of shard .*unreadable/);
  },
  MINUTES,
);

test(
  'a stage trains on latents as on pixels',
  async () => {
    const out = scratch();
    await encode(out, {text: false});
    const config = (train: string, name: string) =>
      parseConfig(
        `{stage: image, run: {name: ${name}, root: ${scratch()}}, from: ${models}, optimizer: {learningRate: 1e-3}, train: {steps: 2}, engine: {name: wasm},` +
          ` heldOut: {clips: 2, timesteps: 2}, data: {train: ['${train}'], heldOut: ['${train}'], frames: 4, size: [16, 16], batchSize: 2}}`,
        'test.yaml',
      );
    const shard = (folder: string) => path.join(folder, 'made-000000.tar');
    const pixels = await train(config(shards[0]!, 'pixels'), {logStyle: 'json'});
    const latents = await train(config(shard(out), 'latents'), {logStyle: 'json'});
    expect(latents.metrics.loss).toBeGreaterThan(0);
    expect(Math.abs(latents.metrics.loss! / pixels.metrics.loss! - 1)).toBeLessThan(1e-3);
    // The frozen weights decide whose latents they are.
    const parent = await loadParent(models);
    const weights = new Map(parent.autoencoder!.weights);
    const [name, tensor] = [...weights].find(([path]) => path.startsWith('encoder.'))!;
    weights.set(name, {...tensor, data: tensor.data.map(value => value * 1.0001)});
    const changed = {config: parent.autoencoder!.config, weights};
    const data = trainingData(config(shard(out), 'changed'), {autoencoder: changed});
    await expect(take(data, 1)).rejects.toThrow(/holds latents of the encoder/);
  },
  MINUTES,
);

/** The command that encodes all shards. */
const args = (out: string) => [
  'encode',
  ...shards,
  '--from',
  models,
  '--out',
  out,
  '--size',
  '16',
  '16',
  '--engine',
  'wasm',
  '--frames',
  '5',
  '--batch',
  '3',
];

test(
  'killed at any moment and run again, the shards have the bytes of the run that nobody stopped',
  async () => {
    const [whole, killed] = [scratch(), scratch()];
    const began = performance.now();
    expect(command(...args(whole))).toMatchObject({status: 0, stderr: ''});
    const lasted = performance.now() - began;
    for (const moment of [0.5, 0.8, 0.95]) {
      const child = start(...args(killed));
      const exited = once(child, 'exit');
      await new Promise(resolve => setTimeout(resolve, moment * lasted));
      child.kill('SIGKILL');
      await exited;
    }
    expect(command(...args(killed))).toMatchObject({status: 0, stderr: ''});
    expect(bytesOf(killed)).toEqual(bytesOf(whole));
    // Only what is not whole is made again.
    const [first, second] = namesOf(killed).map(name => path.join(killed, name));
    rmSync(`${first}.json`);
    writeFileSync(second!, readFileSync(second!).subarray(0, 700));
    expect(command(...args(killed)).stdout).toContain('5 samples in 3 shards (1 were there), 1 bad');
    expect(bytesOf(killed)).toEqual(bytesOf(whole));
    expect(existsSync(path.join(killed, 'report.json'))).toBe(true);
  },
  4 * MINUTES,
);

test(
  'ranks of one machine share the shards; what they make together are the same bytes',
  async () => {
    const [whole, shared] = [scratch(), scratch()];
    expect(command(...args(whole))).toMatchObject({status: 0, stderr: ''});
    const {status, stdout, stderr} = command(...args(shared), '--ranks', '2');
    expect({status, stderr}).toEqual({status: 0, stderr: ''});
    expect(bytesOf(shared)).toEqual(bytesOf(whole));
    expect(stdout).toContain('in 2 shards (0 were there)');
    expect(stdout).toContain('in 1 shards (0 were there)');
    // One of two that were started by hand.
    const second = scratch();
    expect(command(...args(second), '--ranks', '2', '--rank', '1')).toMatchObject({status: 0, stderr: ''});
    expect(namesOf(second)).toEqual([namesOf(whole)[1]]);
    expect(existsSync(path.join(second, 'report-1-of-2.json'))).toBe(true);
  },
  MINUTES,
);
