// Builds a video UNet and trains its temporal layers for one step: noise in, less loss out.
import {diffusionLoss, makeSchedule, noiseTensor, openEngine, ops, tf, UNet} from 'video-ldm';

const engine = await openEngine('auto');
const unet = new UNet({
  inChannels: 4,
  outChannels: 4,
  channels: [16, 32],
  layersPerBlock: 1,
  attention: [false, true],
  heads: {dim: 16},
  linearProjection: true,
  normGroups: 8,
  temporal: {conv: true, attention: true, kernel: [3, 1, 1], alpha: {kind: 'learned', init: 0.5, per: 'layer'}},
}).allocate(1);
unet.trainWhere(({part}) => part === 'temporal');

const schedule = makeSchedule({kind: 'scaled_linear', betaStart: 0.00085, betaEnd: 0.012});
const latents = noiseTensor({seed: 1, stream: 'synthetic', step: 0}, [2, 4, 8, 8, 4]);
const noise = noiseTensor({seed: 1, stream: 'noise', step: 0}, latents.shape);
const timesteps = tf.tensor1d([100, 700], 'int32');
const denoise = (noisy: tf.Tensor, t: tf.Tensor1D) => unet.forward({latents: noisy, timesteps: t});
const loss = () => diffusionLoss({denoise, latents, noise, timesteps, schedule, prediction: 'eps'});

const variables = [...unet.trainableNamedWeights().values()];
const {value, grads} = engine.valueAndGrads(loss, variables);
const zeros = (v: tf.Variable) => tf.variable(tf.zeros(v.shape), false);
const slots = variables.map((variable, i) => ({variable, gradient: grads[i]!, m: zeros(variable), v: zeros(variable)}));
ops.adamWStep(slots, {learningRate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, step: 1});
console.log(`${engine.name}: loss ${value.dataSync()[0]}, after one step loss ${loss().dataSync()[0]}`);
