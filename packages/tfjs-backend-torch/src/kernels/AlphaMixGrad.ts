// The gradient of AlphaMix: dspatial, dtemporal and, unless the factor is fixed, dmixFactor.
import type {TensorInfo} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

type Inputs = [dy: TensorInfo, spatial: TensorInfo, temporal: TensorInfo, mixFactor: TensorInfo];
interface Attrs {
  switched: boolean;
  mixFactor: boolean;
}

export default kernel<Inputs, Attrs>('AlphaMixGrad', ({inputs, attrs, backend}) => {
  const [dy, spatial, temporal, mixFactor] = backend.handles(inputs) as [number, number, number, number];
  const handles = backend.native.alphaMixGrad(dy, spatial, temporal, mixFactor, attrs.switched, attrs.mixFactor);
  return handles.map((handle, i) => backend.output(handle, inputs[i + 1]!.shape.slice(), 'float32'));
});
