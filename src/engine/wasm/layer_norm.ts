// FusedLayerNorm and FusedLayerNormGrad: a row at a time, sums in float64.
import type * as tf from '../../tf.ts';
import {floats, free, output, supplyFused} from './heap.ts';

export function supplyLayerNorm(): void {
  supplyFused<{epsilon: number}>('FusedLayerNorm', (backend, [x, gamma, beta], {epsilon}) => {
    const channels = gamma!.shape[0]!;
    const y = output(backend, x!.shape);
    const from = floats(backend, x!);
    const rows = from.length / channels;
    const stats = output(backend, [rows, 2]);
    const [source, to, s, g, b] = [x!, y, stats, gamma!, beta!].map(info => floats(backend, info)) as Views;
    for (let r = 0; r < rows; r++) {
      const at = r * channels;
      let sum = 0;
      for (let c = 0; c < channels; c++) sum += source[at + c]!;
      const mean = sum / channels;
      let squares = 0;
      for (let c = 0; c < channels; c++) {
        const d = source[at + c]! - mean;
        squares += d * d;
      }
      const rstd = 1 / Math.sqrt(squares / channels + epsilon);
      s[2 * r] = mean;
      s[2 * r + 1] = rstd;
      for (let c = 0; c < channels; c++) to[at + c] = (source[at + c]! - mean) * rstd * g[c]! + b[c]!;
    }
    return [y, stats];
  });

  supplyFused<{parameters: boolean}>('FusedLayerNormGrad', (backend, inputs, {parameters}) => {
    const [dy, stats, x, gamma] = inputs as [tf.TensorInfo, tf.TensorInfo, tf.TensorInfo, tf.TensorInfo];
    const channels = gamma.shape[0]!;
    const [dx, dgamma, dbeta] = [output(backend, x.shape), output(backend, [channels]), output(backend, [channels])];
    const [upstream, s, source, g, to] = [dy, stats, x, gamma, dx].map(info => floats(backend, info)) as Views;
    const [totalGamma, totalBeta] = [new Float64Array(channels), new Float64Array(channels)];
    for (let r = 0; r * channels < source.length; r++) {
      const at = r * channels;
      const [mean, rstd] = [s[2 * r]!, s[2 * r + 1]!];
      let along = 0;
      let alongXhat = 0;
      for (let c = 0; c < channels; c++) {
        const d = upstream[at + c]!;
        const xhat = (source[at + c]! - mean) * rstd;
        totalGamma[c]! += d * xhat;
        totalBeta[c]! += d;
        along += d * g[c]!;
        alongXhat += d * g[c]! * xhat;
      }
      along /= channels;
      alongXhat /= channels;
      for (let c = 0; c < channels; c++) {
        const xhat = (source[at + c]! - mean) * rstd;
        to[at + c] = rstd * (upstream[at + c]! * g[c]! - along - xhat * alongXhat);
      }
    }
    floats(backend, dgamma).set(totalGamma);
    floats(backend, dbeta).set(totalBeta);
    if (parameters) return [dx, dgamma, dbeta];
    free(backend, dgamma, dbeta);
    return [dx];
  });
}

type Views = [Float32Array, Float32Array, Float32Array, Float32Array, Float32Array];
