// Blocks as layers of TensorFlow.js: whole trees of weights, configurations that come back, use inside tf.model.
import '@tensorflow/tfjs-backend-cpu';
import {beforeAll, describe, expect, test} from 'vitest';
import {AlphaMix} from '../../src/layers/alpha_mix.ts';
import {Attention, FeedForward} from '../../src/layers/attention.ts';
import {AutoencoderAttention} from '../../src/layers/autoencoder_attention.ts';
import type {Block} from '../../src/layers/block.ts';
import {ContextPath} from '../../src/layers/context_path.ts';
import {Conv2d, Embedding, Linear, TemporalConv} from '../../src/layers/linear.ts';
import {GroupNorm, LayerNorm} from '../../src/layers/norms.ts';
import {Downsample, Upsample} from '../../src/layers/resample.ts';
import {ResnetBlock} from '../../src/layers/resnet.ts';
import {TemporalResBlock, VideoResBlock} from '../../src/layers/temporal_resnet.ts';
import {TemporalTransformerBlock} from '../../src/layers/temporal_transformer.ts';
import {TimestepEmbedding} from '../../src/layers/timestep_embedding.ts';
import {TransformerBlock, VideoTransformer} from '../../src/layers/transformer.ts';
import {AutoencoderKL, UNet} from '../../src/models/index.ts';
import * as tf from '../../src/tf.ts';
import {bytes, random, tinyTemporal, tinyUNet} from '../models/tiny.ts';

beforeAll(() => tf.setBackend('cpu'));

const alpha = {kind: 'learned', init: 0.5, per: 'layer'} as const;
const spatial = {inputs: 8, outputs: 16, embedding: 6, groups: 4, epsilon: 1e-5};

/** Every block with inputs it takes, without the batch axis. */
const blocks: [Block, number[][]][] = [
  [new Linear({inputs: 4, outputs: 6}), [[3, 4]]],
  [new Conv2d({inputs: 4, outputs: 6, kernel: 3, stride: 2}), [[5, 6, 4]]],
  [new TemporalConv({inputs: 4, outputs: 6, kernel: [3, 1, 1]}), [[3, 5, 6, 4]]],
  [new Embedding({count: 5, dim: 4}), [[3]]],
  [new GroupNorm({channels: 8, groups: 4, epsilon: 1e-5}), [[3, 4, 8]]],
  [new LayerNorm({channels: 8}), [[3, 8]]],
  [new TimestepEmbedding({inputs: 4, hidden: 8, outputs: 6}), [[4]]],
  [new ResnetBlock(spatial), [[3, 4, 8], [6]]],
  [new Downsample({channels: 4, pad: 'all'}), [[5, 6, 4]]],
  [new Downsample({channels: 4, pad: 'end'}), [[4, 6, 4]]],
  [new Upsample({channels: 4}), [[3, 4, 4]]],
  [
    new Attention({channels: 8, heads: 2, contextDim: 6}),
    [
      [4, 8],
      [3, 6],
    ],
  ],
  [new FeedForward({channels: 8}), [[4, 8]]],
  [new AutoencoderAttention({channels: 8, groups: 4}), [[3, 4, 8]]],
  [
    new AlphaMix(alpha),
    [
      [2, 3, 4, 8],
      [2, 3, 4, 8],
    ],
  ],
  [new TemporalResBlock({channels: 8, embedding: 6, groups: 4, epsilon: 1e-5, kernel: [3, 3, 3]}), [[3, 4, 5, 8], [6]]],
  [new VideoResBlock({spatial, temporal: {kernel: [3, 1, 1], alpha}}), [[3, 4, 5, 8], [6]]],
  [
    new TransformerBlock({channels: 8, heads: 2, contextDim: 6}),
    [
      [4, 8],
      [3, 6],
    ],
  ],
  [
    new TemporalTransformerBlock({channels: 8, heads: 2, contextDim: 6, window: 1}),
    [
      [3, 4, 8],
      [3, 6],
    ],
  ],
  [
    new VideoTransformer({
      channels: 8,
      heads: 2,
      contextDim: 6,
      groups: 4,
      linearProjection: false,
      temporal: {alpha, contextDim: 6},
    }),
    [
      [3, 2, 4, 8],
      [3, 6],
    ],
  ],
  [new UNet({...tinyUNet, temporal: tinyTemporal}), [[3, 4, 6, 4], [1], [3, 6]]],
  [
    new AutoencoderKL({channels: [4, 8], layersPerBlock: 1, latentChannels: 2, normGroups: 4, midAttention: true}),
    [[4, 6, 3]],
  ],
];

