// The gradient of FusedLayerNorm: dx, then dgamma and dbeta with `parameters`.
import type {TensorInfo} from '@tensorflow/tfjs-core';
import type {TorchBackend} from '../torch_backend.ts';
import {kernel} from './kernel.ts';

export type LayerNormGradInputs = [dy: TensorInfo, stats: TensorInfo, x: TensorInfo, gamma: TensorInfo];
export interface LayerNormGradAttrs {
  epsilon: number;
  parameters: boolean;
}

/** `onto`: what is added to dx. */
export function layerNormGrad(
  backend: TorchBackend,
  inputs: LayerNormGradInputs,
  {parameters}: LayerNormGradAttrs,
  onto?: TensorInfo,
): TensorInfo[] {
  const [dy, stats, x, gamma] = backend.handles(inputs) as [number, number, number, number];
  const shapes = [inputs[2].shape, inputs[3].shape, inputs[3].shape];
  const handles = backend.native.layerNormGrad(dy, stats, x, gamma, parameters, backend.optionalHandle(onto));
  return handles.map((handle, i) => backend.output(handle, shapes[i]!.slice(), 'float32'));
}

export default kernel<LayerNormGradInputs, LayerNormGradAttrs>('FusedLayerNormGrad', ({inputs, attrs, backend}) =>
  layerNormGrad(backend, inputs, attrs),
);
