// How far a reconstruction is from the truth: mean absolute error + LPIPS (the reconstruction loss of latent-diffusion's
// contperceptual.py; its `logvar` stays 0 there, for no optimiser holds it).
import type {z} from 'zod';
import type {perceptualSchema} from '../../src/config/losses.ts';
import {Lpips, lpipsPathOf} from '../../src/models/index.ts';
import {UserError} from '../../src/platform/user_error.ts';
import * as tf from '../../src/tf.ts';
import {loadWeights} from '../../src/weights/load_weights.ts';
import {withSafetensors} from '../../src/weights/safetensors.ts';

export interface ReconstructionLoss {
  /** Of pixels [..,H,W,3]: what is minimised. */
  loss(reconstruction: tf.Tensor, truth: tf.Tensor): tf.Scalar;
  /** `loss` (mean absolute error), `mse`, and `lpips` where its weights are there. */
  figures(reconstruction: tf.Tensor, truth: tf.Tensor): Record<string, tf.Scalar>;
  dispose(): void;
}

/** @throws UserError where the files do not hold all of VGG-16 and the linear layers. */
export async function reconstructionLoss(
  perceptual: z.infer<typeof perceptualSchema> | undefined,
): Promise<ReconstructionLoss> {
  const lpips = perceptual && (await openLpips(perceptual.weights));
  const l1 = (a: tf.Tensor, b: tf.Tensor): tf.Scalar => tf.mean(tf.abs(tf.sub(a, b)));
  const distance = (a: tf.Tensor, b: tf.Tensor): tf.Scalar => tf.mean(lpips!.forward(images(a), images(b)));
  return {
    loss(reconstruction, truth) {
      const error = l1(reconstruction, truth);
      return perceptual ? tf.add(error, tf.mul(distance(reconstruction, truth), perceptual.weight)) : error;
    },
    figures: (reconstruction, truth) => ({
      loss: l1(reconstruction, truth),
      mse: tf.mean(tf.squaredDifference(reconstruction, truth)),
      ...(lpips ? {lpips: distance(reconstruction, truth)} : {}),
    }),
    dispose: () => void lpips?.dispose(),
  };
}

async function openLpips(files: readonly string[]): Promise<Lpips> {
  const lpips = new Lpips();
  lpips.trainable = false;
  for (const file of files) {
    await withSafetensors(file, source => loadWeights(lpips, source, {pathOf: lpipsPathOf, allow: {missing: true}}));
  }
  if (!lpips.allocated)
    throw new UserError(
      `loss.perceptual.weights: ${files.join(', ')} do not hold all of LPIPS: expected torchvision's vgg16 (features.*) and the lpips package's linear layers (lin0.model.1.weight ..), in one file or several.`,
    );
  return lpips;
}

/** Frames of clips as images. */
function images(pixels: tf.Tensor): tf.Tensor4D {
  return tf.reshape(pixels, [-1, ...(pixels.shape.slice(-3) as [number, number, number])]);
}
