// A tensor repeated along each axis.
import type {TileAttrs, TileInputs} from '@tensorflow/tfjs-core';
import {kernel} from './kernel.ts';

export default kernel<TileInputs, TileAttrs>('Tile', ({inputs: {x}, attrs: {reps}, backend}) =>
  backend.output(
    backend.native.tile(backend.handle(x), reps),
    x.shape.map((extent, i) => extent * reps[i]!),
    x.dtype,
  ),
);
