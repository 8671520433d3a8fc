// FusedLayerNormGrad whose dx is added to what x's gradient is so far, in the same pass.
import type {TensorInfo} from '@tensorflow/tfjs-core';
import {type LayerNormGradAttrs, type LayerNormGradInputs, layerNormGrad} from './FusedLayerNormGrad.ts';
import {kernel} from './kernel.ts';

type Inputs = [onto: TensorInfo, ...of: LayerNormGradInputs];

export default kernel<Inputs, LayerNormGradAttrs>('FusedLayerNormGradOnto', ({inputs: [onto, ...of], attrs, backend}) =>
  layerNormGrad(backend, of, attrs, onto),
);
