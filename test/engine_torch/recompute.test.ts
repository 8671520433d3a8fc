// Cheap outputs computed again for the gradient, as on a GPU: the same bytes as with all of them held, and less memory. GroupNorm's
// from the statistics it gave.
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {native} from '../../packages/tfjs-backend-torch/src/binding.ts';
import {isBuilt} from '../../packages/tfjs-backend-torch/src/built.ts';
import {engineStats} from '../../packages/tfjs-backend-torch/src/index.ts';
import {openEngine, valueAndGrads} from '../../src/engine/index.ts';
import {UNet} from '../../src/models/index.ts';
import {computedAgain, runFused} from '../../src/ops/fused.ts';
import {normals} from '../../src/random/index.ts';
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

  test.each(['temporal', undefined] as const)('trained: %s', async part => {
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
    const {kernelNames, result} = await tf.profile(() => {
      step(0);
      return tf.zeros([]);
    });
    tf.dispose(result);
    expect(kernelNames).toContain('FusedGroupNormApply');
    unet.dispose();
    tf.dispose(inputs);
  });
});

const shapes: Record<string, [shape: number[], groups: number]> = {
  '4 channels a thread': [[2, 5, 7, 32], 8],
  '1 channel a thread, groups across threads': [[1, 3, 3, 15], 5],
  'many chunks of an uneven number of rows': [[1, 3, 31, 33, 8], 2],
  'small examples, each in one go': [[5, 8, 11, 12], 4],
  'more channels than the kernels take': [[2, 3, 6146], 2],
};

describe.skipIf(!isBuilt()).each(['fp32', 'bf16'] as const)('GroupNorm from its statistics, in %s', precision => {
  beforeAll(async () => {
    await openEngine('torch', {precision});
  });
  afterAll(async () => {
    await openEngine('torch');
  });

  for (const [name, [shape, groups]] of Object.entries(shapes)) {
    test.each([
      [name, 'by the host', false],
      [name, "by the GPU's kernels", true],
    ])('%s, %s', (_1, _2, emulated) => {
      const [n, c] = [shape[0]!, shape.at(-1)!];
      tf.tidy(() => {
        const draw = (of: number[], step: number) =>
          tf.tensor(normals({seed: 8, stream: 90, step}, tf.util.sizeFromShape(of)), of, 'float32');
        // What a product gives: bf16 under that policy.
        const one = tf.ones([1, 1]) as tf.Tensor2D;
        const x = tf.reshape(tf.matMul(tf.reshape(draw(shape, 0), [-1, 1]), one), shape);
        const [gamma, beta, scale, shift] = [[c], [c], [n, c], [n, c]].map((of, i) => draw(of, i + 1));
        const weights = [gamma!, beta!];
        native().emulateKernels(emulated);
        try {
          for (const inputs of [weights, [...weights, scale!, shift!]]) {
            for (const silu of [false, true]) {
              const attrs = {groups, epsilon: 1e-5, silu};
              const [y, stats] = runFused('FusedGroupNorm', [x, ...inputs], attrs);
              const [again] = runFused('FusedGroupNormApply', [stats!, x, ...inputs], attrs);
              expect(bytes(again!)).toEqual(bytes(y!));
            }
          }
          // The statistics that are given are those that count.
          const stats = tf.tile(tf.tensor3d([2, 0.5], [1, 1, 2]), [n, groups, 1]);
          const attrs = {groups, epsilon: 1e-5, silu: false};
          const [y] = runFused('FusedGroupNormApply', [stats, x, ...weights], attrs);
          const unrounded = tf.tensor(x.dataSync(), shape, 'float32');
          const expected = tf.add(tf.mul(tf.mul(tf.sub(unrounded, 2), 0.5), gamma!), beta!);
          const worst = tf.max(tf.abs(tf.sub(y!, expected))).dataSync()[0]!;
          expect(worst).toBeLessThan((precision === 'bf16' ? 2 ** -8 : 1e-6) * tf.max(tf.abs(expected)).dataSync()[0]!);
        } finally {
          native().emulateKernels(false);
        }
      });
    });
  }

  test('by the whole kernel where the backend has no other', () => {
    const kernel = tf.getKernel('FusedGroupNormApply', 'torch')!;
    tf.unregisterKernel('FusedGroupNormApply', 'torch');
    try {
      tf.tidy(() => {
        const inputs = [[2, 3, 4, 8], [8], [8]].map((of, step) =>
          tf.tensor(normals({seed: 8, stream: 91, step}, tf.util.sizeFromShape(of)), of, 'float32'),
        );
        const attrs = {groups: 2, epsilon: 1e-5, silu: true};
        const [y, ...outputs] = runFused('FusedGroupNorm', inputs, attrs);
        expect(bytes(computedAgain('FusedGroupNorm', {inputs, outputs}, attrs))).toBe(bytes(y!));
      });
    } finally {
      tf.registerKernel(kernel);
    }
  });
});
