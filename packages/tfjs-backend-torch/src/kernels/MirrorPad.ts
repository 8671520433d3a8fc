// A border that mirrors the tensor, with its edge ('symmetric') or without ('reflect').
import type {MirrorPadAttrs, MirrorPadInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<MirrorPadInputs, MirrorPadAttrs>(
  'MirrorPad',
  ({inputs: {x}, attrs: {paddings, mode}, backend}) => {
    const shape = x.shape.map((extent, i) => paddings[i]![0] + extent + paddings[i]![1]);
    return backend.output(
      backend.native.mirrorPad(backend.handle(x), paddings.flat(), mode === 'symmetric'),
      shape,
      x.dtype,
    );
  },
);
