// UnsortedSegmentSum: a product with the matrix that is one where a row belongs to a segment.
import {asFloat, input, timesDims, value} from '../families/shapes.ts';
import type {KernelSpec} from '../kernel_spec.ts';

export const unsortedSegmentSum: KernelSpec = {
  kernel: 'UnsortedSegmentSum',
  infer: (inputs, attributes) => ({
    shape: [attributes.number('numSegments'), ...input(inputs, 'x').shape.slice(1)],
    dtype: 'float32',
  }),
  emit(e, node) {
    const x = value(node, 'x');
    const ids = value(node, 'segmentIds');
    const segments = node.attributes.number('numSegments');
    if (ids.shape.length !== 1) return e.fail(node, 'its segment ids are not a vector');
    const column = e.build.literal(
      'int32',
      [segments, 1],
      Array.from({length: segments}, (_, i) => i),
    );
    const belongs = e.cast(e.op('Equal', [column, e.name(ids)]), 'float32');
    const rows = e.reshape(asFloat(e, e.name(x), x.dtype), [x.shape[0]!, timesDims(x.shape.slice(1))]);
    e.set(node.outputs[0]!, e.reshape(e.op('MatMul', [belongs, rows]), node.outputs[0]!.shape));
  },
};
