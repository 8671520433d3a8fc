// Options of the diffusion stages: starting from a published model by one line, fine-tuning its text encoder (DreamBooth), still
// images among clips, weighting, offset noise, zero-terminal SNR, text embeddings made beforehand.
import path from 'node:path';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {loadLatest} from '../../checkpoints/index.ts';
import {batches, type VideoBatch} from '../../datasets/index.ts';
import {writeShapeShards} from '../../scripts/moving_shapes.ts';
import {stageSchemas} from '../../src/config/schema.ts';
import {makeSchedule} from '../../src/diffusion/index.ts';
import {openEngine} from '../../src/engine/index.ts';
import * as tf from '../../src/tf.ts';
import {encodeShards} from '../../trainers/encode/encode.ts';
import {loadRun} from '../../trainers/index.ts';
import {openConditioning} from '../../trainers/inputs/conditions.ts';
import {trainingData} from '../../trainers/inputs/data.ts';
import {drawDiffusion} from '../../trainers/inputs/latents.ts';
import {type buildAutoencoder, readFrozen} from '../../trainers/parents/frozen.ts';
import {runFolderAt} from '../../trainers/run/run_folder.ts';
import {train} from '../../trainers/train.ts';
import {type MicroData, microConfig, microData} from '../helpers/micro_runs.ts';
import {writeModelFolder} from '../helpers/model_folders.ts';

const MINUTES = 60_000;
let data: MicroData;
let root = '';
let imported = '';
const quiet = {logStyle: 'json'} as const;

beforeAll(async () => {
  const made = await microData();
  const shards = path.join(made.folder, 'shapes');
  const clips = {frames: 4, size: 16, fps: 6, pace: 0.09};
  data = {
    ...made,
    train: await writeShapeShards(shards, 'train', {...clips, count: 8, seed: 1}),
    heldOut: await writeShapeShards(shards, 'validation', {...clips, count: 2, seed: 2}),
  };
  root = path.join(data.folder, 'runs');
  imported = await writeModelFolder(path.join(data.folder, 'imported'));
  await openEngine('wasm');
}, MINUTES);
afterAll(() => data?.remove());

function config(stage: 'image' | 'temporal', name: string, change: object): object {
  const {unet: _, ...rest} = microConfig(stage, data, {root, name, steps: 3}) as Record<string, unknown>;
  return {...rest, from: imported, ...change};
}
const image = (name: string, change: object = {}) => stageSchemas.image.parse(config('image', name, change));
const temporal = (name: string, change: object = {}) => stageSchemas.temporal.parse(config('temporal', name, change));
const slotsOf = async (name: string) => [
  ...(await loadLatest(path.join(root, name, 'checkpoints')))!.state.weights.keys(),
];

test(
  'a published model is gone on from by one line, its text encoder frozen; DreamBooth trains it, on two kinds of images',
  async () => {
    await train(image('webvid', {loss: {weighting: 'min-snr', offsetNoise: 0.1}}), quiet);
    const names = await slotsOf('webvid');
    expect(names.some(name => name.startsWith('conditions.'))).toBe(false);
    const before = await loadRun(path.join(root, 'webvid'), 'raw');
    expect(before.conditions!.config.text!.encoder.channels).toBe(8);
    expect(before.diffusion!.prediction).toBe('v');

    const sources = [
      {shards: data.train, kind: 'images', caption: 'a photo of a sks disc'},
      {shards: data.heldOut, kind: 'images', caption: 'a photo of a disc', weight: 2},
    ];
    const own = config('image', 'dreambooth', {}) as {data: object};
    await train(
      image('dreambooth', {
        from: path.join(root, 'webvid'),
        data: {...own.data, train: sources},
        conditions: {drop: 0, text: {train: true}},
      }),
      quiet,
    );
    const after = await loadRun(path.join(root, 'dreambooth'), 'raw');
    const moved = (name: string) =>
      after
        .conditions!.weights.get(name)!
        .data.some((value, i) => value !== before.conditions!.weights.get(name)!.data[i]);
    const text = [...before.conditions!.weights.keys()];
    expect(text.length).toBeGreaterThan(30);
    // The last layer's keys have a bias that a softmax over them does not see; all else moves.
    expect(text.filter(name => !moved(name) && !name.endsWith('k_proj.bias'))).toEqual([]);

    // The video model of the DreamBooth model keeps its text encoder, and trains layers over time alone.
    await train(temporal('video', {from: path.join(root, 'dreambooth')}), quiet);
    const averaged = await loadRun(path.join(root, 'dreambooth'));
    const video = await loadRun(path.join(root, 'video'));
    for (const name of text)
      expect(video.conditions!.weights.get(name)!.data).toEqual(averaged.conditions!.weights.get(name)!.data);
  },
  2 * MINUTES,
);

test(
  'still images among clips train the spatial layers with alpha = 1; where these are frozen they are refused',
  async () => {
    const {data: own} = temporal('mixed');
    const mixed = {
      ...own,
      train: [{shards: data.train}, {shards: data.heldOut, kind: 'images'}],
      buckets: [{frames: 4}, {frames: 1}],
    };
    await expect(train(temporal('refused', {data: mixed, train: {steps: 8}}), quiet)).rejects.toThrow(
      'set trains to "all"',
    );
    const {step} = await train(temporal('mixed', {data: mixed, trains: 'all', train: {steps: 8}}), quiet);
    expect(step).toBe(8);
    expect(await slotsOf('mixed')).toContain('conv_in.weight');
  },
  2 * MINUTES,
);

