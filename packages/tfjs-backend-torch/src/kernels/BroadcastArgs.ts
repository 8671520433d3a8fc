// The shape to which two shapes broadcast.
import type {BroadcastArgsInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<BroadcastArgsInputs>('BroadcastArgs', ({inputs: {s0, s1}, backend}) => {
  const rank = Math.max(s0.shape[0]!, s1.shape[0]!);
  return backend.output(backend.native.broadcastArgs(backend.handle(s0), backend.handle(s1)), [rank], 'int32');
});
