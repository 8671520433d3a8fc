// Whether training in bf16 ends where training in fp32 does: a small temporal UNet on moving patterns, three seeds, the same
// data and noise in both. Prints held-out losses as JSON; exits with 1 where they differ by 2 % or more.
//   node --import tsx scripts/benchmark/compare_precisions.ts [--steps 300]
import {parseArgs} from 'node:util';
import {openEngine, type Precision} from '../../src/engine/index.ts';
import {UNet, videoLdmTemporal} from '../../src/models/index.ts';
import {philoxNormal} from '../../src/ops/index.ts';
import {uniforms} from '../../src/random/index.ts';
import * as tf from '../../src/tf.ts';
import {makeSlots, update, updateOptions} from '../../trainers/optimizer/optimizer.ts';
import {trainedWeights} from '../../trainers/recipe.ts';

const {values: options} = parseArgs({options: {steps: {type: 'string', default: '300'}}});
const steps = Number(options.steps);
const shape = [4, 4, 8, 8, 4] as const;
const optimizer = {
  learningRate: 2e-3,
  betas: [0.9, 0.99] as [number, number],
  epsilon: 1e-8,
  weightDecay: 0.01,
  clipNorm: 1,
  warmupSteps: 20,
  schedule: 'cosine' as const,
  emaDecay: 0.99,
};

/** Waves that move: phase, direction and channel offset are drawn for each clip. */
function clips(seed: number, index: number): tf.Tensor5D {
  const [b, t, h, w, c] = shape;
  const drawn = uniforms({seed, stream: 4001, step: index}, 3 * b);
  const values = new Float32Array(b * t * h * w * c);
  let at = 0;
  for (let n = 0; n < b; n++) {
    const [phase = 0, dx = 0, dy = 0] = drawn.subarray(3 * n, 3 * n + 3);
    for (let f = 0; f < t; f++)
      for (let y = 0; y < h; y++)
        for (let x = 0; x < w; x++)
          for (let k = 0; k < c; k++)
            values[at++] = Math.sin(0.8 * (x * dx + y * dy) + 6.3 * phase + 0.7 * f + 1.5 * k) * Math.SQRT2;
  }
  return tf.tensor5d(values, [...shape]);
}

/** Noise prediction at a level drawn for each clip. */
function lossOf(unet: UNet, seed: number, index: number): tf.Scalar {
  const level = uniforms({seed, stream: 4002, step: index}, shape[0]);
  const alpha = tf.tensor(
    level.map(u => Math.cos(u * 1.5)),
    [shape[0], 1, 1, 1, 1],
  );
  const sigma = tf.tensor(
    level.map(u => Math.sin(u * 1.5)),
    [shape[0], 1, 1, 1, 1],
  );
  const noise = philoxNormal(shape, {seed, stream: 4003, step: index});
  const latents: tf.Tensor5D = tf.add(tf.mul(clips(seed, index), alpha), tf.mul(noise, sigma));
  const timesteps = tf.tensor1d(level.map(u => Math.floor(u * 1000)));
  return tf.mean(tf.square(tf.sub(unet.forward({latents, timesteps}), noise)));
}

async function heldOutLoss(seed: number, precision: Precision): Promise<number> {
  const engine = await openEngine('torch', {precision});
  const unet = new UNet({
    inChannels: 4,
    outChannels: 4,
    channels: [32, 32],
    layersPerBlock: 1,
    attention: [true, false],
    heads: {dim: 16},
    linearProjection: true,
    normGroups: 8,
    temporal: videoLdmTemporal,
  }).allocate(seed);
  const slots = makeSlots(trainedWeights(unet));
  for (let step = 0; step < steps; step++) {
    tf.tidy(() => {
      const {grads} = engine.valueAndGrads(
        () => lossOf(unet, seed, step),
        slots.map(slot => slot.variable),
      );
      update(slots, grads, updateOptions(optimizer, {step, steps}));
    });
  }
  const losses = Array.from({length: 16}, (_, i) => tf.tidy(() => lossOf(unet, seed + 1000, i).dataSync()[0]!));
  unet.dispose();
  return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
}

const results: object[] = [];
let worst = 0;
for (const seed of [1, 2, 3]) {
  const [fp32, bf16] = [await heldOutLoss(seed, 'fp32'), await heldOutLoss(seed, 'bf16')];
  const difference = Math.abs(bf16 / fp32 - 1);
  worst = Math.max(worst, difference);
  results.push({seed, fp32, bf16, differencePercent: 100 * difference});
}
console.log(JSON.stringify({steps, results, worstPercent: 100 * worst}, null, 1));
process.exitCode = worst < 0.02 ? 0 : 1;
