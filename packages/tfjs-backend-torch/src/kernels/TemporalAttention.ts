// Attention over T for each pixel of [B, T, P, C], as it lies. The second output is this backend's own.
import type {TensorInfo} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export interface TemporalAttentionAttrs {
  heads: number;
  /** Largest |i - j| attended; absent: all frames. */
  window?: number;
}

type Inputs = [q: TensorInfo, k: TensorInfo, v: TensorInfo];

export default kernel<Inputs, TemporalAttentionAttrs>('TemporalAttention', ({inputs, attrs, backend}) => {
  const [q, k, v] = backend.handles(inputs) as [number, number, number];
  const {shape} = inputs[0];
  const [y, saved] = backend.native.temporalAttention(q, k, v, attrs.heads, attrs.window ?? shape[1]!);
  return [backend.output(y, shape, 'float32'), backend.output(saved, backend.native.shapeOf(saved), 'float32')];
});
