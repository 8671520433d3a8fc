// A UNet on large frames, step by step: no map outlives the step that reads it last, those kept for the way up apart; on strips
// of rows where even one step's maps are too large for the engine.
import type {UNet, UNetInputs} from '../models/index.ts';
import * as tf from '../tf.ts';
import {type RowMap, rowsOf, wholeMap} from './row_maps.ts';
import {type InSteps, onStrips, onWholeMaps} from './step_runners.ts';

/**
 * `unet.forward` of one clip [1,T,h,w,C], whose sides halve on every level without a rest, with the same numbers up to
 * rounding. @throws Error for other clips, and for given frames: those are of models that work on latents, which are small.
 */
export function unetInSteps(unet: UNet, inputs: UNetInputs<tf.Tensor5D>, how: InSteps): tf.Tensor5D {
  const {latents, mode = 'video', given, ...rest} = inputs;
  const [b, frames, h, w, c] = latents.shape;
  const least = 2 ** (unet.config.channels.length - 1);
  if (b !== 1 || h % least !== 0 || w % least !== 0 || given)
    throw new Error(
      `Step by step a UNet takes one clip of a size divisible by ${least}, nothing given; got [${latents.shape}].`,
    );
  return tf.tidy(() => {
    const images: tf.Tensor4D = tf.reshape(latents, [frames, h, w, c]);
    const options = {frames, mode, inputs: rest};
    const {strips} = how;
    const made = strips
      ? wholeMap(unet.forwardOver<RowMap>(rowsOf(images, strips.store), onStrips(strips, how), options))
      : unet.forwardOver<tf.Tensor4D>(images, onWholeMaps(how), options);
    return tf.reshape(made, [1, frames, h, w, unet.config.outChannels]);
  });
}
