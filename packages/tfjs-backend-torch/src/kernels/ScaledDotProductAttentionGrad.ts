// The gradient of ScaledDotProductAttention: dq, dk, dv.
import type {TensorInfo} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';
import type {AttentionAttrs} from './ScaledDotProductAttention.ts';

type Inputs = [
  dy: TensorInfo,
  y: TensorInfo,
  saved: TensorInfo,
  q: TensorInfo,
  k: TensorInfo,
  v: TensorInfo,
  mask?: TensorInfo,
];

export default kernel<Inputs, AttentionAttrs>('ScaledDotProductAttentionGrad', ({inputs, attrs, backend}) => {
  const [dy, y, saved, q, k, v, mask] = inputs;
  const handles = backend.native.attentionGrad(
    backend.handle(dy),
    backend.handle(y),
    backend.handle(saved),
    backend.handle(q),
    backend.handle(k),
    backend.handle(v),
    backend.optionalHandle(mask),
    attrs.heads,
    attrs.causal,
  );
  return handles.map((handle, i) => backend.output(handle, [q, k, v][i]!.shape.slice(), 'float32'));
});