test(
  'a video model without image pre-training is described by its stage alone',
  async () => {
    const {unet} = microConfig('image', data, {root}) as {unet: object};
    const conditions = {text: {encoder: {channels: 8, layers: 1, heads: 2, tokens: 8, vocabulary: 64}}};
    const whole = temporal('scratch', {from: path.join(imported, 'vae'), unet, trains: 'all', conditions});
    await train(whole, quiet);
    const run = await loadRun(path.join(root, 'scratch'));
    expect(run.unet!.config).toMatchObject({crossAttentionDim: 8, temporal: {conv: true}});
    expect([...run.conditions!.weights.keys()]).toContain('text_encoder.final_layer_norm.weight');
    await expect(train(temporal('none', {from: path.join(imported, 'vae'), unet}), quiet)).rejects.toThrow(
      'trains: all',
    );
  },
  MINUTES,
);

const batch: VideoBatch = {
  kind: 'clips',
  frames: new Uint8Array(2 * 4 * 16 * 16 * 3),
  shape: [2, 4, 16, 16, 3],
  keys: ['a', 'b'],
  captions: [undefined, undefined],
  fps: [6, 6],
  labels: [{}, {}],
  boxes: [[], []],
  metadata: [{}, {}],
  position: null,
  waitedMs: 0,
};

test('offset noise is shared by a clip per channel, and zero-terminal SNR wants v', () => {
  const shared = (offset: number) =>
    tf.tidy(() => {
      const autoencoder = {
        encode: (x: tf.Tensor4D) => ({
          mean: tf.zeros([x.shape[0], 2, 2, 4]),
          logvar: tf.fill([x.shape[0], 2, 2, 4], -30),
        }),
      };
      const {noise} = drawDiffusion({
        autoencoder: autoencoder as ReturnType<typeof buildAutoencoder>,
        frozen: {scaleFactor: 1},
        batch,
        schedule: makeSchedule({kind: 'linear', betaStart: 1e-4, betaEnd: 0.02}),
        random: {seed: 3, place: {step: 1, microBatch: 0}},
        framesAre: 'clip',
        offset,
      });
      return noise.arraySync() as number[][][][][];
    });
  const [plain, moved] = [shared(0), shared(0.5)];
  const difference = (b: number, t: number, y: number, c: number) =>
    moved[b]![t]![y]![0]![c]! - plain[b]![t]![y]![0]![c]!;
  expect(difference(0, 0, 0, 1)).toBeCloseTo(difference(0, 3, 1, 1), 5);
  expect(Math.abs(difference(0, 0, 0, 1))).toBeGreaterThan(1e-4);
  expect(difference(0, 0, 0, 1)).not.toBeCloseTo(difference(1, 0, 0, 1), 3);
  expect(difference(0, 0, 0, 1)).not.toBeCloseTo(difference(0, 0, 0, 2), 3);
  expect(() => image('terminal', {diffusion: {schedule: {zeroTerminalSnr: true}}})).toThrow(/set prediction to v/);
  expect(
    image('terminal', {diffusion: {schedule: {zeroTerminalSnr: true}, prediction: 'v'}}).diffusion!.prediction,
  ).toBe('v');
});

test(
  'text embeddings made beforehand are what the frozen encoder says, and the empty text where it is dropped',
  async () => {
    const out = path.join(data.folder, 'encoded');
    await encodeShards({
      shards: [data.train],
      from: imported,
      out,
      height: 16,
      width: 16,
      maxFrames: 8,
      batch: 8,
      workers: 1,
      rank: 0,
      ranks: 1,
      onBadSample: 'stop',
      overwrite: false,
      engine: 'wasm',
    } as Parameters<typeof encodeShards>[0]);
    const own = temporal('latents', {}).data;
    const shard = path.join(out, path.basename(data.train));
    const latents = temporal('latents', {data: {...own, train: [shard], heldOut: [shard]}});
    await train(latents, quiet);
    const frozen = (await readFrozen(runFolderAt(path.join(root, 'latents')).frozen))!;
    const source = batches(trainingData(latents, frozen), {seed: 1});
    const {value: batch} = await source.next();
    await source.return(undefined);
    expect(batch!.text!.shape).toEqual([2, 77, 8]);
    const {conditions} = frozen;
    const drop = {all: 0.5, text: 0, labels: 0, boxes: 0, fps: 0};
    const conditioning = openConditioning({...conditions!, drop}, {seed: 1, train: false})!;
    let dropped = 0;
    for (let step = 0; step < 8; step++) {
      const random = {seed: 5, place: {step, microBatch: 0}};
      const {text: _, ...withoutText} = batch!;
      const error = tf.tidy(() => {
        const [made, now] = [
          conditioning.prepare(batch!, 'clips', random),
          conditioning.prepare(withoutText, 'clips', random),
        ];
        const none = conditioning.tensors([{}, {}]).text!;
        const away = tf.max(tf.abs(tf.sub(made.text!, none)), [1, 2]).dataSync();
        dropped += away.filter(distance => distance < 1e-6).length;
        return tf.max(tf.abs(tf.sub(made.text!, now.text!))).dataSync()[0]!;
      });
      expect(error).toBeLessThan(5e-3);
    }
    expect(dropped).toBeGreaterThan(0);
    expect(dropped).toBeLessThan(16);
    conditioning.dispose();
  },
  2 * MINUTES,
);
