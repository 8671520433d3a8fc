// The step of every stage, with the options that add operations to it, can be captured: the torch engine refuses on the CPU what
// a graph could not hold. Captured or not, it ends in the same bytes.
import {mkdtempSync, rmSync} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {isBuilt} from '../../packages/tfjs-backend-torch/src/built.ts';
import {writeShapeShards} from '../../scripts/moving_shapes.ts';
import {stageSchemas} from '../../src/config/schema.ts';
import {openEngine} from '../../src/engine/index.ts';
import {Lpips} from '../../src/models/index.ts';
import * as tf from '../../src/tf.ts';
import {tensorsToWrite} from '../../src/weights/export_weights.ts';
import {writeSafetensors} from '../../src/weights/safetensors.ts';
import {perShape} from '../../trainers/step/per_shape.ts';
import {train} from '../../trainers/train.ts';
import {finalBytes, type MicroData, type MicroStage, microConfig} from '../helpers/micro_runs.ts';

const MINUTES = 60_000;
const STEPS = 4;
const clips = {frames: 17, size: 16, fps: 24, pace: 0.05};
const discriminator = {channels: 4, layers: 1};
const adversarial = {startStep: 1, optimizer: {learningRate: 1e-3}};
const conditions = {
  drop: 0.2,
  text: {encoder: {channels: 8, layers: 1, heads: 2, tokens: 8, vocabulary: 64}, learningRate: 5e-4},
  labels: {classes: {direction: {values: ['left', 'right', 'up', 'down']}}},
  boxes: {classes: ['square', 'disc'], max: 2},
  fps: {},
};

/** In the order of the pipeline; each starts from the captured run before it. */
const cases: [stage: MicroStage, options: object][] = [
  ['autoencoder', {loss: {adversarial: {...adversarial, discriminator}}, train: {steps: STEPS, accumulate: 2}}],
  ['image', {conditions, loss: {weighting: 'min-snr', offsetNoise: 0.1}}],
  ['temporal', {train: {steps: STEPS, gradientCheckpointing: 'all', accumulate: 2}}],
  ['prediction', {}],
  ['interpolation', {}],
  [
    'decoder',
    {
      trains: 'decoder',
      loss: {
        flicker: 1,
        adversarial: {
          ...adversarial,
          adaptive: false,
          video: {channels: 4, layers: 2, temporalLayers: 1},
          image: discriminator,
        },
      },
    },
  ],
  ['upsampler-image', {conditions: {...conditions, boxes: undefined}}],
  ['upsampler', {train: {steps: STEPS, gradientCheckpointing: true}}],
];

describe.skipIf(!isBuilt())('a stage on the torch engine', () => {
  let data: MicroData;
  const runsIn = (name: string) => path.join(data.folder, name);
  const trained = async (stage: MicroStage, root: string, options: object, capture: 'auto' | 'off') => {
    const config = {
      ...microConfig(stage, data, {root: runsIn(root), parents: runsIn('auto'), engine: 'torch', steps: STEPS}),
      ...options,
    } as {train?: object};
    const before = tf.memory().numTensors;
    await train(stageSchemas[stage].parse({...config, train: {steps: STEPS, ...config.train, capture}}), {
      logStyle: 'json',
    });
    expect(tf.memory().numTensors, 'tensors left behind').toBe(before);
    return finalBytes(path.join(runsIn(root), stage));
  };

  beforeAll(async () => {
    // Drawn: a machine without a video decoder can run this.
    const folder = mkdtempSync(path.join(os.tmpdir(), 'video-ldm-step-'));
    const shards = path.join(folder, 'shapes');
    data = {
      folder,
      remove: () => rmSync(folder, {recursive: true, force: true}),
      train: await writeShapeShards(shards, 'train', {...clips, count: 8, seed: 1}),
      heldOut: await writeShapeShards(shards, 'validation', {...clips, count: 2, seed: 2}),
    };
    await openEngine('torch');
  }, MINUTES);
  afterAll(() => data?.remove());

  test.each(cases)(
    '%s',
    async (stage, options) => {
      const captured = await trained(stage, 'auto', options, 'auto');
      expect(await trained(stage, 'off', options, 'off')).toEqual(captured);
    },
    MINUTES,
  );

  test('what cannot be captured is named, with the option that switches capturing off', async () => {
    const {capture} = await openEngine('torch');
    const reads = perShape(capture, ({x}: {x: tf.Tensor}) => tf.scalar(x.dataSync()[0]!));
    expect(() => tf.tidy(() => reads({x: tf.ones([3])}))).toThrow(
      /^The training step cannot be captured on this engine: A read of float32\[3\] is not possible .* Set train.capture to off/,
    );
    const fails = perShape(capture, ({x}: {x: tf.Tensor}) => tf.reshape(x, [7]));
    expect(() => tf.tidy(() => fails({x: tf.ones([3])}))).toThrow(/^(?!The training step)/);
    for (const step of [reads, fails]) step.dispose();
  });

  test(
    'with LPIPS',
    async () => {
      const weights = path.join(data.folder, 'lpips.safetensors');
      const lpips = new Lpips().allocate(1);
      await writeSafetensors(weights, [...tensorsToWrite(lpips)]);
      lpips.dispose();
      const options = {loss: {perceptual: {weights: [weights]}}, train: {steps: 2}};
      const {model} = await trained('autoencoder', 'lpips', options, 'auto');
      expect(model).not.toEqual((await trained('autoencoder', 'plain', {train: {steps: 2}}, 'auto')).model);
    },
    MINUTES,
  );
});
