// A complex64 tensor from its parts.
import type {ComplexInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<ComplexInputs>('Complex', ({inputs: {real, imag}, backend}) =>
  backend.output(backend.native.complex(backend.handle(real), backend.handle(imag)), real.shape, 'complex64'),
);
