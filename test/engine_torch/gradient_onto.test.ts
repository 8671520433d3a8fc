// Where a tensor goes several ways, the last gradients are added to those before in the kernel's own pass: a norm's to that of the
// residual around it, linear layers' of one input to each other's.
import {afterAll, describe, expect, test} from 'vitest';
import {native} from '../../packages/tfjs-backend-torch/src/binding.ts';
import {isBuilt} from '../../packages/tfjs-backend-torch/src/built.ts';
import {openEngine, valueAndGrads} from '../../src/engine/index.ts';
import * as ops from '../../src/ops/index.ts';
import {normals} from '../../src/random/index.ts';
import * as tf from '../../src/tf.ts';

const values = (shape: number[], step: number) =>
  tf.tensor(normals({seed: 5, stream: 77, step}, tf.util.sizeFromShape(shape)), shape);

const norms = {
  LayerNorm: (x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) => ops.layerNorm(x, gamma, beta, {epsilon: 1e-5}),
  GroupNorm: (x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) =>
    ops.groupNorm(x, gamma, beta, {groups: 4, epsilon: 1e-5, silu: true}),
};

describe.skipIf(!isBuilt()).each(['fp32', 'bf16'] as const)('in %s', precision => {
  afterAll(async () => {
    await openEngine('torch');
  });

  for (const [name, norm] of Object.entries(norms)) {
    test.each([
      ['by the host', false],
      ["by the GPU's kernels", true],
    ])(`${name} %s`, async (_, emulated) => {
      await openEngine('torch', {precision});
      const before = tf.memory().numTensors;
      const inputs = [values([24, 32], 0), values([32, 32], 1)];
      const [x, w] = inputs as [tf.Tensor, tf.Tensor];
      const variables = [values([32], 2), values([32], 3), values([32, 32], 4)].map(start => {
        const variable = tf.variable(start);
        start.dispose();
        return variable;
      });
      const [gamma, beta, first] = variables as [tf.Variable, tf.Variable, tf.Variable];
      const loss = () => {
        // What a product gives: bf16 under that policy.
        const h = tf.reshape(tf.matMul(x as tf.Tensor2D, first as tf.Tensor2D), [2, 3, 4, 32]);
        const branch = ops.linear(norm(h, gamma, beta), w);
        return tf.mean(tf.square(tf.add(h, branch))) as tf.Scalar;
      };
      native().emulateKernels(emulated);
      const ran: string[] = [];
      const {kernelNames} = await tf.profile(() => {
        const {value, grads} = valueAndGrads(loss, variables);
        const wanted = tf.variableGrads(loss, variables);
        const worst = grads.map((grad, i) => {
          const other = wanted.grads[variables[i]!.name]!;
          return tf.tidy(() => tf.div(tf.max(tf.abs(tf.sub(grad, other))), tf.max(tf.abs(other))).dataSync()[0]!);
        });
        ran.push(...worst.map(String));
        tf.dispose([value, grads, wanted.value, wanted.grads]);
        return value;
      });
      native().emulateKernels(false);
      expect(kernelNames).toContain(`Fused${name}GradOnto`);
      expect(kernelNames).toContain(`Fused${name}Grad`);
      // One rounding to bf16 instead of two; on the host the same sum in the same order.
      for (const difference of ran)
        expect(Number(difference)).toBeLessThan(precision === 'bf16' ? 2e-2 : emulated ? 1e-5 : 1e-30);
      tf.dispose([...inputs, ...variables]);
      expect(tf.memory().numTensors).toBe(before);
    });
  }

  test.each([
    ['nobody else holds the sum: in its place', false],
    ['another tensor has the same storage: apart', true],
  ])('linear layers of one input; %s', async (_, shared) => {
    await openEngine('torch', {precision});
    const before = tf.memory().numTensors;
    const matrices = [1, 2, 3].map(step => values([32, 32], step));
    const start = values([24, 32], 0);
    const variable = tf.variable(start);
    const loss = () => {
      const x = tf.mul(variable, 2);
      const [q, k, v] = matrices.map(matrix => ops.linear(x, matrix)) as [tf.Tensor, tf.Tensor, tf.Tensor];
      // Of a sum over samples alone the gradient of the first side is dy itself, in the same storage.
      const y = shared ? ops.addPerSample(x, tf.mul(variable, 3) as tf.Tensor2D) : tf.zerosLike(x);
      return tf.mean(tf.square(tf.add(y, tf.add(q, tf.mul(k, tf.square(v)))))) as tf.Scalar;
    };
    let difference = Number.NaN;
    const {kernelNames} = await tf.profile(() => {
      const {value, grads} = valueAndGrads(loss, [variable]);
      const wanted = tf.variableGrads(loss, [variable]);
      const other = wanted.grads[variable.name]!;
      difference = tf.tidy(
        () => tf.div(tf.max(tf.abs(tf.sub(grads[0]!, other))), tf.max(tf.abs(other))).dataSync()[0]!,
      );
      tf.dispose([value, grads, wanted.value, wanted.grads]);
      return value;
    });
    expect(kernelNames).toContain('FusedLinearInputGradOnto');
    expect(difference).toBeLessThan(precision === 'bf16' ? 2e-2 : 1e-6);
    tf.dispose([...matrices, start, variable]);
    expect(tf.memory().numTensors).toBe(before);
  });
});
