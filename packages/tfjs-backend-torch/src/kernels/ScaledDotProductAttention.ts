// softmax(q k / sqrt d + mask) v with heads side by side in the last axis. The second output is this backend's own.
import type {TensorInfo} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export interface AttentionAttrs {
  heads: number;
  causal: boolean;
}

type Inputs = [q: TensorInfo, k: TensorInfo, v: TensorInfo, mask?: TensorInfo];

export default kernel<Inputs, AttentionAttrs>('ScaledDotProductAttention', ({inputs, attrs, backend}) => {
  const [q, k, v, mask] = inputs;
  const [y, saved] = backend.native.attention(
    backend.handle(q),
    backend.handle(k),
    backend.handle(v),
    backend.optionalHandle(mask),
    attrs.heads,
    attrs.causal,
  );
  return [backend.output(y, q.shape, 'float32'), backend.output(saved, backend.native.shapeOf(saved), 'float32')];
});
