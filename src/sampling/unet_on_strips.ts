// A UNet on frames too large for memory: its steps on strips of rows, the maps kept for the way up parked in host memory.
import type {UNet, UNetInputs} from '../models/index.ts';
import * as tf from '../tf.ts';
import {stripRows} from './memory_plan.ts';
import {type RowMap, rowsOf, wholeMap} from './row_maps.ts';
import {runStep} from './strips.ts';

/** `unet.forward` of a clip [1,T,h,w,C] with the same numbers up to rounding; the sides halve on every level without a rest. */
export function unetOnStrips(unet: UNet, inputs: UNetInputs<tf.Tensor5D>, stripBytes: number): tf.Tensor5D {
  const {latents, mode = 'video', given, ...rest} = inputs;
  const [b, frames, h, w, c] = latents.shape;
  const least = 2 ** (unet.config.channels.length - 1);
  if (b !== 1 || h % least !== 0 || w % least !== 0 || given)
    throw new Error(
      `On strips a UNet takes one clip of a size divisible by ${least}, nothing given; got [${latents.shape}].`,
    );
  return tf.tidy(() => {
    const map = unet.forwardOver<RowMap>(
      rowsOf(tf.reshape(latents, [frames, h, w, c])),
      (step, maps, last) => runStep(maps, step, {rows: rowsFor(maps, step, stripBytes), consume: last}),
      {frames, mode, inputs: rest},
    );
    return tf.reshape(wholeMap(map), [1, frames, h, w, unet.config.outChannels]);
  });
}

function rowsFor(maps: readonly RowMap[], step: Parameters<typeof stripRows>[1], stripBytes: number): number {
  const [n, h, w] = maps[0]!.shape;
  return stripRows([n, h, w, maps.reduce((sum, {shape}) => sum + shape[3], 0)], step, stripBytes);
}
