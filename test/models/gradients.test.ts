// Gradients: every block against finite differences on the cpu engine; temporal blocks, UNet and decoder the same on wasm
// (with what the project adds to it) as on cpu.
import {afterAll, describe, expect, test} from 'vitest';
import {openEngine} from '../../src/engine/index.ts';
import {relativeError} from '../../src/golden/golden.ts';
import {AlphaMix} from '../../src/layers/alpha_mix.ts';
import {Attention, FeedForward} from '../../src/layers/attention.ts';
import {AutoencoderAttention} from '../../src/layers/autoencoder_attention.ts';
import type {Block} from '../../src/layers/block.ts';
import {ClipLayer} from '../../src/layers/clip_layers.ts';
import {ContextPath} from '../../src/layers/context_path.ts';
import {Conv2d, TemporalConv} from '../../src/layers/linear.ts';
import {Downsample, Upsample} from '../../src/layers/resample.ts';
import {ResnetBlock} from '../../src/layers/resnet.ts';
import {TemporalResBlock, VideoResBlock} from '../../src/layers/temporal_resnet.ts';
import {TemporalTransformerBlock} from '../../src/layers/temporal_transformer.ts';
import {TimestepEmbedding} from '../../src/layers/timestep_embedding.ts';
import {TransformerBlock, VideoTransformer} from '../../src/layers/transformer.ts';
import {AutoencoderKL, UNet} from '../../src/models/index.ts';
import * as tf from '../../src/tf.ts';
import {weightGradientErrors, weightGradients} from './gradients.ts';
import {random, shake, tinyTemporal, tinyUNet} from './tiny.ts';

await openEngine('wasm', {precision: 'fp32'});
await openEngine('cpu', {precision: 'fp32'});
afterAll(() => tf.setBackend('cpu'));

const alpha = {kind: 'learned', init: 0.5, per: 'layer'} as const;
const groups = {groups: 2, epsilon: 1e-5};
const channels = 4;

const blocks: Record<string, () => {block: Block; run: () => tf.Tensor}> = {
  Conv2d: () => over(new Conv2d({inputs: 3, outputs: 4, kernel: 3, stride: 2, pad: 1}), [2, 5, 4, 3]),
  'TemporalConv (3,1,1)': () => over(new TemporalConv({inputs: 3, outputs: 4, kernel: [3, 1, 1]}), [2, 4, 3, 2, 3]),
  'TemporalConv (3,3,3)': () => over(new TemporalConv({inputs: 3, outputs: 4, kernel: [3, 3, 3]}), [1, 4, 3, 4, 3]),
  Downsample: () => over(new Downsample({channels: 3, pad: 'end'}), [2, 4, 6, 3]),
  Upsample: () => over(new Upsample({channels: 3}), [2, 3, 2, 3]),
  TimestepEmbedding: () => over(new TimestepEmbedding({inputs: 4, hidden: 6, outputs: 3}), [3, 4]),
  ResnetBlock: () => over(new ResnetBlock({inputs: 4, outputs: 6, embedding: 5, ...groups}), [2, 3, 4, 4], [2, 5]),
  'Attention to itself': () => over(new Attention({channels, heads: 2}), [2, 5, 4]),
  'Attention to a context': () =>
    over(new Attention({channels, heads: 2, contextDim: 3, bias: true}), [2, 5, 4], [2, 3, 3]),
  FeedForward: () => over(new FeedForward({channels}), [2, 5, 4]),
  AutoencoderAttention: () => over(new AutoencoderAttention({channels, groups: 2}), [2, 3, 2, 4]),
  AlphaMix: () => over(new AlphaMix(alpha), [2, 3, 4, 4], [2, 3, 4, 4]),
  'AlphaMix per frame, switched': () =>
    over(new AlphaMix({...alpha, per: 'frame', frames: 3, switched: true}), [2, 3, 4, 4], [2, 3, 4, 4]),
  TemporalResBlock: () =>
    over(new TemporalResBlock({channels, embedding: 5, kernel: [3, 1, 1], ...groups}), [2, 3, 3, 2, 4], [2, 5]),
  'TemporalResBlock without embedding': () =>
    over(new TemporalResBlock({channels, kernel: [3, 3, 3], ...groups}), [1, 3, 3, 2, 4]),
  VideoResBlock: () =>
    over(
      new VideoResBlock({
        spatial: {inputs: 4, outputs: 6, embedding: 5, ...groups},
        temporal: {kernel: [3, 1, 1], alpha},
      }),
      [2, 3, 3, 2, 4],
      [2, 5],
    ),
  TransformerBlock: () => over(new TransformerBlock({channels, heads: 2, contextDim: 3}), [2, 4, 4], [2, 3, 3]),
  'TransformerBlock, cross only': () =>
    over(new TransformerBlock({channels, heads: 2, contextDim: 3, crossOnly: true}), [2, 4, 4], [2, 3, 3]),
  TemporalTransformerBlock: () =>
    over(new TemporalTransformerBlock({channels, heads: 2, contextDim: 3, window: 1}), [2, 4, 3, 4], [2, 3, 3]),
  VideoTransformer: () =>
    over(
      new VideoTransformer({
        channels,
        heads: 2,
        contextDim: 3,
        groups: 2,
        linearProjection: false,
        temporal: {alpha, contextDim: 3},
      }),
      [2, 3, 2, 2, 4],
      [2, 3, 3],
    ),
  ClipLayer: () => over(new ClipLayer({channels, hidden: 6, heads: 2, activation: 'quick_gelu'}), [2, 5, 4]),
  ContextPath: () => {
    const block = new ContextPath({inputs: 3, channels: 4, levels: 2}).allocate(1);
    const x = random<tf.Rank.R5>(1, 2, 4, 4, 3);
    return {block, run: () => tf.concat(block.forward(x).map(map => tf.reshape(map, [-1]))) as tf.Tensor};
  },
};