describe.each(blocks.map(([block, shapes]) => [block.getClassName(), block, shapes] as const))(
  '%s',
  (_, block, shapes) => {
    const batch = 2;
    const inputs = () =>
      shapes.map(
        shape =>
          (block instanceof Embedding ? tf.zeros([batch, ...shape], 'int32') : random(batch, ...shape)) as tf.Tensor,
      );

    test('comes back from its configuration', () => {
      const registered = tf.serialization.SerializationMap.getMap().classNameMap[block.getClassName()]!;
      const again = registered[1](
        registered[0],
        JSON.parse(JSON.stringify(block.getConfig())) as tf.serialization.ConfigDict,
      ) as Block;
      expect(again.weightSpecs()).toEqual(block.weightSpecs());
      expect(again.getConfig()).toEqual(block.getConfig());
      expect(again.name).toBe(block.name);
    });

    test('predicts inside tf.model what it gives alone, in the shape it announced', () => {
      const symbols = shapes.map(shape => tf.input({shape}));
      block.allocate(1);
      const outputs = block.apply(symbols.length === 1 ? symbols[0]! : symbols) as
        | tf.SymbolicTensor
        | tf.SymbolicTensor[];
      const model = tf.model({inputs: symbols, outputs});
      const x = inputs();
      const predicted = model.predict(x.length === 1 ? x[0]! : x) as tf.Tensor;
      const alone = tf.tidy(() => block.call(x, {})) as tf.Tensor;
      expect(bytes(predicted)).toEqual(bytes(alone));
      expect((outputs as tf.SymbolicTensor).shape).toEqual([null, ...alone.shape.slice(1)]);
      expect(model.weights.length).toBe(block.weightSpecs().length);
      expect(model.countParams()).toBe(
        block.weightSpecs().reduce((sum, {shape}) => sum + tf.util.sizeFromShape([...shape]), 0),
      );
    });
  },
);

test('a context path gives one map a level', () => {
  const path = new ContextPath({inputs: 5, channels: 4, levels: 3}).allocate(1);
  const maps = path.forward(random<tf.Rank.R5>(1, 2, 6, 5, 5));
  expect(maps.map(map => map.shape)).toEqual([
    [1, 2, 6, 5, 4],
    [1, 2, 3, 3, 4],
    [1, 2, 2, 2, 4],
  ]);
  expect(path.computeOutputShape([1, 2, 6, 5, 5])).toEqual(maps.map(map => map.shape));
  for (const map of path.forward(tf.zeros([1, 2, 6, 5, 5]))) expect(tf.max(tf.abs(map)).dataSync()[0]).toBe(0);
});

test('initial values depend on seed and path alone, and follow fan-in', () => {
  const values = (seed: number, options = {}) =>
    bytes(new ResnetBlock({...spatial, ...options}).allocate(seed).namedWeights().get('conv2.weight')!);
  expect(values(1)).toEqual(values(1));
  expect(values(1, {inputs: 4})).toEqual(values(1));
  expect(values(2)).not.toEqual(values(1));
  const conv = new Conv2d({inputs: 50, outputs: 40, kernel: 3}).allocate(1);
  const [weight] = [...conv.namedWeights().values()];
  const bound = 1 / Math.sqrt(450);
  const {mean, variance} = tf.moments(weight!);
  expect(Math.abs(mean.dataSync()[0]!)).toBeLessThan(bound / 50);
  expect(variance.dataSync()[0]! / (bound ** 2 / 3)).toBeCloseTo(1, 1);
  expect(tf.max(tf.abs(weight!)).dataSync()[0]!).toBeLessThanOrEqual(bound);
});

test('weights are asked for in words before they exist', () => {
  expect(() => new Linear({inputs: 2, outputs: 2}).forward(tf.zeros([1, 2]))).toThrow('allocate');
});
