// The reference cases: each builds our model from the reference's configuration, loads its weights, and runs it.

import {addNoise, type Denoise, makeSchedule, predictionTarget, samplers} from '../diffusion/index.ts';
import type {Block} from '../layers/block.ts';
import {VideoResBlock} from '../layers/temporal_resnet.ts';
import {VideoTransformer} from '../layers/transformer.ts';
import {AutoencoderKL, TextEncoder, UNet, type UNetConfig} from '../models/index.ts';
import {silu} from '../ops/index.ts';
import * as tf from '../tf.ts';
import {fromDiffusers} from '../weights/key_maps/diffusers.ts';
import {
  autoencoderFromDiffusers,
  textEncoderFromTransformers,
  unetFromDiffusers,
} from '../weights/key_maps/diffusers_configs.ts';
import {diffusionFromDiffusers} from '../weights/key_maps/scheduler_config.ts';
import {loadWeights, sourceOf} from '../weights/load_weights.ts';
import type {GoldenFile} from './golden.ts';

/** Outputs by name, in the reference's layout. */
export type GoldenCase = (file: GoldenFile) => Promise<Record<string, tf.Tensor>>;

/** Most specific name first: a file is the first case its name contains. */
export const goldenCases = {
  'unet-spatiotemporal': spatioTemporalUNet,
  'unet-sd1': imageUNet,
  'unet-sd2': imageUNet,
  'unet-x4': imageUNet,
  'vae-temporal-decoder': temporalDecoder,
  vae: autoencoder,
  'block-resnet': resnetBlock,
  'block-transformer': transformerBlock,
  'text-clip-l': textEncoder,
  'text-openclip-h': textEncoder,
  schedulers,
} satisfies Record<string, GoldenCase>;

/** NCHW -> NHWC, whatever comes before. */
export function channelsLast(x: tf.Tensor): tf.Tensor {
  const r = x.rank;
  return tf.transpose(x, [...Array.from({length: r - 3}, (_, i) => i), r - 2, r - 1, r - 3]);
}

/** NHWC -> NCHW, whatever comes before. */
export function channelsFirst(x: tf.Tensor): tf.Tensor {
  const r = x.rank;
  return tf.transpose(x, [...Array.from({length: r - 3}, (_, i) => i), r - 1, r - 3, r - 2]);
}

async function filled<B extends Block>(model: B, file: GoldenFile): Promise<B> {
  await loadWeights(model, sourceOf(file.weights, 'the reference file'), {pathOf: fromDiffusers});
  return model;
}

async function run<B extends Block>(
  model: B,
  file: GoldenFile,
  forward: (model: B) => Record<string, tf.Tensor>,
): Promise<Record<string, tf.Tensor>> {
  await filled(model, file);
  try {
    return tf.tidy(() => forward(model));
  } finally {
    model.dispose();
  }
}

function imageUNet(file: GoldenFile) {
  const config: UNetConfig = unetFromDiffusers(file.config);
  return run(new UNet(config), file, unet => {
    const y = unet.forward({
      latents: channelsLast(file.input('x')),
      timesteps: tf.tensor1d(file.integers('t'), 'float32'),
      context: file.input('context') as tf.Tensor3D,
      ...(config.classEmbedding === undefined
        ? {}
        : {classLabels: tf.tensor1d(file.integers('class_labels'), 'int32')}),
    });
    return {y: channelsFirst(y)};
  });
}

function spatioTemporalUNet(file: GoldenFile) {
  return run(new UNet(unetFromDiffusers(file.config)), file, unet => {
    const y = unet.forward({
      latents: channelsLast(file.input('x')),
      timesteps: tf.tile(tf.tensor1d(file.integers('t'), 'float32'), [
        file.input('x').shape[0]! / file.integers('t').length,
      ]) as tf.Tensor1D,
      context: file.input('context') as tf.Tensor3D,
      addedNumbers: file.input('added_time_ids') as tf.Tensor2D,
    });
    return {y: channelsFirst(y)};
  });
}

function autoencoder(file: GoldenFile) {
  return run(new AutoencoderKL(autoencoderFromDiffusers(file.config)), file, vae => {
    const {mean, logvar} = vae.encode(channelsLast(file.input('x')) as tf.Tensor4D);
    return {mean: channelsFirst(mean), logvar: channelsFirst(logvar), recon: channelsFirst(vae.decode(mean))};
  });
}

