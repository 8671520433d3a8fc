// A UNet with its conditions as the one function a sampler calls, guided towards text, labels and given frames.
import {type Denoise, guide} from '../diffusion/index.ts';
import type {UNet, UNetInputs} from '../models/index.ts';
import * as tf from '../tf.ts';

/** What a UNet is told besides the noisy latents; tensors for one video, [1, ...]. */
export type UNetConditions = Pick<UNetInputs, 'context' | 'temporalContext' | 'classLabels' | 'addedNumbers'>;

export interface Guidance {
  readonly conditions?: UNetConditions;
  /** The empty or negative prompt. Without it there is no classifier-free guidance. */
  readonly unconditional?: UNetConditions;
  /** Scale of classifier-free guidance; 1 (default) is the conditional prediction alone. */
  readonly scale?: number;
  /** (mask x latents, mask) of given frames, [1,T,h,w,C+1]. */
  readonly given?: tf.Tensor5D;
  /** Scale s of context guidance; 1 (default) is none. */
  readonly contextScale?: number;
}

/**
 * f + (scale - 1)(f - f without conditions) + (contextScale - 1)(f - f without given frames), with f the prediction under
 * both. With given frames alone this is the paper's f(z) + s (f(z; c_S) - f(z)) ("Prediction Models for Long-Term
 * Generation"), with conditions alone classifier-free guidance. Each scale other than 1 costs one more evaluation.
 * @throws RangeError for scales that are no finite numbers.
 */
export function guidedDenoise(unet: Pick<UNet, 'forward'>, mode: 'video' | 'image', guidance: Guidance = {}): Denoise {
  const {conditions = {}, unconditional, scale = 1, given, contextScale = 1} = guidance;
  for (const value of [scale, contextScale]) {
    if (!Number.isFinite(value)) throw new RangeError(`A guidance scale must be a finite number, got ${value}.`);
  }
  return (latents, timesteps) =>
    tf.tidy(() => {
      const predict = (own: UNetConditions, frames: tf.Tensor5D | undefined) =>
        unet.forward({latents, timesteps, mode, ...own, given: frames});
      const full = predict(conditions, given);
      const textGuided = unconditional && scale !== 1;
      const contextGuided = given && contextScale !== 1;
      if (!contextGuided) return textGuided ? guide(predict(unconditional, given), full, scale) : full;
      const guided = guide(predict(conditions, undefined), full, contextScale);
      if (!textGuided) return guided;
      return tf.add(guided, tf.mul(tf.sub(full, predict(unconditional, given)), scale - 1));
    });
}
