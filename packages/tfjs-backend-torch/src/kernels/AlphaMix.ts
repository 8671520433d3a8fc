// spatial * a + temporal * (1 - a) over [B, T, ...], a = sigmoid(mixFactor), [] or [T]; 1 - a with `switched`.
import type {TensorInfo} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

type Inputs = [spatial: TensorInfo, temporal: TensorInfo, mixFactor: TensorInfo];

export default kernel<Inputs, {switched: boolean}>('AlphaMix', ({inputs, attrs: {switched}, backend}) => {
  const [spatial, temporal, mixFactor] = backend.handles(inputs) as [number, number, number];
  return [backend.output(backend.native.alphaMix(spatial, temporal, mixFactor, switched), inputs[0].shape, 'float32')];
});
