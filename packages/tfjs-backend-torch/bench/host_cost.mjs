// What one operation costs on the host, without arithmetic to speak of: microseconds per call on tensors of one to four
// elements, forward; of processor time, which other work on the machine disturbs less than the clock. Prints JSON. node packages/tfjs-backend-torch/bench/host_cost.mjs (after tsc -b and the build)
import * as tf from '@tensorflow/tfjs-core';
import {native} from '../dist/binding.js';
import {setThreads, torchInfo} from '../dist/index.js';

setThreads(1);
await tf.setBackend('torch');
const addon = native();
const x = tf.tensor2d([1, 2, 3, 4], [2, 2]);
const image = tf.ones([1, 2, 2, 1]);
const filter = tf.ones([1, 1, 1, 1]);

/** Best of five rounds, in microseconds of processor time per call. */
function measure(run, calls = 20_000) {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5; round++) {
    const start = process.cpuUsage();
    for (let i = 0; i < calls; i++) run();
    const {user, system} = process.cpuUsage(start);
    best = Math.min(best, (user + system) / calls);
  }
  return Number(best.toFixed(2));
}
const op = f => () => f().dispose();
const handle = tf.backend().handle(x);

console.log(
  JSON.stringify(
    {
      ...torchInfo(),
      microseconds: {
        'addon only: add and release': measure(() => addon.release(addon.add(handle, handle))),
        add: measure(op(() => tf.add(x, x))),
        relu: measure(op(() => tf.relu(x))),
        reshape: measure(op(() => tf.reshape(x, [4]))),
        sum: measure(op(() => tf.sum(x, 1))),
        matMul: measure(op(() => tf.matMul(x, x))),
        concat: measure(op(() => tf.concat([x, x], 1))),
        slice: measure(op(() => tf.slice(x, [0, 0], [1, 2]))),
        transpose: measure(op(() => tf.transpose(x, [1, 0]))),
        conv2d: measure(
          op(() => tf.conv2d(image, filter, 1, 'same')),
          5000,
        ),
      },
    },
    null,
    1,
  ),
);
