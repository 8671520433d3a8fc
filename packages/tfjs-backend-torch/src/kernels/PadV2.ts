// A constant border.
import type {PadV2Attrs, PadV2Inputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<PadV2Inputs, PadV2Attrs>('PadV2', ({inputs: {x}, attrs: {paddings, constantValue}, backend}) => {
  const shape = x.shape.map((extent, i) => paddings[i]![0] + extent + paddings[i]![1]);
  return backend.output(backend.native.pad(backend.handle(x), paddings.flat(), constantValue), shape, x.dtype);
});
