// Slices chosen by index vectors.
import {backend_util, type GatherNdInputs, type Tensor} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<GatherNdInputs>('GatherNd', ({inputs: {params, indices}, backend}) => {
  const [shape] = backend_util.prepareAndValidate(params as Tensor, indices as Tensor);
  return backend.output(backend.native.gatherNd(backend.handle(params), backend.handle(indices)), shape, params.dtype);
});
