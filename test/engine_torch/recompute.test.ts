// Cheap outputs computed again for the gradient, as on a GPU: the same bytes as with all of them held, and less memory.
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {isBuilt} from '../../packages/tfjs-backend-torch/src/built.ts';
import {engineStats} from '../../packages/tfjs-backend-torch/src/index.ts';
import {openEngine, valueAndGrads} from '../../src/engine/index.ts';
import {UNet} from '../../src/models/index.ts';
import * as tf from '../../src/tf.ts';
import {bytes, random, shake, tinyTemporal, tinyUNet} from '../models/tiny.ts';

const config = {...tinyUNet, channels: [16, 32], attention: [true, true], temporal: tinyTemporal};

describe.skipIf(!isBuilt())('recomputing on the torch engine', () => {
  let before = 0;
  beforeAll(async () => {
    await openEngine('torch');
    before = tf.memory().numTensors;
  });
  afterAll(() => expect(tf.memory().numTensors).toBe(before));

  test.each(['temporal', undefined] as const)('trained: %s', part => {
    const unet = new UNet(config).allocate(1);
    shake(unet.namedWeights(), 0.02);
    if (part) unet.trainWhere(spec => spec.part === part);
    const inputs = {
      latents: random<tf.Rank.R5>(2, 4, 8, 8, 4),
      timesteps: tf.tensor1d([400, 100]),
      context: random<tf.Rank.R3>(2, 3, 6),
    };
    tf.tidy(() => void unet.forward(inputs)); // tables of positions and frequencies are made once
    const variables = [...unet.trainableNamedWeights().values()];
    const step = (recomputeFrom: number) => {
      const tensors = tf.memory().numTensors;
      const start = engineStats().allocated;
      let held = 0;
      const loss = () => {
        const value = tf.mean(tf.square(unet.forward(inputs))) as tf.Scalar;
        held = engineStats().allocated - start;
        return value;
      };
      const {value, grads} = valueAndGrads(loss, variables, {recomputeFrom});
      const result = {values: [value, ...grads].map(bytes), held};
      tf.dispose([value, ...grads]);
      expect(tf.memory().numTensors).toBe(tensors);
      return result;
    };
    const [all, less] = [step(Number.POSITIVE_INFINITY), step(0)];
    expect(less.values).toEqual(all.values);
    console.log(`held ${all.held} -> ${less.held} bytes`);
    expect(less.held).toBeLessThan(0.8 * all.held);
    unet.dispose();
    tf.dispose(inputs);
  });
});
