// Slices chosen along an axis by indices.
import {backend_util, type GatherV2Attrs, type GatherV2Inputs, type Tensor, util} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<GatherV2Inputs, GatherV2Attrs>('GatherV2', ({inputs: {x, indices}, attrs, backend}) => {
  const [axis] = util.parseAxisParam(attrs.axis, x.shape);
  const batchDims = attrs.batchDims ?? 0;
  const {outputShape} = backend_util.segment_util.collectGatherOpShapeInfo(
    x as Tensor,
    indices as Tensor,
    axis!,
    batchDims,
  );
  const first = batchDims < 0 ? batchDims + indices.shape.length : batchDims;
  const {range} = backend.data(indices.dataId);
  const known = range !== undefined && range[0] >= 0 && range[1] < x.shape[axis!]!;
  const handle = backend.native.gather(backend.handle(x), backend.handle(indices), axis!, first, known);
  const result = backend.outputAs(handle, gatheredShape(x.shape, indices.shape, axis!, first), outputShape, x.dtype);
  return backend.chosenFrom(x, result);
});

function gatheredShape(x: number[], indices: number[], axis: number, batchDims: number): number[] {
  return [...x.slice(0, axis), ...indices.slice(batchDims), ...x.slice(axis + 1)];
}
