// The engine through src/tf.ts: one copy of TensorFlow.js, variables, gradients, no leak, no shared host memory.
import {beforeAll, describe, expect, test} from 'vitest';
import {nodeGpuBackend, openNodeGpu} from '../../src/engine/node_gpu/index.ts';
import * as tf from '../../src/tf.ts';
import {isSetUp, needs} from './set_up.ts';

describe.skipIf(!isSetUp)(`node-gpu: the engine (${needs})`, () => {
  const own: tf.GradConfig = {
    kernelName: tf.Sum,
    inputsToSave: ['x'],
    gradFunc: (dy, saved) => ({x: () => tf.fill(saved[0]!.shape, (dy as tf.Tensor).dataSync()[0]!)}),
  };

  beforeAll(async () => {
    tf.registerGradient(own);
    await openNodeGpu();
  });

  test('says what it is', async () => {
    const {device, describe} = await openNodeGpu();
    expect(['cpu', 'gpu']).toContain(device);
    expect(describe.libtensorflow).toMatch(/^2\.\d+\.\d+/);
    expect(describe.package).toMatch(/^tfjs-node-gpu 4\./);
    expect(describe.threads).toBeGreaterThan(0);
  });

  test('leaves gradients that were replaced before it was opened', () => {
    expect(tf.getGradient(tf.Sum)).toBe(own);
  });

  test('trains a variable through src/tf.ts', () => {
    expect(tf.getBackend()).toBe(nodeGpuBackend);
    const weight = tf.variable(tf.zeros([3, 1]));
    const target = tf.tensor([1, -2, 0.5], [3, 1]);
    const before = tf.memory().numTensors;
    for (let step = 0; step < 60; step++) {
      const {value, grads} = tf.variableGrads(
        () => tf.mean(tf.squaredDifference(weight, target)) as tf.Scalar,
        [weight],
      );
      const gradient = grads[weight.name]!;
      tf.tidy(() => weight.assign(tf.sub(weight, tf.mul(gradient, 0.5))));
      tf.dispose([value, gradient]);
    }
    expect(tf.memory().numTensors).toBe(before);
    for (const [i, expected] of [1, -2, 0.5].entries()) expect(weight.dataSync()[i]).toBeCloseTo(expected, 4);
    tf.dispose([weight, target]);
  });

  test('two runs of the same gradients give the same bytes', () => {
    const gradients = () =>
      tf.tidy(() => {
        const x = tf.cast(tf.range(0, 2 * 8 * 8 * 16), 'float32');
        const k = tf.div(tf.cast(tf.range(0, 3 * 3 * 16 * 8), 'float32'), 1000);
        const loss = (k: tf.Tensor) =>
          tf.mean(
            tf.sin(
              tf.conv2d(tf.reshape(x, [2, 8, 8, 16]) as tf.Tensor4D, tf.reshape(k, [3, 3, 16, 8]) as tf.Tensor4D, 1, 1),
            ),
          );
        return Buffer.from(tf.grad(loss)(k).dataSync().buffer.slice(0));
      });
    expect(gradients().equals(gradients())).toBe(true);
  });
});
