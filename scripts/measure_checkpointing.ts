// What gradient checkpointing saves and costs: bytes of activations kept for the gradient, the peak of the step, and its time,
// on the `small` UNet with its temporal layers and the torch engine. Usage: node --import tsx scripts/measure_checkpointing.ts [STEPS]
import {engineStats, resetPeakMemory} from 'tfjs-backend-torch';
import {loadConfig} from '../src/config/load.ts';
import {openEngine} from '../src/engine/index.ts';
import type {Checkpointing} from '../src/layers/unet_stages.ts';
import {UNet} from '../src/models/index.ts';
import {normals} from '../src/random/index.ts';
import * as tf from '../src/tf.ts';
import {layersOverTime} from '../trainers/parents/layers_over_time.ts';

const steps = Number(process.argv[2] ?? 9);
const image = loadConfig('configs/small/image.yaml');
const temporal = loadConfig('configs/small/temporal.yaml');
if (image.stage !== 'image' || !image.unet || temporal.stage !== 'temporal') throw new Error('Other configurations.');
const engine = await openEngine('torch');
const layers = layersOverTime(temporal.temporal, undefined, {from: undefined, frames: temporal.data.frames});
const unet = new UNet({...image.unet, temporal: layers}).allocate(1);
const shape: [number, number, number, number, number] = [temporal.data.batchSize, temporal.data.frames, 8, 8, 4];
const size = shape.reduce((a, b) => a * b, 1);
const draw = (step: number) => tf.tensor5d(normals({seed: 1, stream: 'noise', step}, size), shape);
const [latents, noise] = [draw(0), draw(1)];
const timesteps = tf.fill([shape[0]], 500) as tf.Tensor1D;

for (const part of ['image (all weights)', 'temporal (temporal weights)'] as const) {
  const mode = part.startsWith('image') ? 'image' : 'video';
  unet.trainWhere(spec => (mode === 'image' ? spec.part === 'spatial' : spec.part === 'temporal'));
  const variables = [...unet.trainableNamedWeights().values()];
  const measure = async (checkpointing: Checkpointing) => {
    unet.checkpointing = checkpointing;
    const times: number[] = [];
    const busy: number[] = [];
    let kept = 0;
    let peak = 0;
    for (let step = 0; step < steps + 2; step++) {
      const before = engineStats().allocated;
      resetPeakMemory();
      const start = performance.now();
      const used = process.cpuUsage();
      const {value, grads} = engine.valueAndGrads(() => {
        const loss = tf.mean(tf.square(tf.sub(unet.forward({latents, timesteps, mode}), noise))) as tf.Scalar;
        kept = engineStats().allocated - before;
        return loss;
      }, variables);
      await value.data();
      times.push(performance.now() - start);
      const {user, system} = process.cpuUsage(used);
      busy.push((user + system) / 1000);
      peak = engineStats().peak - before;
      tf.dispose([value, ...grads]);
    }
    return {kept, peak, ms: median(times.slice(2)), cpu: median(busy.slice(2))};
  };
  const plain = await measure(false);
  const lean = await measure(true);
  const again = await measure(false);
  const all = await measure('all');
  const [ms, cpu] = [Math.min(plain.ms, again.ms), Math.min(plain.cpu, again.cpu)];
  const mib = (bytes: number) => (bytes / 2 ** 20).toFixed(1);
  const say = (name: string, lean: typeof all) =>
    console.log(
      `${part}, ${name}: kept ${mib(plain.kept)} -> ${mib(lean.kept)} MiB (${(100 * (lean.kept / plain.kept - 1)).toFixed(0)} %), ` +
        `peak ${mib(plain.peak)} -> ${mib(lean.peak)} MiB (${(100 * (lean.peak / plain.peak - 1)).toFixed(0)} %), ` +
        `median of ${steps} steps ${ms.toFixed(0)} -> ${lean.ms.toFixed(0)} ms (+${(100 * (lean.ms / ms - 1)).toFixed(0)} %), processor time ${cpu.toFixed(0)} -> ${lean.cpu.toFixed(0)} ms (+${(100 * (lean.cpu / cpu - 1)).toFixed(0)} %)`,
    );
  say('transformers', lean);
  say('all blocks', all);
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
