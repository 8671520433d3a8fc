// Guidance: moving a prediction away from what the model says without a condition.
import * as tf from '../tf.ts';
import type {Denoise} from './objective.ts';

/**
 * u + scale (c - u): classifier-free guidance (Ho and Salimans 2022, eq. 6, with scale = 1 + w), and with the context
 * frames as the condition, context guidance (Video LDM, "Prediction Models for Long-Term Generation").
 */
export function guide(unconditional: tf.Tensor, conditional: tf.Tensor, scale: number): tf.Tensor {
  return tf.add(unconditional, tf.mul(tf.sub(conditional, unconditional), scale));
}

/** A denoiser guided by `scale`; 1 is the conditional one alone, 0 the unconditional one, and then only that one runs. */
export function classifierFree(conditional: Denoise, unconditional: Denoise, scale: number): Denoise {
  if (!Number.isFinite(scale)) throw new RangeError(`The guidance scale must be a finite number, got ${scale}.`);
  if (scale === 1) return conditional;
  if (scale === 0) return unconditional;
  return (noisy, timesteps) => guide(unconditional(noisy, timesteps), conditional(noisy, timesteps), scale);
}
