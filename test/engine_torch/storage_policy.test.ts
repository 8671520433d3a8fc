// Under bf16 every operation between products keeps its result in bf16: one that gave float32 would make all that follows it
// float32, at twice the memory and traffic, and no value would tell.
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {isBuilt} from '../../packages/tfjs-backend-torch/src/built.ts';
import {engineStats} from '../../packages/tfjs-backend-torch/src/index.ts';
import {openEngine} from '../../src/engine/index.ts';
import * as ops from '../../src/ops/index.ts';
import * as tf from '../../src/tf.ts';

const shape: [number, number, number, number] = [2, 8, 256, 32];
const ones = (...extents: number[]) => tf.fill(extents, 0.5);
const operations: Record<string, (x: tf.Tensor4D) => tf.Tensor> = {
  linear: x => ops.linear(x, ones(32, 32) as tf.Tensor2D, ones(32) as tf.Tensor1D),
  conv2d: x => ops.conv2d(x, ones(3, 3, 32, 32) as tf.Tensor4D, ones(32) as tf.Tensor1D, {pad: 1}),
  groupNorm: x => ops.groupNorm(x, ones(32), ones(32), {groups: 4, epsilon: 1e-5, silu: true}),
  layerNorm: x => ops.layerNorm(x, ones(32), ones(32), {epsilon: 1e-5}),
  geglu: x => ops.geglu(x),
  alphaMix: x => ops.alphaMix(x, x, ones(1)),
  'alphaMix by frames': x => ops.alphaMix(x, x, ones(8)),
  addPerSample: x => ops.addPerSample(x, ones(2, 32)),
  'addPerSample with bias': x => ops.addPerSample(x, ones(2, 32), ones(32)),
  temporalConv: x => ops.temporalConv(tf.reshape(x, [2, 8, 16, 16, 32]), ones(3, 3, 3, 32, 32), ones(32)),
  'temporalConv over frames': x => ops.temporalConv(tf.reshape(x, [2, 8, 16, 16, 32]), ones(3, 1, 1, 32, 32), ones(32)),
  temporalAttention: x => ops.temporalAttention(x, x, x, {heads: 2}),
  attention: x => {
    const rows = tf.reshape(x, [16, 256, 32]) as tf.Tensor3D;
    return ops.attention(rows, rows, rows, {heads: 2});
  },
  upsampleNearest2x: x => ops.upsampleNearest2x(x),
  'residual sum': x => tf.add(x, x),
  'gradient of alphaMix': x => tf.grad(y => ops.alphaMix(y as tf.Tensor4D, y as tf.Tensor4D, ones(8)))(x, x),
  'gradient of groupNorm': x =>
    tf.grad(y => ops.groupNorm(y, ones(32), ones(32), {groups: 4, epsilon: 1e-5, silu: true}))(x, x),
  'gradient of linear': x => tf.grad(y => ops.linear(y, ones(32, 32) as tf.Tensor2D))(x, x),
};

describe.skipIf(!isBuilt())('results in bf16', () => {
  beforeAll(async () => {
    await openEngine('torch', {precision: 'bf16'});
  });
  afterAll(async () => {
    await openEngine('torch');
  });
  for (const [name, operation] of Object.entries(operations)) {
    test(name, () => {
      const x = tf.tidy(() => tf.reshape(tf.matMul(ones(4096, 32), tf.eye(32)), shape)) as tf.Tensor4D;
      // Once before, for what libraries keep.
      tf.dispose(tf.tidy(() => operation(x)));
      const before = engineStats().allocated;
      const y = tf.tidy(() => operation(x));
      const bytesEach = (engineStats().allocated - before) / y.size;
      tf.dispose([x, y]);
      // Blocks are up to an eighth larger than what is asked for.
      expect(bytesEach).toBeGreaterThanOrEqual(2);
      expect(bytesEach).toBeLessThan(2.5);
    });
  }
});
