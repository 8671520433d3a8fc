// The gradient of LRN.
import type {LRNGradAttrs, LRNGradInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<LRNGradInputs, LRNGradAttrs>('LRNGrad', ({inputs: {x, y, dy}, attrs, backend}) => {
  const {depthRadius, bias, alpha, beta} = attrs;
  const [xHandle, yHandle, dyHandle] = [backend.handle(x), backend.handle(y), backend.handle(dy)];
  const handle = backend.native.localResponseGrad(xHandle, yHandle, dyHandle, depthRadius, bias, alpha, beta);
  return backend.output(handle, x.shape, x.dtype);
});
