// Frozen weights stored as products and convolutions read them: the same bytes of results, no copies, half the memory in bf16.
import {afterAll, describe, expect, test} from 'vitest';
import {isBuilt} from '../../packages/tfjs-backend-torch/src/built.ts';
import {emptyCache, engineStats} from '../../packages/tfjs-backend-torch/src/index.ts';
import {openEngine} from '../../src/engine/index.ts';
import {AutoencoderKL, UNet} from '../../src/models/index.ts';
import * as tf from '../../src/tf.ts';
import {bytes, random, shake, tinyTemporal, tinyUNet} from '../models/tiny.ts';

describe.skipIf(!isBuilt())('frozen weights on the torch engine', () => {
  afterAll(async () => {
    await openEngine('torch');
  });

  test.each(['fp32', 'bf16'] as const)('a training step of the layers over time in %s', async precision => {
    const engine = await openEngine('torch', {precision});
    const config = {...tinyUNet, channels: [64, 128], attention: [true, true], temporal: tinyTemporal};
    const unet = new UNet(config).allocate(1);
    shake(unet.namedWeights(), 0.02);
    unet.trainWhere(({part}) => part === 'temporal');
    const inputs = {
      latents: random<tf.Rank.R5>(1, 4, 8, 8, 4),
      timesteps: tf.tensor1d([400]),
      context: random<tf.Rank.R3>(1, 3, 6),
    };
    const variables = [...unet.trainableNamedWeights().values()];
    const step = () => {
      const loss = () => tf.mean(tf.square(unet.forward(inputs))) as tf.Scalar;
      const {value, grads} = engine.valueAndGrads(loss, variables);
      const result = [value, ...grads].map(bytes);
      tf.dispose([value, ...grads]);
      return result;
    };
    // The second step keeps copies of what it reads again.
    const before = [step(), step()].at(-1);
    emptyCache();
    const {allocated} = engineStats();
    const tensors = tf.memory().numTensors;
    unet.storeFrozen();
    const stored = step();
    const copies = engineStats().weightCopies;
    expect(step()).toEqual(before);
    expect(stored).toEqual(before);
    // What is copied again belongs to trained weights and to biases.
    expect(engineStats().weightCopies - copies).toBeLessThanOrEqual(2 * unet.namedWeights().size);
    expect(tf.memory().numTensors).toBe(tensors);
    const frozen = unet.weightSpecs().filter(({part, layout}) => part === 'spatial' && layout !== 'vector');
    const size = frozen.reduce((sum, {shape}) => sum + tf.util.sizeFromShape([...shape]), 0);
    const filters = frozen.filter(({shape, layout}) => layout === 'conv2d' && shape[0] === 3);
    const filterSize = filters.reduce((sum, {shape}) => sum + tf.util.sizeFromShape([...shape]), 0);
    // Gone: of filters a copy in their own layout, in bf16 float32 values as well.
    const least = precision === 'bf16' ? 3.5 * size : 3.5 * filterSize;
    expect(allocated - engineStats().allocated).toBeGreaterThan(least);
    unet.dispose();
    tf.dispose(inputs);
  });

  test('an autoencoder encodes and decodes to the same bytes, and its weights still read as they are', async () => {
    await openEngine('torch');
    const config = {channels: [8, 16], layersPerBlock: 1, latentChannels: 4, normGroups: 4, midAttention: true};
    const autoencoder = new AutoencoderKL(config).allocate(2);
    const pixels = random<tf.Rank.R4>(2, 16, 16, 3);
    const run = () => tf.tidy(() => bytes(autoencoder.decode(autoencoder.encode(pixels).mean)));
    const weights = () => [...autoencoder.namedWeights().values()].map(bytes);
    const [before, values] = [run(), weights()];
    autoencoder.trainable = false;
    autoencoder.storeFrozen();
    expect(run()).toBe(before);
    expect(weights()).toEqual(values);
    autoencoder.dispose();
    pixels.dispose();
  });
});
