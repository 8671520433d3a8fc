// Discriminators and LPIPS: shapes, what they see, gradients, weights by name.
import {beforeAll, expect, test} from 'vitest';
import {openEngine} from '../../src/engine/index.ts';
import {PatchDiscriminator, VideoDiscriminator} from '../../src/models/discriminators.ts';
import {countParameters} from '../../src/models/index.ts';
import {Lpips, lpipsPathOf} from '../../src/models/lpips.ts';
import * as tf from '../../src/tf.ts';
import {weightGradientErrors} from './gradients.ts';
import {bytes, random, shake} from './tiny.ts';

beforeAll(async () => {
  await openEngine('wasm', {precision: 'fp32'});
});

test('the patch discriminator: one logit a patch', () => {
  // Latent diffusion's size: 3 layers of 64; two affine numbers a channel, as its BatchNorm has.
  expect(countParameters(new PatchDiscriminator({channels: 64, layers: 3})).parameters).toBe(2_765_633);
  const small = new PatchDiscriminator({channels: 4, layers: 2}).allocate(1);
  const y = small.forward(random<tf.Rank.R4>(2, 16, 12, 3));
  expect(y.shape).toEqual(small.computeOutputShape([2, 16, 12, 3]));
  expect(y.shape).toEqual([2, 2, 1, 1]);
});

test('the video discriminator: one logit a patch of space and time, which notices the order of frames', () => {
  const block = new VideoDiscriminator({channels: 4, layers: 2, temporalLayers: 1}).allocate(1);
  const clips = random<tf.Rank.R5>(1, 4, 8, 8, 3);
  const y = block.forward(clips);
  expect(y.shape).toEqual([1, 2, 2, 2, 1]);
  expect(block.computeOutputShape([1, 4, 8, 8, 3])).toEqual(y.shape);
  const mean = (x: tf.Tensor) => bytes(tf.mean(x));
  expect(mean(block.forward(tf.reverse(clips, 1)))).not.toBe(mean(y));
  expect(() => block.forward(random<tf.Rank.R5>(1, 3, 8, 8, 3))).toThrow('divide by 2');
});

test.each([
  ['patch', () => new PatchDiscriminator({channels: 2, layers: 1}), [1, 8, 8, 3]],
  ['video', () => new VideoDiscriminator({channels: 2, layers: 2, temporalLayers: 1}), [1, 4, 8, 8, 3]],
] as const)('%s: gradients by finite differences', (_, make, shape) => {
  const block = make().allocate(1);
  shake(block.namedWeights());
  const x = random(...(shape as unknown as tf.ShapeMap[tf.Rank]));
  for (const [path, error] of Object.entries(weightGradientErrors(block, () => block.call(x) as tf.Tensor, 1e-3)))
    expect(error, path).toBeLessThan(5e-2);
});

test('LPIPS: a clear word without weights, the counts of VGG-16, a distance with them', () => {
  const lpips = new Lpips();
  const [a, b] = [random<tf.Rank.R4>(2, 16, 16, 3), random<tf.Rank.R4>(2, 16, 16, 3)];
  expect(() => lpips.forward(a, b)).toThrow('LPIPS has no weights');
  expect(countParameters(lpips, ({path}) => path.startsWith('features.'))).toEqual({
    tensors: 26,
    parameters: 14_714_688,
  });
  expect(countParameters(lpips, ({path}) => path.startsWith('lin'))).toEqual({tensors: 5, parameters: 1472});
  lpips.allocate(1);
  const distance = (x: tf.Tensor4D, y: tf.Tensor4D) => [...lpips.forward(x, y).dataSync()];
  expect(distance(a, a)).toEqual([0, 0]);
  const [first, second] = distance(a, b);
  const [again] = distance(b, a);
  expect(first).not.toBe(0);
  expect(again).toBeCloseTo(first!, 6);
  // Each image of a batch on its own.
  expect(distance(tf.slice(a, 1, 1), tf.slice(b, 1, 1))[0]).toBeCloseTo(second!, 6);
  const grad = tf.grad(x => tf.sum(lpips.forward(x as tf.Tensor4D, b)))(a);
  expect(tf.max(tf.abs(grad)).dataSync()[0]!).toBeGreaterThan(0);
  lpips.dispose();
});

test('LPIPS reads the names of torchvision, lpips and taming-transformers', () => {
  expect(
    [
      'features.0.weight',
      'net.slice3.10.bias',
      'lin2.model.1.weight',
      'lins.2.model.1.weight',
      'classifier.0.weight',
      'scaling_layer.shift',
    ].map(lpipsPathOf),
  ).toEqual(['features.0.weight', 'features.10.bias', 'lin2.model.1.weight', undefined, undefined, undefined]);
});
