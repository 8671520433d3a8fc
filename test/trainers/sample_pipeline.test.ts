// A whole pipeline through one file: image model, prediction, two interpolations, tuned decoder, upsampler; and temporal
// layers on the spatial layers of another image model, with two texts where the text encoders differ.
import {readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {mergeSampling} from '../../src/config/pipeline.ts';
import {openEngine} from '../../src/engine/index.ts';
import {ConditionEncoder, type ConditionsConfig, UNet, type UNetConfig} from '../../src/models/index.ts';
import * as tf from '../../src/tf.ts';
import {sampleRun} from '../../trainers/index.ts';
import type {Weights} from '../../trainers/parents/parts.ts';
import {buildModels, encodeConditions} from '../../trainers/sampling/build_models.ts';
import {type HostDiffusion, withSpatialOf} from '../../trainers/sampling/host_parts.ts';
import {command, type MicroData, microConfig, microData, microStages, writeConfig} from '../helpers/micro_runs.ts';
import {shake, tinyTemporal, tinyUNet} from '../models/tiny.ts';

const MINUTES = 60_000;
let data: MicroData;
let root = '';
const at = (...names: string[]) => path.join(root, ...names);

beforeAll(async () => {
  data = await microData();
  root = path.join(data.folder, 'runs');
  for (const stage of microStages) {
    const file = writeConfig(data.folder, stage, microConfig(stage, data, {root, steps: 1, checkpointEvery: 1}));
    expect(command('train', file).stderr).not.toMatch(/video-ldm:/);
  }
}, 6 * MINUTES);
afterAll(() => data?.remove());

const quiet = {engine: 'wasm', format: 'png', onProgress: () => undefined} as const;
const made = (file: string) => JSON.parse(readFileSync(`${file}.json`, 'utf8')).made as Record<string, number>;

function pipelineFile(name: string, parts: Partial<Record<string, string>>): string {
  const file = path.join(data.folder, `${name}.yaml`);
  const lines = Object.entries(parts).map(([part, run]) => `${part}: ${at(run!)}`);
  writeFileSync(file, `pipeline: video\n${lines.join('\n')}\nsampling: {steps: 1, fps: 2}\n`);
  return file;
}

test(
  'key frames, interpolated twice, decoded over time, enlarged: frames, size and rate',
  async () => {
    const run = pipelineFile('whole', {
      keyFrames: 'temporal',
      interpolation: 'interpolation',
      decoder: 'decoder',
      upsampler: 'upsampler',
    });
    const parts: string[] = [];
    let last = 0;
    const {files} = await sampleRun({
      run,
      out: at('whole'),
      ...quiet,
      onShare: ({part, done}) => {
        if (parts.at(-1) !== part) parts.push(part);
        expect(done).toBeGreaterThanOrEqual(last);
        last = done;
      },
    });
    expect(made(files[0]!)).toEqual({frames: 49, height: 32, width: 32, fps: 32});
    expect(parts).toEqual(['key frames', 'interpolation', 'decoding', 'upsampling']);
    expect(last).toBeCloseTo(1, 5);
    const again = await sampleRun({like: files[0]!, out: at('whole-again'), ...quiet});
    expect(readFileSync(path.join(again.files[0]!, '0030.png'))).toEqual(
      readFileSync(path.join(files[0]!, '0030.png')),
    );
  },
  MINUTES,
);

test(
  'an image model and a prediction model: one frame, then as long as asked; a given image instead',
  async () => {
    const run = pipelineFile('predicted', {keyFrames: 'image', prediction: 'prediction'});
    const {files} = await sampleRun({run, out: at('predicted'), ...quiet, sampling: {frames: 9, contextGuidance: 2}});
    expect(made(files[0]!)).toEqual({frames: 9, height: 16, width: 16, fps: 2});
    const image = path.join(data.folder, 'start.png');
    await sharp({create: {width: 40, height: 20, channels: 3, background: {r: 250, g: 20, b: 20}}})
      .png()
      .toFile(image);
    const begun = await sampleRun({run, out: at('begun'), ...quiet, sampling: {frames: 4, image}});
    const whole = await sampleRun({run, out: at('begun'), ...quiet, sampling: {frames: 4}});
    expect(readFileSync(path.join(begun.files[0]!, '0000.png'))).not.toEqual(
      readFileSync(path.join(whole.files[0]!, '0000.png')),
    );
    for (const [sampling, answer] of [
      [{frames: 3000}, /would be asked \d+ times for one video/],
      [{frames: 4, image: at('none.png')}, /The image .*none\.png is not there/],
      [{frames: 4, image: path.join(data.folder, 'image.yaml')}, /image\.yaml cannot be read/],
      [{noiseLevel: 5}, /need an upsampler/],
    ] as const)
      await expect(sampleRun({run, out: at('never'), ...quiet, sampling})).rejects.toThrow(answer);
  },
  MINUTES,
);

test(
  'temporal layers on the spatial layers of another image run',
  async () => {
    const file = writeConfig(data.folder, 'fine-tuned', {
      ...(microConfig('image', data, {root, name: 'fine-tuned', steps: 3, checkpointEvery: 3}) as object),
      run: {name: 'fine-tuned', root, seed: 9},
    });
    expect(command('train', file).status).toBe(0);
    const run = pipelineFile('personal', {keyFrames: 'temporal', spatial: 'fine-tuned'});
    const plain = await sampleRun({run: at('temporal'), out: at('plain'), ...quiet, sampling: {steps: 1, fps: 2}});
    const personal = await sampleRun({run, out: at('personal'), ...quiet});
    expect(readFileSync(path.join(personal.files[0]!, '0000.png'))).not.toEqual(
      readFileSync(path.join(plain.files[0]!, '0000.png')),
    );
  },
  2 * MINUTES,
);

describe('two text encoders', () => {
  const conditions = (channels: number): ConditionsConfig => ({
    dim: channels,
    text: {
      encoder: {
        ...{vocabulary: 50, tokens: 6, channels, hidden: 4 * channels, layers: 1, heads: 1},
        activation: 'gelu',
        endToken: 49,
      },
      tokenizer: {kind: 'words'},
    },
  });
  const weightsOf = (model: UNet | ConditionEncoder, seed: number): Weights => {
    model.allocate(seed);
    shake(model.namedWeights(), 0.1);
    const weights: Weights = new Map(
      model
        .weightSpecs()
        .map(({path: name, shape, layout}) => [
          name,
          {shape, layout, data: Float32Array.from(model.namedWeights().get(name)!.dataSync())},
        ]),
    );
    model.dispose();
    return weights;
  };
  const host = (name: string, config: UNetConfig, seed: number): HostDiffusion => {
    const own = conditions(config.crossAttentionDim!);
    return {
      ...{path: name, checkpoint: name, step: 1, stage: config.temporal ? 'temporal' : 'image'},
      unet: {config, weights: weightsOf(new UNet(config), seed)},
      conditions: {
        config: own,
        weights: weightsOf(new ConditionEncoder(own), seed),
        drop: {all: 0.1, text: 0, labels: 0, boxes: 0, fps: 0},
        textTrains: false,
      },
      diffusion: {
        schedule: {kind: 'linear', betaStart: 1e-4, betaEnd: 0.02, steps: 10, zeroTerminalSnr: false},
        prediction: 'eps',
      },
    };
  };
  const video: UNetConfig = {...tinyUNet, temporal: tinyTemporal};

  test('each layer gets its own text, of its own width', async () => {
    await openEngine('wasm');
    const [over, image] = [host('video', video, 1), host('personal', {...tinyUNet, crossAttentionDim: 4}, 2)];
    const {unet, ownText} = withSpatialOf(over, image);
    expect(ownText).toBe(true);
    expect(unet.config).toMatchObject({crossAttentionDim: 4, temporal: {contextDim: 6}});
    const autoencoder = {
      config: {channels: [8, 8], layersPerBlock: 1, latentChannels: 4, normGroups: 4, midAttention: false},
      weights: new Map(),
    };
    const pipeline = {keyFrames: {...over, autoencoder, scaleFactor: 1}, spatial: image};
    const models = buildModels(pipeline, mergeSampling({}, {}), 3);
    const told = encodeConditions(models.keyFrames, {prompt: 'a red car'}, {fps: 8});
    expect(told.conditions.context?.shape).toEqual([1, 6, 4]);
    expect(told.conditions.temporalContext?.shape).toEqual([1, 6, 6]);
    const {unet: model} = models.keyFrames.model;
    const inputs = {latents: tf.ones([1, 3, 4, 4, 4]), timesteps: tf.tensor1d([5], 'int32')};
    expect(model.forward({...inputs, ...told.conditions}).shape).toEqual([1, 3, 4, 4, 4]);
    models.dispose();
  });

  test('the same text encoder is used once', () => {
    const over = host('video', video, 1);
    const same = {...host('same', tinyUNet, 2), conditions: over.conditions};
    expect(withSpatialOf(over, same).ownText).toBe(false);
    expect(withSpatialOf(over, host('tuned', tinyUNet, 2)).ownText).toBe(true);
  });

  test('what does not fit is refused by name', () => {
    const over = host('video', video, 1);
    const refused = (config: UNetConfig, answer: RegExp) =>
      expect(() => withSpatialOf(over, host('other', config, 2))).toThrow(answer);
    refused({...tinyUNet, channels: [8, 8]}, /spatial: unet\.channels of other is \[8,8\], but \[8,16\] in video/);
    refused({...tinyUNet, inChannels: 9}, /unet\.inChannels of other is 9/);
    const {crossAttentionDim: _, ...withoutText} = tinyUNet;
    const plain = {
      ...host('plain', tinyUNet, 2),
      unet: {config: withoutText, weights: new Map()},
      conditions: undefined,
    };
    expect(() => withSpatialOf(over, plain)).toThrow(/plain attends to no text, but the layers over time of video do/);
    const v = {...host('v', tinyUNet, 2), diffusion: {...over.diffusion, prediction: 'v' as const}};
    expect(() => withSpatialOf(over, v)).toThrow(
      /v predicts v, but the layers over time of video were trained with eps/,
    );
    expect(() => withSpatialOf(host('still', tinyUNet, 1), over)).toThrow(/still has no layers over time/);
  });
});
