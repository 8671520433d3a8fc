// The gradient of FusedLayerNorm: dx, then dgamma and dbeta with `parameters`.
import type {TensorInfo} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

type Inputs = [dy: TensorInfo, stats: TensorInfo, x: TensorInfo, gamma: TensorInfo];
interface Attrs {
  epsilon: number;
  parameters: boolean;
}

export default kernel<Inputs, Attrs>('FusedLayerNormGrad', ({inputs, attrs: {parameters}, backend}) => {
  const [dy, stats, x, gamma] = backend.handles(inputs) as [number, number, number, number];
  const shapes = [inputs[2].shape, inputs[3].shape, inputs[3].shape];
  const handles = backend.native.layerNormGrad(dy, stats, x, gamma, parameters);
  return handles.map((handle, i) => backend.output(handle, shapes[i]!.slice(), 'float32'));
});
