// Our side of the benchmark: loads the files of cases.ts, then answers each line `steps N` on standard input with one line of
// JSON: milliseconds (by the clock, and of processors) and losses of N training steps (temporal layers trained, everything
// spatial frozen, AdamW). Flags and JSON are those of pytorch.py. Started by against_pytorch.ts and gpu.ts.
//   node --import tsx scripts/benchmark/ours.ts FOLDER --threads 2 --precision bf16 --variant graph
import {readFileSync} from 'node:fs';
import path from 'node:path';
import {createInterface} from 'node:readline';
import {parseArgs} from 'node:util';
import {type EngineName, openEngine, type Precision} from '../../src/engine/index.ts';
import {UNet} from '../../src/models/index.ts';
import {type AdamWSlot, adamWScalars, adamWStep} from '../../src/ops/index.ts';
import * as tf from '../../src/tf.ts';
import {f32} from '../../src/weights/host_tensor.ts';
import {loadWeights} from '../../src/weights/load_weights.ts';
import {withSafetensors} from '../../src/weights/safetensors.ts';
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
const {unet: config, optimizer} = JSON.parse(readFileSync(path.join(folder, 'case.json'), 'utf8')) as Case;

const unet = new UNet(config);
await withSafetensors(path.join(folder, 'weights.safetensors'), file => loadWeights(unet, file, {pathOf: key => key}));
const batch = await withSafetensors(path.join(folder, 'batch.safetensors'), async file => {
  const tensor = async (key: string) => {
    const read = await file.read(key);
    return tf.tensor(f32(read), [...read.shape], 'float32');
  };
  return {
    latents: (await tensor('latents')) as tf.Tensor5D,
    target: (await tensor('target')) as tf.Tensor5D,
    ...(file.tensors.has('context') ? {context: (await tensor('context')) as tf.Tensor3D} : {}),
    timesteps: (await tensor('timesteps')) as tf.Tensor1D,
  };
});

const part = new Map(unet.weightSpecs().map(spec => [spec.path, spec.part]));
const trained = [...unet.namedWeights()]
  .filter(([key]) => part.get(key) === 'temporal')
  .map(([, variable]) => variable);
const zeros = (like: tf.Variable) => tf.variable(tf.zerosLike(like), false);
const moments = trained.map(variable => ({m: zeros(variable), v: zeros(variable)}));

interface Inputs {
  [name: string]: tf.Tensor | undefined;
  latents: tf.Tensor5D;
  target: tf.Tensor5D;
  context?: tf.Tensor3D;
  timesteps: tf.Tensor1D;
  scalars: tf.Tensor1D;
}
/** Forward, backward and update; all that changes from step to step is in the inputs. */
function train(inputs: Inputs) {
  const loss = () => tf.mean(tf.square(tf.sub(unet.forward(inputs), inputs.target))) as tf.Scalar;
  const {value, grads} = engine.valueAndGrads(loss, trained);
  const slots: AdamWSlot[] = trained.map((variable, i) => ({variable, gradient: grads[i]!, ...moments[i]!}));
  return {value, norm: adamWStep(slots, inputs.scalars)};
}
const run = options.variant === 'graph' ? engine.capture(train) : train;
function step(number: number): number {
  return tf.tidy(() => {
    const scalars = tf.tensor1d(adamWScalars({...optimizer, step: number}));
    return run({...batch, scalars}).value.dataSync()[0]!;
  });
}
const peak =
  options.engine === 'torch'
    ? await import('tfjs-backend-torch').then(torch => () => torch.engineStats().peak)
    : () => undefined;

const parameters = trained.reduce((sum, {size}) => sum + size, 0);
console.log(JSON.stringify({ready: true, ...engine.describe(), variant: options.variant, trained: parameters}));
let done = 0;
for await (const line of createInterface(process.stdin)) {
  const answer = {ms: [] as number[], cpuMs: [] as number[], losses: [] as number[]};
  for (let i = 0; i < Number(line.split(' ')[1]); i++) {
    const [start, before] = [performance.now(), process.cpuUsage()];
    answer.losses.push(step(++done));
    answer.ms.push(performance.now() - start);
    const {user, system} = process.cpuUsage(before);
    answer.cpuMs.push((user + system) / 1000);
  }
  console.log(JSON.stringify({...answer, peakBytes: peak(), tensors: tf.memory().numTensors}));
}
