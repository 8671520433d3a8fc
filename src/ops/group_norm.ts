// Group normalisation (Wu and He 2018) over channels-last images and videos, with the modulation and the silu that follow it
// in a residual block. Kernels FusedGroupNorm, FusedGroupNormApply and FusedGroupNormGrad.
import * as tf from '../tf.ts';
import {columnSum, sampleSum} from './column_sum.ts';
import {fusedOp, hasKernel, type InputGradients, runFused, together} from './fused.ts';
import type {GroupNormAttrs} from './kernel_contracts.ts';
import {needs, takeGradientSoFar} from './needed.ts';

export interface GroupNormOptions {
  groups: number;
  epsilon: number;
  /** Follow with silu. */
  silu?: boolean;
  /** [N, C] each: normalised * (1 + scale) + shift, before silu. */
  scaleShift?: {scale: tf.Tensor; shift: tf.Tensor};
}

/**
 * x [N, H, W, C] (statistics over H, W and C / groups) or [B, T, H, W, C] (over T, H, W and C / groups); gamma, beta [C].
 * @throws Error when groups does not divide C.
 */
export function groupNorm<X extends tf.Tensor>(
  x: X,
  gamma: tf.Tensor,
  beta: tf.Tensor,
  {groups, epsilon, silu = false, scaleShift}: GroupNormOptions,
): X {
  const channels = x.shape[x.rank - 1]!;
  if (x.rank < 3 || x.rank > 5 || channels % groups !== 0) {
    throw new Error(`groupNorm: ${groups} groups must divide the last axis of a rank 3 to 5 tensor, got [${x.shape}].`);
  }
  const modulation = scaleShift ? [scaleShift.scale, scaleShift.shift] : [];
  return run([x, gamma, beta, ...modulation], {groups, epsilon, silu}) as X;
}

const run = fusedOp<GroupNormAttrs>({
  name: 'groupNorm',
  kernel: 'FusedGroupNorm',
  saveInputs: 'all',
  saveOutputs: [false, true],
  cheap: 'FusedGroupNormApply',
  plain(inputs, {groups, epsilon, silu}) {
    const x = inputs[0]!;
    const grouped = tf.reshape(x, groupedShape(x, groups));
    const mean = tf.mean(grouped, [1, 3], true);
    const centred = tf.sub(grouped, mean);
    const variance = tf.mean(tf.square(centred), [1, 3], true);
    const rstd = tf.rsqrt(tf.add(variance, epsilon));
    const normalised = tf.reshape(tf.mul(centred, rstd), perSampleShape(x));
    const {weight, bias} = affine(inputs);
    const u = tf.add(tf.mul(normalised, weight), bias);
    const stats = tf.reshape(tf.concat([mean, rstd], 3), [x.shape[0]!, groups, 2]);
    return [tf.reshape(silu ? tf.mul(u, tf.sigmoid(u)) : u, x.shape), stats];
  },
  gradient({dy, inputs, outputs, attrs}): InputGradients {
    const stats = outputs[0]!;
    return together(() => {
      const parameters = needs(1, 2);
      if (hasKernel('FusedGroupNormGrad')) {
        const onto = hasKernel('FusedGroupNormGradOnto') ? takeGradientSoFar() : undefined;
        const of = [dy, stats, ...inputs];
        const [dx, ...others] = onto
          ? runFused('FusedGroupNormGradOnto', [onto, ...of], {...attrs, parameters})
          : runFused('FusedGroupNormGrad', of, {...attrs, parameters});
        return parameters ? [dx, ...others] : [dx, undefined, undefined, ...others];
      }
      return plainGradient(dy, stats, inputs, attrs);
    }, inputs.length);
  },
});

/** With u = xhat * weight + bias and du its gradient: dx = rstd (du weight - mean(du weight) - xhat mean(du weight xhat)). */
function plainGradient(
  dy: tf.Tensor,
  stats: tf.Tensor,
  inputs: tf.Tensor[],
  {groups, silu}: GroupNormAttrs,
): tf.Tensor[] {
  const [x, gamma, beta, scale] = inputs as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor?];
  const [n, channels] = [x.shape[0]!, x.shape[x.rank - 1]!];
  const [mean, rstd] = tf.split(tf.reshape(stats, [n, 1, groups, 2]), 2, 3) as [tf.Tensor, tf.Tensor];
  const inGroups = groupedShape(x, groups);
  const flat = perSampleShape(x);
  const xhat = tf.reshape(tf.mul(tf.sub(tf.reshape(x, inGroups), mean), rstd), flat);
  const {weight, bias} = affine(inputs);
  let du: tf.Tensor = tf.reshape(dy, flat);
  if (silu) {
    const u = tf.add(tf.mul(xhat, weight), bias);
    const s = tf.sigmoid(u);
    du = tf.mul(du, tf.mul(s, tf.add(1, tf.mul(u, tf.sub(1, s)))));
  }
  // [N, C]: everything else follows from these two sums.
  const sum = sampleSum(du);
  const sumXhat = sampleSum(tf.mul(du, xhat));
  const perGroup = (perChannel: tf.Tensor) => {
    const weighted = tf.reshape(tf.mul(perChannel, tf.reshape(weight, [-1, channels])), [
      n,
      1,
      groups,
      channels / groups,
    ]);
    return tf.div(tf.sum(weighted, 3, true), x.size / (n * groups));
  };
  const dxhat = tf.reshape(tf.mul(du, weight), inGroups);
  const along = tf.mul(tf.reshape(xhat, inGroups), perGroup(sumXhat));
  const dx = tf.reshape(tf.mul(tf.sub(tf.sub(dxhat, perGroup(sum)), along), rstd), x.shape);
  if (scale === undefined) return [dx, columnSum(sumXhat), columnSum(sum)];
  const onePlus = tf.add(scale, 1);
  const dscale = tf.add(tf.mul(sumXhat, gamma), tf.mul(sum, beta));
  return [dx, columnSum(tf.mul(sumXhat, onePlus)), columnSum(tf.mul(sum, onePlus)), dscale, tf.clone(sum)];
}

/** u = xhat * weight + bias over [N, S, C]: gamma and beta, modulated where scale and shift are given. */
function affine([, gamma, beta, scale, shift]: tf.Tensor[]): {weight: tf.Tensor; bias: tf.Tensor} {
  if (scale === undefined || shift === undefined) return {weight: gamma!, bias: beta!};
  const onePlus = tf.add(scale, 1);
  return {
    weight: tf.expandDims(tf.mul(onePlus, gamma!), 1),
    bias: tf.expandDims(tf.add(tf.mul(onePlus, beta!), shift), 1),
  };
}

/** [N, S, groups, C / groups] */
function groupedShape(x: tf.Tensor, groups: number): [number, number, number, number] {
  const [n, channels] = [x.shape[0]!, x.shape[x.rank - 1]!];
  return [n, x.size / (n * channels), groups, channels / groups];
}

/** [N, S, C] */
function perSampleShape(x: tf.Tensor): [number, number, number] {
  const [n, channels] = [x.shape[0]!, x.shape[x.rank - 1]!];
  return [n, x.size / (n * channels), channels];
}
