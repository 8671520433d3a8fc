// Rows summed by segment; negative segments are left out.
import type {UnsortedSegmentSumAttrs, UnsortedSegmentSumInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<UnsortedSegmentSumInputs, UnsortedSegmentSumAttrs>(
  'UnsortedSegmentSum',
  ({inputs: {x, segmentIds}, attrs: {numSegments}, backend}) =>
    backend.output(
      backend.native.segmentSum(backend.handle(x), backend.handle(segmentIds), numSegments),
      [numSegments, ...x.shape.slice(segmentIds.shape.length)],
      x.dtype,
    ),
);