function over(block: Block, ...shapes: number[][]): {block: Block; run: () => tf.Tensor} {
  block.allocate(1);
  // Norms and biases too, so that nothing is at a special value.
  shake(block.namedWeights());
  const inputs = shapes.map(shape => random(...(shape as tf.ShapeMap[tf.Rank])));
  return {block, run: () => block.call(inputs, {}) as tf.Tensor};
}

test.each(Object.keys(blocks))('%s by finite differences', name => {
  const {block, run} = blocks[name]!();
  for (const [path, error] of Object.entries(weightGradientErrors(block, run, 5e-3)))
    expect(error, path).toBeLessThan(2e-2);
});

describe('the same gradients on wasm as on cpu', () => {
  const models: Record<string, () => {block: Block; loss: () => tf.Scalar}> = {
    TemporalResBlock: () => squared(blocks.TemporalResBlock!()),
    TemporalTransformerBlock: () => squared(blocks.TemporalTransformerBlock!()),
    UNet: () => {
      const unet = new UNet({...tinyUNet, temporal: {...tinyTemporal, given: {inputs: 5, channels: 3}}}).allocate(2);
      shake(unet.namedWeights(), 0.05);
      const latents = random<tf.Rank.R5>(1, 3, 4, 4, 4);
      const inputs = {
        latents,
        timesteps: tf.tensor1d([300]),
        context: random<tf.Rank.R3>(1, 3, 6),
        given: random<tf.Rank.R5>(1, 3, 4, 4, 5),
      };
      return {block: unet, loss: () => tf.mean(tf.square(tf.sub(unet.forward(inputs), latents)))};
    },
    'temporal decoder': () => {
      const config = {channels: [4, 8], layersPerBlock: 1, latentChannels: 2, normGroups: 2, midAttention: true};
      const temporalDecoder = {kernel: [3, 1, 1], alpha: {...alpha, init: 0}} as const;
      const vae = new AutoencoderKL({...config, temporalDecoder}).allocate(2);
      shake(vae.namedWeights(), 0.05);
      vae.trainWhere(({path}) => !/^(encoder|quant)/.test(path));
      const latents = random<tf.Rank.R5>(1, 3, 3, 2, 2);
      return {block: vae, loss: () => tf.mean(tf.square(vae.decode(latents)))};
    },
  };

  test.each(Object.keys(models))('%s', async name => {
    await tf.setBackend('cpu');
    const {block, loss} = models[name]!();
    const onCpu = weightGradients(block, loss);
    // TensorFlow.js moves the tensors to the engine that asks for them.
    await tf.setBackend('wasm');
    const onWasm = weightGradients(block, loss);
    expect(onCpu.size).toBeGreaterThan(5);
    const longest = Math.max(...[...onCpu.values()].map(values => Math.hypot(...values)));
    for (const [path, expected] of onCpu) {
      // A gradient that cancels to nothing (a bias before a norm) is compared with the others' size.
      if (Math.hypot(...expected) < 1e-4 * longest)
        expect(Math.hypot(...onWasm.get(path)!), path).toBeLessThan(2e-4 * longest);
      else expect(relativeError(onWasm.get(path)!, expected, path), path).toBeLessThan(1e-4);
    }
  });
});

function squared({block, run}: {block: Block; run: () => tf.Tensor}): {block: Block; loss: () => tf.Scalar} {
  return {block, loss: () => tf.mean(tf.square(run()))};
}
