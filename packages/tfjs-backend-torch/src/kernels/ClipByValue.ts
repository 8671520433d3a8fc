// Values brought into a range.
import type {ClipByValueAttrs, ClipByValueInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<ClipByValueInputs, ClipByValueAttrs>('ClipByValue', ({inputs: {x}, attrs, backend}) =>
  backend.output(backend.native.clip(backend.handle(x), attrs.clipValueMin, attrs.clipValueMax), x.shape, x.dtype),
);
