// Bytes packed four to an int32 word -> float32 of `shape`, byte / 127.5 - 1.
import type {TensorInfo} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

type Inputs = [packed: TensorInfo];

export default kernel<Inputs, {shape: number[]}>('FramesToPixels', ({inputs: [packed], attrs: {shape}, backend}) => [
  backend.output(backend.native.framesToPixels(backend.handle(packed), shape), shape, 'float32'),
]);
