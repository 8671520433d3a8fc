// Our side of the benchmark: loads the files of cases.ts, then answers each line `steps N` on standard input with one line of
// JSON: milliseconds (by the clock, and of processors) and losses of N training steps, the trainers' own: of a UNet with
// temporal layers those are trained and everything spatial is frozen; AdamW. Flags and JSON are those of pytorch.py, and the
// variant `loop`, which reads each loss one step late. Started by against_pytorch.ts, against_wasm.ts and gpu.ts.
//   node --import tsx scripts/benchmark/ours.ts FOLDER --threads 2 --precision bf16 --variant graph
import {readFileSync} from 'node:fs';
import path from 'node:path';
import {createInterface} from 'node:readline';
import {parseArgs} from 'node:util';
import {type EngineName, openEngine, type Precision, runEachTime} from '../../src/engine/index.ts';
import {
  type AutoencoderConfig,
  AutoencoderKL,
  sampleRawLatents,
  UNet,
  type UNetInputs,
} from '../../src/models/index.ts';
import type {UNetConfig} from '../../src/models/unet_config.ts';
import * as tf from '../../src/tf.ts';
import {f32} from '../../src/weights/host_tensor.ts';
import {loadWeights} from '../../src/weights/load_weights.ts';
import {withSafetensors} from '../../src/weights/safetensors.ts';
import {makeMomentSlots} from '../../trainers/optimizer/optimizer.ts';
import {trainedWeights} from '../../trainers/recipe.ts';
import {openPhase} from '../../trainers/step/phase.ts';
import type {Case} from './cases.ts';

const {values: options, positionals} = parseArgs({
  allowPositionals: true,
  options: {
    engine: {type: 'string', default: 'torch'},
    threads: {type: 'string', default: '0'},
    device: {type: 'string'},
    precision: {type: 'string', default: 'fp32'},
    variant: {type: 'string', default: 'eager'},
  },
});
const [folder = ''] = positionals;
if (Number(options.threads) > 0) process.env.TFJS_TORCH_THREADS = options.threads;
if (options.device) process.env.TFJS_TORCH_DEVICE = options.device;
const engine = await openEngine(options.engine as EngineName, {precision: options.precision as Precision});
const chosen = JSON.parse(readFileSync(path.join(folder, 'case.json'), 'utf8')) as Case;

interface Batch {
  [name: string]: tf.Tensor;
}
const {network, loss} = 'unet' in chosen ? unetOf(chosen.unet) : autoencoderOf(chosen.autoencoder);
await withSafetensors(path.join(folder, 'weights.safetensors'), file =>
  loadWeights(network, file, {pathOf: key => key}),
);
const batch = await withSafetensors(path.join(folder, 'batch.safetensors'), async file => {
  const tensors: Batch = {};
  for (const key of file.tensors.keys()) {
    const read = await file.read(key);
    tensors[key] = tf.tensor(f32(read), [...read.shape], 'float32');
  }
  return tensors;
});

function unetOf(config: UNetConfig) {
  const network = new UNet(config);
  const loss = (inputs: Batch) =>
    tf.mean(tf.square(tf.sub(network.forward(inputs as Batch & UNetInputs), inputs.target!)));
  return {network, loss};
}
/** L1 and the posterior's divergence, as configs/tiny weighs them. */
function autoencoderOf(config: AutoencoderConfig) {
  const network = new AutoencoderKL(config);
  const loss = (inputs: Batch) => {
    const [pixels, noise] = [inputs.pixels as tf.Tensor4D, inputs.noise as tf.Tensor4D];
    const posterior = network.encode(pixels);
    const {mean, logvar} = posterior;
    const error = tf.mean(tf.abs(tf.sub(network.decode(sampleRawLatents(posterior, noise)), pixels)));
    const divergence = tf.sum(tf.sub(tf.add(tf.square(mean), tf.exp(logvar)), tf.add(logvar, 1)));
    return tf.add(error, tf.mul(divergence, (0.0123 * 0.5) / pixels.size));
  };
  return {network, loss};
}

if ('unet' in chosen && chosen.unet.temporal) network.trainWhere(({part}) => part === 'temporal').storeFrozen();
const slots = makeMomentSlots(trainedWeights(network));
const phase = openPhase(
  {
    valueAndGrads: engine.valueAndGrads,
    capture: options.variant === 'eager' ? runEachTime : engine.capture,
    accumulate: 1,
    group: engine.group,
    spoiled: tf.tidy(() => tf.variable(tf.scalar(0), false)),
  },
  slots,
  (inputs: Batch) => loss(inputs) as tf.Scalar,
);
/** Begins one step and the read of its loss. */
function step(number: number): Promise<number> {
  const figures = phase.run([batch], {...chosen.optimizer, step: number});
  return figures.data().then(([loss]) => {
    figures.dispose();
    return loss!;
  });
}
const peak =
  options.engine === 'torch'
    ? await import('tfjs-backend-torch').then(torch => () => torch.engineStats().peak)
    : () => undefined;

const parameters = slots.reduce((sum, {variable}) => sum + variable.size, 0);
console.log(JSON.stringify({ready: true, ...engine.describe(), variant: options.variant, trained: parameters}));
let done = 0;
for await (const line of createInterface(process.stdin)) {
  const answer = {ms: [] as number[], cpuMs: [] as number[], losses: [] as number[]};
  let before: Promise<number> | undefined;
  for (let i = 0; i < Number(line.split(' ')[1]); i++) {
    const [start, cpu] = [performance.now(), process.cpuUsage()];
    const loss = step(++done);
    // As in training, the step before is read while this one is computed; the other variants wait for their own.
    if (options.variant !== 'loop') answer.losses.push(await loss);
    else if (before) answer.losses.push(await before);
    before = loss;
    answer.ms.push(performance.now() - start);
    const {user, system} = process.cpuUsage(cpu);
    answer.cpuMs.push((user + system) / 1000);
  }
  if (options.variant === 'loop' && before) answer.losses.push(await before);
  console.log(JSON.stringify({...answer, peakBytes: peak(), tensors: tf.memory().numTensors}));
}
