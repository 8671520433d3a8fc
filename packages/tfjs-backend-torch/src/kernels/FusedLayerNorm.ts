// Normalisation over the last axis.
import type {TensorInfo} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

type Inputs = [x: TensorInfo, gamma: TensorInfo, beta: TensorInfo];

export default kernel<Inputs, {epsilon: number}>('FusedLayerNorm', ({inputs: [x, gamma, beta], attrs, backend}) => {
  const [xHandle, gammaHandle, betaHandle] = [backend.handle(x), backend.handle(gamma), backend.handle(beta)];
  const [y, stats] = backend.native.layerNorm(xHandle, gammaHandle, betaHandle, attrs.epsilon);
  const rows = x.shape.slice(0, -1).reduce((product, extent) => product * extent, 1);
  return [backend.output(y, x.shape, 'float32'), backend.output(stats, [rows, 2], 'float32')];
});
