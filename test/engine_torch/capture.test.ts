// A whole training step (forward, backward, clipping, AdamW, averages) as a captured step, against the same steps done one
// operation at a time: 100 of them, through warm-up, with fresh noise each, end in the same bytes.
import {describe, expect, test} from 'vitest';
import {isBuilt} from '../../packages/tfjs-backend-torch/src/built.ts';
import {type EngineName, openEngine} from '../../src/engine/index.ts';
import {UNet, videoLdmTemporal} from '../../src/models/index.ts';
import {adamWScalars, philoxNormal} from '../../src/ops/index.ts';
import * as tf from '../../src/tf.ts';
import {makeSlots, type Slot, update, updateOptions} from '../../trainers/optimizer/optimizer.ts';
import {trainedWeights} from '../../trainers/recipe.ts';

const optimizer = {
  learningRate: 2e-3,
  betas: [0.9, 0.99] as [number, number],
  epsilon: 1e-8,
  weightDecay: 0.01,
  clipNorm: 1,
  warmupSteps: 10,
  schedule: 'cosine' as const,
  emaDecay: 0.95,
};
const shape = [1, 2, 4, 4, 2] as const;

function micro() {
  const unet = new UNet({
    inChannels: 2,
    outChannels: 2,
    channels: [8],
    layersPerBlock: 1,
    attention: [true],
    heads: {dim: 4},
    crossAttentionDim: 4,
    linearProjection: true,
    normGroups: 2,
    temporal: videoLdmTemporal,
  }).allocate(3);
  return {unet, slots: makeSlots(trainedWeights(unet))};
}
type Micro = ReturnType<typeof micro>;
interface Batch {
  [name: string]: tf.Tensor;
  latents: tf.Tensor;
  context: tf.Tensor;
  timesteps: tf.Tensor;
  counter: tf.Tensor;
}

/** Noise depends on the counter alone; everything is computed on the device. */
function lossOf({unet}: Micro, {latents, context, timesteps, counter}: Batch): tf.Scalar {
  const noise = philoxNormal(shape, {seed: 5, stream: 77, step: counter});
  const noisy = tf.add(tf.mul(latents, 0.6), tf.mul(noise, 0.8)) as tf.Tensor5D;
  const inputs = {latents: noisy, timesteps: timesteps as tf.Tensor1D, context: context as tf.Tensor3D};
  return tf.mean(tf.square(tf.sub(unet.forward(inputs), noise)));
}
function batchAt(step: number): Batch {
  return {
    latents: philoxNormal(shape, {seed: 5, stream: 78, step}),
    context: philoxNormal([1, 3, 4], {seed: 5, stream: 79, step}),
    timesteps: tf.tensor1d([(step * 37) % 1000], 'float32'),
    counter: tf.scalar(step, 'int32'),
  };
}
function stateOf(slots: readonly Slot[]): number[][] {
  return slots.flatMap(({variable, m, v, ema}) => [variable, m, v, ema].map(x => Array.from(x.dataSync())));
}

async function bothWays(name: EngineName, steps: number) {
  const engine = await openEngine(name);
  const [eager, replayed] = [micro(), micro()];
  const variablesOf = ({slots}: Micro) => slots.map(slot => slot.variable);
  const eagerLosses: number[] = [];
  for (let step = 0; step < steps; step++) {
    tf.tidy(() => {
      const batch = batchAt(step);
      const {value, grads} = engine.valueAndGrads(() => lossOf(eager, batch), variablesOf(eager));
      update(eager.slots, grads, updateOptions(optimizer, {step, steps}));
      eagerLosses.push(value.dataSync()[0]!);
    });
  }
  const captured = engine.capture(({batch, scalars}: {batch: Batch; scalars: tf.Tensor}) => {
    const {value, grads} = engine.valueAndGrads(() => lossOf(replayed, batch), variablesOf(replayed));
    return {loss: value, norm: update(replayed.slots, grads, scalars as tf.Tensor1D)};
  });
  const losses: number[] = [];
  const counts: number[] = [];
  for (let step = 0; step < steps; step++) {
    const {loss, norm} = tf.tidy(() => {
      const scalars = tf.tensor1d(adamWScalars(updateOptions(optimizer, {step, steps})));
      return captured({batch: batchAt(step), scalars});
    });
    losses.push((await loss.data())[0]!);
    expect(Number.isFinite((await norm.data())[0]!)).toBe(true);
    counts.push(tf.memory().numTensors);
  }
  captured.dispose();
  return {eager, replayed, eagerLosses, losses, counts};
}

for (const [name, steps] of [
  ['torch', 100],
  ['cpu', 3],
] as const) {
  describe.skipIf(name === 'torch' && !isBuilt())(`a captured training step on ${name}`, () => {
    test(`${steps} captured steps are ${steps} eager ones, byte for byte`, {timeout: 240_000}, async () => {
      const {eager, replayed, eagerLosses, losses, counts} = await bothWays(name, steps);
      expect(losses).toEqual(eagerLosses);
      expect(new Set(losses).size).toBe(steps);
      expect(stateOf(replayed.slots)).toEqual(stateOf(eager.slots));
      expect(stateOf(replayed.slots)).not.toEqual(stateOf(micro().slots));
      expect(new Set(counts.slice(1)).size).toBe(1);
    });
  });
}
