// UnsortedSegmentSum, the gradient of gather: rows added up by the segment each belongs to.
import * as tf from '../../tf.ts';
import {floats, output, supply} from './heap.ts';

export function supplyUnsortedSegmentSum(): void {
  supply(tf.UnsortedSegmentSum, (backend, {x, segmentIds}, attrs) => {
    const {numSegments} = attrs as {numSegments: number};
    const inner = x!.shape.slice(segmentIds!.shape.length);
    const sums = output(backend, [numSegments, ...inner]);
    const size = tf.util.sizeFromShape(inner);
    const {memoryOffset} = backend.dataIdMap.get(segmentIds!.dataId);
    const ids = new Int32Array(backend.wasm.HEAPU8.buffer, memoryOffset, tf.util.sizeFromShape(segmentIds!.shape));
    const [from, to] = [floats(backend, x!), floats(backend, sums).fill(0)];
    for (let row = 0; row < ids.length; row++) {
      const segment = ids[row]!;
      if (segment < 0 || segment >= numSegments) continue;
      for (let i = 0; i < size; i++) to[segment * size + i]! += from[row * size + i]!;
    }
    return sums;
  });
}
