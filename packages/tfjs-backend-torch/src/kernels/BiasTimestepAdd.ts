// x [N, ..., C] + embedding [N, C] (+ bias [C]).
import type {TensorInfo} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

type Inputs = [x: TensorInfo, embedding: TensorInfo, bias?: TensorInfo];

export default kernel<Inputs>('BiasTimestepAdd', ({inputs: [x, embedding, bias], backend}) => {
  const [xHandle, embeddingHandle] = [backend.handle(x), backend.handle(embedding)];
  const handle = backend.native.biasTimestepAdd(xHandle, embeddingHandle, backend.optionalHandle(bias));
  return [backend.output(handle, x.shape, 'float32')];
});
