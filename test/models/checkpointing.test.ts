// Gradient checkpointing: the same gradients, fewer bytes kept, for a little more time.
import {beforeAll, describe, expect, test} from 'vitest';
import {type Engine, openEngine} from '../../src/engine/index.ts';
import type {Checkpointing} from '../../src/layers/unet_stages.ts';
import {UNet} from '../../src/models/index.ts';
import * as tf from '../../src/tf.ts';
import {bytes, random, shake, tinyTemporal, tinyUNet} from './tiny.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await openEngine('wasm', {precision: 'fp32'});
});

/** Large enough that what is kept is activations, small enough for a test. */
const config = {
  ...tinyUNet,
  channels: [16, 32],
  layersPerBlock: 2,
  attention: [true, true],
  temporal: {...tinyTemporal, given: {inputs: 5, channels: 4}},
};

function training(part?: 'temporal') {
  const unet = new UNet(config).allocate(1);
  shake(unet.namedWeights(), 0.02);
  if (part) unet.trainWhere(spec => spec.part === part);
  const latents = random<tf.Rank.R5>(1, 4, 8, 8, 4);
  const inputs = {
    latents,
    timesteps: tf.tensor1d([400]),
    context: random<tf.Rank.R3>(1, 3, 6),
    given: random<tf.Rank.R5>(1, 4, 8, 8, 5),
  };
  // Tables of positions and frequencies are made once.
  tf.tidy(() => void unet.forward(inputs));
  const variables = [...unet.trainableNamedWeights().values()];
  let kept = 0;
  const loss = () => {
    const before = tf.memory().numBytes;
    const value = tf.mean(tf.square(tf.sub(unet.forward(inputs), latents))) as tf.Scalar;
    kept = tf.memory().numBytes - before;
    return value;
  };
  const step = (checkpointing: Checkpointing) => {
    unet.checkpointing = checkpointing;
    const tensors = tf.memory().numTensors;
    const start = performance.now();
    const {value, grads} = engine.valueAndGrads(loss, variables);
    const result = {
      loss: bytes(value),
      grads: grads.map(grad => Float32Array.from(grad.dataSync())),
      ms: performance.now() - start,
      kept,
    };
    tf.dispose([value, ...grads]);
    expect(tf.memory().numTensors).toBe(tensors);
    return result;
  };
  return {step};
}

describe.each([
  [undefined, true],
  ['temporal', true],
  [undefined, 'all'],
  ['temporal', 'all'],
] as const)('training %s, checkpointing %s', (part, checkpointing) => {
  test('the same loss bit for bit, the same gradients to rounding, from at most 60% of the bytes', () => {
    const {step} = training(part);
    step(false);
    const plain = step(false);
    const lean = step(checkpointing);
    expect(lean.loss).toBe(plain.loss);
    const longest = Math.max(...plain.grads.map(values => Math.hypot(...values)));
    const worst = plain.grads.map((values, i) => Math.hypot(...values.map((v, j) => v - lean.grads[i]![j]!)) / longest);
    console.log(`largest difference of a gradient ${Math.max(...worst)}`);
    expect(Math.max(...worst)).toBeLessThan(1e-6);
    expect(lean.kept / plain.kept).toBeLessThan(0.6);
    console.log(
      `kept ${plain.kept} -> ${lean.kept} bytes (${((100 * lean.kept) / plain.kept).toFixed(0)} %), ${plain.ms.toFixed(0)} -> ${lean.ms.toFixed(0)} ms`,
    );
  });
});
