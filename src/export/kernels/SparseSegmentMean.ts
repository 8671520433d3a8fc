// SparseSegmentMean, for segment ids known when the graph is made: the number of segments is the size of the result.
import {sparseSegments} from '../families/sparse_segments.ts';

export const sparseSegmentMean = sparseSegments('SparseSegmentMean', true);
