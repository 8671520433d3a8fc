// Prints what a training step of the quickstart's sizes takes on an engine and where the time goes, by kernel:
//   npx tsx test/engine/step_times.ts [engine] [--by-kernel] [--plain]
// --plain removes the fused kernels from wasm, for comparison.
import {type EngineName, openEngine, valueAndGrads} from '../../src/engine/index.ts';
import {AutoencoderKL, UNet} from '../../src/models/index.ts';
import {adamWStep} from '../../src/ops/index.ts';
import {fusedKernels} from '../../src/ops/kernel_contracts.ts';
import * as tf from '../../src/tf.ts';
import {randomTensor} from '../ops/support.ts';

const byKernel = process.argv.includes('--by-kernel');
const name = (process.argv.slice(2).find(argument => !argument.startsWith('--')) ?? 'wasm') as EngineName;
await openEngine(name);
if (process.argv.includes('--plain')) {
  for (const kernel of Object.keys(fusedKernels)) if (tf.getKernel(kernel, 'wasm')) tf.unregisterKernel(kernel, 'wasm');
}

const times = new Map<string, {calls: number; ms: number}>();
if (byKernel) timeKernels();

const temporal = {
  conv: true,
  attention: true,
  kernel: [3, 1, 1],
  alpha: {kind: 'learned', init: 0.5, per: 'layer'},
} as const;
const base = {
  inChannels: 4,
  outChannels: 4,
  layersPerBlock: 1,
  heads: {dim: 32},
  linearProjection: true,
  normGroups: 8,
};
const unet = {...base, channels: [64, 64], attention: [false, true]};
const video = new UNet({...unet, temporal}).allocate(1);
const image = new UNet(unet).allocate(1);
const autoencoder = new AutoencoderKL({
  channels: [16, 32, 64, 64],
  layersPerBlock: 1,
  latentChannels: 4,
  normGroups: 8,
  midAttention: false,
}).allocate(1);
const wide = new AutoencoderKL({
  channels: [32, 32, 64, 64],
  layersPerBlock: 1,
  latentChannels: 4,
  normGroups: 8,
  midAttention: false,
}).allocate(1);

const latents = randomTensor([4, 8, 8, 8, 4]);
const frames = tf.reshape(latents, [32, 8, 8, 4]);
const pixels = tf.clipByValue(randomTensor([8, 64, 64, 3]), -1, 1) as tf.Tensor4D;
const steps = (n: number) => tf.range(0, n) as tf.Tensor1D;

const variablesOf = (named: Map<string, tf.Variable>) => [...named.values()];
const temporalNames = new Set(
  video
    .weightSpecs()
    .filter(spec => spec.part === 'temporal')
    .map(spec => spec.path),
);
const temporalOnly = [...video.namedWeights()]
  .filter(([path]) => temporalNames.has(path))
  .map(([, variable]) => variable);
const reconstruct = (model: AutoencoderKL) => () =>
  tf.mean(tf.abs(tf.sub(model.decode(model.encode(pixels).mean), pixels))) as tf.Scalar;

run('image UNet, 64 channels, 32 images of 8x8', variablesOf(image.namedWeights()), () =>
  mse(image.forward({latents: frames as tf.Tensor4D, timesteps: steps(32)}), frames),
);
run('video UNet, 64 channels, 4 clips of 8 frames 8x8, all weights', variablesOf(video.namedWeights()), () =>
  mse(video.forward({latents: latents as tf.Tensor5D, timesteps: steps(4)}), latents),
);
run('video UNet, temporal weights only', temporalOnly, () =>
  mse(video.forward({latents: latents as tf.Tensor5D, timesteps: steps(4)}), latents),
);
run('autoencoder [16,32,64,64], 8 images of 64x64', variablesOf(autoencoder.namedWeights()), reconstruct(autoencoder));
run('autoencoder [32,32,64,64], 8 images of 64x64', variablesOf(wide.namedWeights()), reconstruct(wide));

function mse(a: tf.Tensor, b: tf.Tensor): tf.Scalar {
  return tf.mean(tf.squaredDifference(a, b)) as tf.Scalar;
}

function run(title: string, variables: tf.Variable[], loss: () => tf.Scalar): void {
  const zeros = () => variables.map(variable => tf.variable(tf.zerosLike(variable)));
  const [m, v, ema] = [zeros(), zeros(), variables.map(variable => tf.variable(variable))];
  const options = {
    learningRate: 1e-3,
    beta1: 0.9,
    beta2: 0.99,
    epsilon: 1e-8,
    weightDecay: 0.01,
    clipNorm: 1,
    emaDecay: 0.99,
  };
  const step = (count: number) => {
    const {value, grads} = valueAndGrads(loss, variables);
    const slots = variables.map((variable, i) => ({variable, gradient: grads[i]!, m: m[i]!, v: v[i]!, ema: ema[i]!}));
    const norm = adamWStep(slots, {...options, step: count});
    const number = value.dataSync()[0]!;
    tf.dispose([value, grads, norm]);
    return number;
  };
  const first = step(1);
  step(2);
  const before = tf.memory().numTensors;
  times.clear();
  const taken: number[] = [];
  const cpu = process.cpuUsage();
  let last = first;
  for (let i = 3; i < 13; i++) {
    const start = performance.now();
    last = step(i);
    taken.push(performance.now() - start);
  }
  const {user, system} = process.cpuUsage(cpu);
  const leaked = tf.memory().numTensors - before;
  const median = taken.sort((a, b) => a - b)[5]!;
  console.log(
    `${title}: ${median.toFixed(0)} ms a step (fastest ${taken[0]!.toFixed(0)}, processor ${((user + system) / 1e4).toFixed(0)}), loss ${first.toFixed(4)} -> ${last.toFixed(4)}, ${leaked} tensors leaked`,
  );
  for (const [kernel, {calls, ms}] of [...times].sort((a, b) => b[1].ms - a[1].ms).slice(0, 16)) {
    console.log(
      `  ${kernel.padEnd(28)} ${(calls / 10).toFixed(0).padStart(5)} calls ${(ms / 10).toFixed(1).padStart(8)} ms`,
    );
  }
  tf.dispose([m, v, ema]);
}

function timeKernels(): void {
  for (const config of tf.getKernelsForBackend(name)) {
    tf.unregisterKernel(config.kernelName, name);
    tf.registerKernel({
      ...config,
      kernelFunc: parameters => {
        const start = performance.now();
        try {
          return config.kernelFunc(parameters);
        } finally {
          const entry = times.get(config.kernelName) ?? {calls: 0, ms: 0};
          times.set(config.kernelName, {calls: entry.calls + 1, ms: entry.ms + performance.now() - start});
        }
      },
    });
  }
}
