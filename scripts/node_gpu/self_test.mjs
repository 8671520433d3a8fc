// Loads a set-up @tensorflow/tfjs-node-gpu (its folder is the argument) and checks a convolution over frames, its
// gradients and a variable's update against sums done here in plain JavaScript. Exits 1 with one sentence otherwise.
import {createRequire} from 'node:module';
import path from 'node:path';

process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
const packageFolder = process.argv[2];
const require = createRequire(path.join(packageFolder, 'package.json'));

function fail(sentence) {
  console.error(`error: ${sentence}`);
  process.exit(1);
}

/** Frames x[t] (one number each) convolved with k over time, zero outside. */
const convolve = (x, k) => x.map((_, t) => k.reduce((sum, w, i) => sum + w * (x[t + i - 1] ?? 0), 0));

try {
  require(packageFolder);
} catch (error) {
  fail(`the package did not load: ${String(error.message).split('\n')[0]}`);
}
const tf = require('@tensorflow/tfjs-core');
if (tf.getBackend() !== 'tensorflow') fail(`the backend is "${tf.getBackend()}", not "tensorflow".`);

const x = [1, -2, 3, 0.5];
const k = tf.variable(tf.tensor([0.5, 1, -1], [3, 1, 1, 1, 1]));
const {value, grads} = tf.variableGrads(() =>
  tf.sum(tf.square(tf.conv3d(tf.tensor(x, [1, 4, 1, 1, 1]), k, 1, 'same'))),
);
const y = convolve(x, [0.5, 1, -1]);
const expectedGradient = [0, 1, 2].map(i => y.reduce((sum, yt, t) => sum + 2 * yt * (x[t + i - 1] ?? 0), 0));
const expectedLoss = y.reduce((sum, yt) => sum + yt * yt, 0);
const gradient = Array.from(Object.values(grads)[0].dataSync());
const near = (a, b) => Math.abs(a - b) < 1e-4 * Math.max(1, Math.abs(b));
if (!near(value.dataSync()[0], expectedLoss))
  fail(`conv3d gave loss ${value.dataSync()[0]}, expected ${expectedLoss}.`);
if (!gradient.every((g, i) => near(g, expectedGradient[i])))
  fail(`conv3d's gradient is [${gradient}], expected [${expectedGradient}].`);
k.assign(tf.sub(k, tf.mul(Object.values(grads)[0], 0.1)));
if (!near(k.dataSync()[1], 1 - 0.1 * expectedGradient[1])) fail('a variable did not take its update.');

const backend = tf.backend();
console.log(
  `TensorFlow ${backend.binding.TF_Version}, ${backend.isUsingGpuDevice ? 'GPU' : 'CPU'}: conv3d, its gradient and a variable's update are right.`,
);
