// The hand-written kernels against the time their bytes take at this device's copy bandwidth, as JSON:
//   node --import tsx scripts/benchmark/kernels.ts [--precision bf16] [--small]
// On CUDA many calls are recorded as one graph, so that a kernel's time is measured and not its launch from JavaScript. Each call
// reads and writes memory that the calls before it did not touch, as far as a GPU's cache reaches.
import {parseArgs} from 'node:util';
import {openEngine, type Precision} from '../../src/engine/index.ts';
import {runFused} from '../../src/ops/fused.ts';
import {philoxNormal} from '../../src/ops/index.ts';
import * as tf from '../../src/tf.ts';
import {median} from './worker.ts';

const {values: options} = parseArgs({
  options: {precision: {type: 'string', default: 'bf16'}, small: {type: 'boolean', default: false}},
});
const engine = await openEngine('torch', {precision: options.precision as Precision});
const bytesEach = options.precision === 'bf16' ? 2 : 4;
const shrink = options.small ? 8 : 1;

let made = 0;
/** A tensor as the storage policy keeps activations: the result of a product. */
function activation(shape: number[]): tf.Tensor {
  return tf.tidy(() => {
    const channels = shape.at(-1)!;
    const rows = philoxNormal([tf.util.sizeFromShape(shape) / channels, channels], {seed: 1, stream: 1, step: made++});
    return tf.reshape(tf.matMul(rows as tf.Tensor2D, tf.eye(channels)), shape);
  });
}

/** Several times the largest second-level cache. */
const beyondCache = 2 ** 28;

/** Milliseconds of one call on inputs of which `make` makes a set that holds `bytes`. */
function timeOf(bytes: number, make: () => tf.Tensor[], call: (...inputs: tf.Tensor[]) => tf.Tensor[]): number {
  const sets = Array.from({length: options.small ? 1 : Math.ceil(beyondCache / bytes)}, make);
  const calls = options.small ? 2 : Math.max(20, sets.length);
  const many = engine.capture(() => {
    const results = Array.from({length: calls}, (_, i) => call(...sets[i % sets.length]!));
    return {done: results.at(-1)![0]!};
  });
  const times: number[] = [];
  for (let i = 0; i < (options.small ? 8 : 30); i++) {
    const start = performance.now();
    // One element is read: that waits for all.
    tf.tidy(() => tf.slice(tf.reshape(many({}).done, [-1]), [0], [1]).dataSync());
    times.push((performance.now() - start) / calls);
  }
  many.dispose();
  tf.dispose(sets);
  return median(times.slice(5));
}

const rows: object[] = [];
const copied = [2 ** 26 / shrink / 64, 64];
const copiedBytes = 2 * tf.util.sizeFromShape(copied) * bytesEach;
const copyMs = timeOf(
  copiedBytes,
  () => [activation(copied)],
  x => [tf.add(x!, 1)],
);
const bandwidth = copiedBytes / copyMs; // bytes per millisecond

/** `moved`: how many times the tensor's bytes are read or written where nothing is read twice. */
function row(
  kernel: string,
  shape: number[],
  moved: number,
  make: () => tf.Tensor[],
  call: (...inputs: tf.Tensor[]) => tf.Tensor[],
): void {
  const bytes = moved * tf.util.sizeFromShape(shape) * bytesEach;
  const [ms, floorMs] = [timeOf(bytes, make, call), bytes / bandwidth];
  rows.push({kernel, shape, ms, floorMs, ratio: ms / floorMs});
}

for (const shape of [
  [8, 8 / (shrink > 1 ? 2 : 1), 16, 1280],
  [8, 32 / shrink, 64, 320],
  [1, 8, 32 / shrink, 64, 320],
]) {
  const channels = shape.at(-1)!;
  const attrs = {groups: 32, epsilon: 1e-5, silu: true};
  const inputs = () => [activation(shape), tf.ones([channels]), tf.zeros([channels])];
  row('GroupNorm + SiLU forward', shape, 2, inputs, (...given) => runFused('FusedGroupNorm', given, attrs));
  const withStatistics = () => {
    const given = inputs();
    const [y, stats] = runFused('FusedGroupNorm', given, attrs) as [tf.Tensor, tf.Tensor];
    y.dispose();
    return [activation(shape), stats, ...given];
  };
  row('GroupNorm + SiLU backward', shape, 3, withStatistics, (...given) =>
    runFused('FusedGroupNormGrad', given, {...attrs, parameters: true}),
  );
}
for (const frames of [8, 16]) {
  const shape = [1, frames, 2048 / shrink, 320];
  const inputs = () => [activation(shape), activation(shape), activation(shape)];
  row('temporal attention forward', shape, 4, inputs, (...given) => runFused('TemporalAttention', given, {heads: 5}));
  const withOutputs = () => {
    const given = inputs();
    return [activation(shape), ...runFused('TemporalAttention', given, {heads: 5}), ...given];
  };
  row('temporal attention backward', shape, 7, withOutputs, (...given) =>
    runFused('TemporalAttentionGrad', given, {heads: 5}),
  );
}
const round = (_: string, value: unknown) => (typeof value === 'number' ? Number(value.toPrecision(4)) : value);
console.log(JSON.stringify({...engine.describe(), copyGBs: bandwidth / 1e6, rows}, round, 1));
