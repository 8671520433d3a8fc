// Standard normals as a function of (seed, stream, step, offset + index); step is one int32 element on the device.
import type {TensorInfo} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

interface Attrs {
  shape: number[];
  seed: number;
  stream: number;
  offset: number;
}

export default kernel<[step: TensorInfo], Attrs>('PhiloxNormal', ({inputs: [step], attrs, backend}) => {
  const {shape, seed, stream, offset} = attrs;
  return [
    backend.output(backend.native.philoxNormal(backend.handle(step), shape, seed, stream, offset), shape, 'float32'),
  ];
});
