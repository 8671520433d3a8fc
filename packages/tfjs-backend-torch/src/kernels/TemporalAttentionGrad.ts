// The gradient of TemporalAttention: dq, dk, dv.
import type {TensorInfo} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';
import type {TemporalAttentionAttrs} from './TemporalAttention.ts';

type Inputs = [dy: TensorInfo, y: TensorInfo, saved: TensorInfo, q: TensorInfo, k: TensorInfo, v: TensorInfo];

export default kernel<Inputs, TemporalAttentionAttrs>('TemporalAttentionGrad', ({inputs, attrs, backend}) => {
  const [dy, y, saved, q, k, v] = backend.handles(inputs) as [number, number, number, number, number, number];
  const {shape} = inputs[3];
  const handles = backend.native.temporalAttentionGrad(dy, y, saved, q, k, v, attrs.heads, attrs.window ?? shape[1]!);
  return handles.map(handle => backend.output(handle, shape.slice(), 'float32'));
});