function temporalDecoder(file: GoldenFile) {
  const frames = Number(file.config.num_frames);
  return run(new AutoencoderKL(autoencoderFromDiffusers(file.config)), file, vae => {
    const {mean} = vae.encode(channelsLast(file.input('x')) as tf.Tensor4D);
    const [n, h, w, c] = mean.shape;
    const clips = vae.decode(tf.reshape(mean, [n / frames, frames, h, w, c]) as tf.Tensor5D);
    const [, , height = 0, width = 0] = clips.shape;
    return {mean: channelsFirst(mean), recon: channelsFirst(tf.reshape(clips, [n, height, width, 3]))};
  });
}

const mix = {kind: 'learned', init: 0.5, per: 'layer'} as const;

function resnetBlock(file: GoldenFile) {
  const {channels, temb, eps, num_frames: frames} = file.config as Record<string, number>;
  const spatial = {inputs: channels!, outputs: channels!, embedding: temb!, groups: 32, epsilon: eps!};
  return run(new VideoResBlock({spatial, temporal: {kernel: [3, 1, 1], alpha: mix}}), file, block => {
    // The reference has one embedding per frame, all of a clip alike in training but not in this file.
    const y = block.forward(channelsLast(file.input('x')) as tf.Tensor4D, silu(file.input('temb')) as tf.Tensor2D, {
      frames: frames!,
    });
    return {y: channelsFirst(y)};
  });
}

function transformerBlock(file: GoldenFile) {
  const {channels, heads, cross_attention_dim: contextDim, num_frames: frames} = file.config as Record<string, number>;
  const options = {channels: channels!, heads: heads!, contextDim: contextDim!, groups: 32, linearProjection: true};
  return run(new VideoTransformer({...options, temporal: {alpha: mix, contextDim: contextDim!}}), file, block => {
    const context = file.input('context') as tf.Tensor3D;
    const [n, m, d] = context.shape;
    // The temporal layers attend to the text of each clip's first frame.
    const first = tf.reshape(
      tf.slice(tf.reshape(context, [n / frames!, frames!, m, d]), [0, 0, 0, 0], [-1, 1, -1, -1]),
      [n / frames!, m, d],
    );
    const y = block.forward(
      channelsLast(file.input('x')) as tf.Tensor4D,
      context,
      {frames: frames!},
      first as tf.Tensor3D,
    );
    return {y: channelsFirst(y)};
  });
}

function textEncoder(file: GoldenFile) {
  const config = textEncoderFromTransformers(file.config);
  return run(new TextEncoder(config), file, encoder => {
    const ids = file.integers('ids');
    const {hidden, pooled} = encoder.forward(tf.tensor2d(ids, [ids.length / config.tokens, config.tokens], 'int32'));
    return {last_hidden_state: hidden, pooled};
  });
}

/** The file's model: eps (or v) = 0.9 tanh(x) + 0.05 t / 1000. */
const analytic: Denoise = (x, t) =>
  tf.add(tf.mul(tf.tanh(x), 0.9), tf.mul(tf.reshape(tf.cast(t, 'float32'), [-1, 1, 1, 1]), 0.05 / 1000));

const samplerNames = {ddim: 'ddim', euler: 'euler', dpmpp2m: 'dpmpp_2m'} as const;
const predictionNames = {epsilon: 'eps', v_prediction: 'v'} as const;

/** Noising, velocity, and every sampler's timesteps and result on the analytic model. */
async function schedulers(file: GoldenFile): Promise<Record<string, tf.Tensor>> {
  const {schedule: settings} = diffusionFromDiffusers(file.config, 'config');
  const schedule = makeSchedule(settings);
  const steps = Number(file.config.steps);
  const [x, noise] = [file.input('x_init'), file.input('noise')];
  const t = tf.tensor1d(file.integers('t'), 'int32');
  const results: Record<string, tf.Tensor> = {
    alphas_cumprod: tf.tensor1d(Float32Array.from(schedule.alphasCumprod)),
    noised: tf.tidy(() => addNoise(x, noise, t, schedule)),
    velocity: tf.tidy(() => predictionTarget('v', x, noise, t, schedule)),
  };
  for (const [name, sampler] of Object.entries(samplerNames)) {
    for (const [theirs, prediction] of Object.entries(predictionNames)) {
      const timesteps: number[] = [];
      const onStep = ({timestep}: {timestep: number}) => void timesteps.push(timestep);
      const inputs = {denoise: analytic, schedule, prediction, noise: x, steps, onStep};
      results[`${name}.${theirs}.final`] = await samplers[sampler](inputs);
      results[`${name}.${theirs}.timesteps`] = tf.tensor1d(timesteps, 'float32');
    }
  }
  tf.dispose([x, noise, t]);
  return results;
}
