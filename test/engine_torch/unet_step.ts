// Prints what a temporal-stage training step of a small Stable-Diffusion-shaped UNet takes on an engine, as JSON:
//   npx tsx test/engine_torch/unet_step.ts [engine] [steps]
// The shape is that of `tiny` in the PyTorch reference: 32 channels, levels 1, 2, 4, 4, 4 frames of 16 x 16, text 77 x 64.
import {type EngineName, openEngine} from '../../src/engine/index.ts';
import {UNet, videoLdmTemporal} from '../../src/models/index.ts';
import {adamWStep} from '../../src/ops/index.ts';
import {normals} from '../../src/random/index.ts';
import * as tf from '../../src/tf.ts';

const [name = 'torch', count = '10'] = process.argv.slice(2);
const engine = await openEngine(name as EngineName);
const unet = new UNet({
  inChannels: 4,
  outChannels: 4,
  channels: [32, 64, 128, 128],
  layersPerBlock: 2,
  attention: [true, true, true, false],
  heads: {dim: 16},
  crossAttentionDim: 64,
  linearProjection: true,
  normGroups: 32,
  temporal: videoLdmTemporal,
}).allocate(1);
const temporal = new Set(
  unet
    .weightSpecs()
    .filter(({part}) => part === 'temporal')
    .map(({path}) => path),
);
const trained = [...unet.namedWeights()].filter(([path]) => temporal.has(path)).map(([, variable]) => variable);
const draw = (shape: number[], step: number) =>
  tf.tensor(normals({seed: 1, stream: 3000, step}, tf.util.sizeFromShape(shape)), shape, 'float32');
const latents = draw([1, 4, 16, 16, 4], 0);
const noise = draw([1, 4, 16, 16, 4], 1);
const context = draw([1, 77, 64], 2) as tf.Tensor3D;
const timesteps = tf.tensor1d([500]);
const moments = trained.map(variable => [tf.variable(tf.zerosLike(variable)), tf.variable(tf.zerosLike(variable))]);

function step(number: number): number {
  return tf.tidy(() => {
    const loss = () => {
      const predicted = unet.forward({latents: latents as tf.Tensor5D, timesteps, context});
      return tf.mean(tf.square(tf.sub(predicted, noise))) as tf.Scalar;
    };
    const {value, grads} = engine.valueAndGrads(loss, trained);
    const slots = trained.map((variable, i) => {
      const [m, v] = moments[i] as [tf.Variable, tf.Variable];
      return {variable, gradient: grads[i]!, m, v};
    });
    adamWStep(slots, {learningRate: 1e-4, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01, step: number});
    return value.dataSync()[0]!;
  });
}

const losses = [step(1), step(2)];
const times: number[] = [];
for (let i = 0; i < Number(count); i++) {
  const start = performance.now();
  losses.push(step(3 + i));
  times.push(performance.now() - start);
}
times.sort((a, b) => a - b);
const size = (list: tf.Variable[]) => list.reduce((sum, {shape}) => sum + tf.util.sizeFromShape(shape), 0);
console.log(
  JSON.stringify({
    ...engine.describe(),
    parameters: size([...unet.namedWeights().values()]),
    trained: size(trained),
    medianMs: Number(times[times.length >> 1]!.toFixed(1)),
    fastestMs: Number(times[0]!.toFixed(1)),
    firstLoss: losses[0],
    lastLoss: losses.at(-1),
  }),
);
