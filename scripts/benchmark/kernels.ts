// The hand-written kernels against the time their bytes take at this device's copy bandwidth, as JSON:
//   node --import tsx scripts/benchmark/kernels.ts [--precision bf16] [--small]
// On CUDA many calls are recorded as one graph, so that a kernel's time is measured and not its launch from JavaScript.
import {parseArgs} from 'node:util';
import {openEngine, type Precision} from '../../src/engine/index.ts';
import {runFused} from '../../src/ops/fused.ts';
import * as tf from '../../src/tf.ts';
import {median} from './worker.ts';

const {values: options} = parseArgs({
  options: {precision: {type: 'string', default: 'bf16'}, small: {type: 'boolean', default: false}},
});
const engine = await openEngine('torch', {precision: options.precision as Precision});
const calls = options.small ? 2 : 20;
const bytesEach = options.precision === 'bf16' ? 2 : 4;
const shrink = options.small ? 8 : 1;

/** A tensor as the storage policy keeps activations: the result of a product. */
function activation(shape: number[]): tf.Tensor {
  return tf.tidy(() => {
    const channels = shape.at(-1)!;
    const rows = tf.randomNormal([tf.util.sizeFromShape(shape) / channels, channels]) as tf.Tensor2D;
    return tf.reshape(tf.matMul(rows, tf.eye(channels)), shape);
  });
}

/** Milliseconds of one call. */
function timeOf(call: () => tf.Tensor[]): number {
  const many = engine.capture(() => {
    let last: tf.Tensor[] = [];
    for (let i = 0; i < calls; i++) {
      tf.dispose(last);
      last = call();
    }
    return {done: last[0]!};
  });
  const times: number[] = [];
  for (let i = 0; i < (options.small ? 8 : 30); i++) {
    const start = performance.now();
    // One element is read: that waits for all.
    tf.tidy(() => tf.slice(tf.reshape(many({}).done, [-1]), [0], [1]).dataSync());
    times.push((performance.now() - start) / calls);
  }
  many.dispose();
  return median(times.slice(5));
}

const rows: object[] = [];
const copied = activation([2 ** 26 / shrink / 64, 64]);
const copyMs = timeOf(() => [tf.add(copied, 1)]);
const bandwidth = (2 * copied.size * bytesEach) / copyMs; // bytes per millisecond
tf.dispose(copied);

/** `moved`: how many times the tensor's bytes are read or written where nothing is read twice. */
function row(kernel: string, shape: number[], moved: number, call: () => tf.Tensor[]): void {
  const ms = timeOf(call);
  const floorMs = (moved * tf.util.sizeFromShape(shape) * bytesEach) / bandwidth;
  rows.push({kernel, shape, ms, floorMs, ratio: ms / floorMs});
}

for (const shape of [
  [8, 8 / (shrink > 1 ? 2 : 1), 16, 1280],
  [8, 32 / shrink, 64, 320],
  [1, 8, 32 / shrink, 64, 320],
]) {
  const channels = shape.at(-1)!;
  const [x, dy, gamma, beta] = [activation(shape), activation(shape), tf.ones([channels]), tf.zeros([channels])];
  const attrs = {groups: 32, epsilon: 1e-5, silu: true};
  const [, stats] = runFused('FusedGroupNorm', [x, gamma, beta], attrs) as [tf.Tensor, tf.Tensor];
  row('GroupNorm + SiLU forward', shape, 2, () => runFused('FusedGroupNorm', [x, gamma, beta], attrs));
  row('GroupNorm + SiLU backward', shape, 3, () =>
    runFused('FusedGroupNormGrad', [dy, stats, x, gamma, beta], {...attrs, parameters: true}),
  );
}
for (const frames of [8, 16]) {
  const shape = [1, frames, 2048 / shrink, 320];
  const [q, k, v, dy] = [activation(shape), activation(shape), activation(shape), activation(shape)];
  const [y, saved] = runFused('TemporalAttention', [q, k, v], {heads: 5}) as [tf.Tensor, tf.Tensor];
  row('temporal attention forward', shape, 4, () => runFused('TemporalAttention', [q, k, v], {heads: 5}));
  row('temporal attention backward', shape, 7, () =>
    runFused('TemporalAttentionGrad', [dy, y, saved, q, k, v], {heads: 5}),
  );
}
const round = (_: string, value: unknown) => (typeof value === 'number' ? Number(value.toPrecision(4)) : value);
console.log(JSON.stringify({...engine.describe(), copyGBs: bandwidth / 1e6, rows}, round, 1));
