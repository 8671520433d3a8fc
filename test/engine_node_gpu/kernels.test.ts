// The operations and gradients of a Video LDM step on tfjs-node's binding, against the cpu engine on the same numbers.
import {beforeAll, describe, test} from 'vitest';
import {openNodeGpu} from '../../src/engine/node_gpu/index.ts';
import * as tf from '../../src/tf.ts';
import {dims, expectLikeCpu} from './like_cpu.ts';
import {isSetUp, needs} from './set_up.ts';

const conv =
  (pad: number | 'same' | 'valid' | tf.backend_util.ExplicitPadding, strides: number) => (x: tf.Tensor, k: tf.Tensor) =>
    tf.conv2d(x as tf.Tensor4D, k as tf.Tensor4D, strides, pad);

/** Explicit padding of an NHWC input. */
function sides(top: number, bottom: number, left: number, right: number): tf.backend_util.ExplicitPadding {
  return [
    [0, 0],
    [top, bottom],
    [left, right],
    [0, 0],
  ];
}

describe.skipIf(!isSetUp)(`node-gpu: kernels like the cpu engine's (${needs})`, () => {
  beforeAll(async () => {
    await openNodeGpu();
  });

  test('conv2d padded same and valid', async () => {
    await expectLikeCpu(conv('same', 1), '2 6 5 3', '3 3 3 4');
    await expectLikeCpu(conv('same', 2), '2 6 6 3', '3 3 3 4');
    await expectLikeCpu(conv('valid', 2), '2 7 7 3', '3 3 3 4');
  });

  test('conv2d padded by a number on every side', async () => {
    await expectLikeCpu(conv(1, 1), '2 6 5 3', '3 3 3 4');
    await expectLikeCpu(conv(1, 2), '2 6 6 3', '3 3 3 4');
  });

  test('conv2d padded unevenly, as a downsampling block does', async () => {
    await expectLikeCpu(conv(sides(0, 1, 0, 1), 2), '2 6 6 3', '3 3 3 4');
    await expectLikeCpu(conv(sides(2, 1, 0, 1), 1), '1 5 6 2', '3 3 2 3');
  });

  test('fused conv2d with bias, padded by a number', async () => {
    const bias = (x: tf.Tensor, k: tf.Tensor, b: tf.Tensor) =>
      tf.fused.conv2d({x: x as tf.Tensor4D, filter: k as tf.Tensor4D, strides: 1, pad: 1, bias: b});
    await expectLikeCpu(bias, '2 6 5 3', '3 3 3 4', '4');
  });

  test('conv3d over frames and over frames and pixels', async () => {
    const conv3d = (x: tf.Tensor, k: tf.Tensor) => tf.conv3d(x as tf.Tensor5D, k as tf.Tensor5D, 1, 'same');
    await expectLikeCpu(conv3d, '2 5 3 4 3', '3 1 1 3 4');
    await expectLikeCpu(conv3d, '1 4 4 3 2', '3 3 3 2 3');
    const strided = (x: tf.Tensor, k: tf.Tensor) => tf.conv3d(x as tf.Tensor5D, k as tf.Tensor5D, [2, 2, 2], 'same');
    await expectLikeCpu(strided, '1 4 4 4 2', '3 3 3 2 3');
  });

  test('statistics, softmax, permutations and broadcasts in five and six dimensions', async () => {
    await expectLikeCpu(x => tf.moments(x, [1, 2, 3, 5], true).variance, '2 3 4 2 2 3');
    await expectLikeCpu(x => tf.mean(tf.square(x), [1, 3], true), '2 3 4 2 2');
    await expectLikeCpu(x => tf.softmax(x), '2 3 4 2 2');
    await expectLikeCpu(x => tf.transpose(x, [0, 2, 3, 4, 1, 5]), '2 3 4 2 2 3');
    await expectLikeCpu((x, y) => tf.mul(x, y), '2 3 4 2 2 3', '2 1 1 1 2 3');
    await expectLikeCpu((x, y) => tf.add(x, y), '2 3 4 2 3', '3 1 1 3');
    await expectLikeCpu(
      x => tf.pad(x, ['0 0', '1 1', '0 0', '0 1', '0 0'].map(dims) as [number, number][]),
      '2 3 4 2 2',
    );
    await expectLikeCpu(x => tf.slice(x, [0, 1, 0, 0, 0], [2, 2, 4, 1, 2]), '2 3 4 2 2');
    await expectLikeCpu(x => tf.tile(x, [1, 2, 1, 2]), '2 3 4 2');
    await expectLikeCpu((x, y) => tf.concat([x, y], 4), '2 3 2 2 3', '2 3 2 2 1');
  });

  test('matrix products, transposed and broadcast', async () => {
    await expectLikeCpu((a, b) => tf.matMul(a, b, false, true), '6 5 4', '6 3 4');
    await expectLikeCpu((a, b) => tf.matMul(a, b, true, false), '2 3 5 4', '2 3 5 2');
    await expectLikeCpu((a, b) => tf.matMul(a, b), '7 4', '4 3');
  });

  test('activations, embeddings and resizing', async () => {
    await expectLikeCpu(x => tf.mul(x, tf.sigmoid(x)), '3 4 5');
    await expectLikeCpu(x => tf.mul(x, tf.erf(x)), '3 4 5');
    await expectLikeCpu(x => tf.gather(x, tf.tensor1d([2, 0, 2], 'int32')), '3 4');
    await expectLikeCpu(x => tf.image.resizeNearestNeighbor(x as tf.Tensor4D, [6, 8]), '1 3 4 2');
    await expectLikeCpu(x => tf.image.resizeBilinear(x as tf.Tensor4D, [8, 8]), '2 4 4 2');
    await expectLikeCpu(x => tf.avgPool(x as tf.Tensor4D, 2, 2, 'valid'), '2 4 4 3');
    await expectLikeCpu(x => tf.maxPool(x as tf.Tensor4D, 3, 2, 'valid'), '2 7 7 3');
  });
});
