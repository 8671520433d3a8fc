// dy where y is at least 0, dy * (y + 1) below.
import type {EluGradInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<EluGradInputs>('EluGrad', ({inputs: {dy, y}, backend}) =>
  backend.output(backend.native.eluGrad(backend.handle(dy), backend.handle(y)), y.shape, 'float32'),
);
