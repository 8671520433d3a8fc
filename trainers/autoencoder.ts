// Stage `autoencoder`: the KL autoencoder, L1 + KL (the loss of latent-diffusion's contperceptual.py without its perceptual
// and adversarial terms).
import type {Frames, VideoBatch} from '../datasets/index.ts';
import type {AutoencoderStageConfig} from '../src/config/schema.ts';
import {noiseTensor} from '../src/diffusion/index.ts';
import {AutoencoderKL, pixelsToFrames, sampleRawLatents} from '../src/models/index.ts';
import * as tf from '../src/tf.ts';
import {growFrom} from './frozen.ts';
import {batchPixels, placeOf} from './latents.ts';
import {meanFigures} from './mean_figures.ts';
import {newAutoencoder} from './networks.ts';
import {previewFiles} from './preview_files.ts';
import {type Recipe, trainedWeights} from './recipe.ts';
import type {StageContext} from './stage_context.ts';

type Inputs = {pixels: tf.Tensor4D; noise: tf.Tensor4D};

export function autoencoderRecipe({config, frozen, heldOut}: StageContext<AutoencoderStageConfig>): Recipe<Inputs> {
  const {seed} = config.run;
  const network = new AutoencoderKL(newAutoencoder(config, frozen ?? {}));
  const autoencoder = growFrom(network, frozen?.autoencoder, 'autoencoder', seed);
  const latentShape = ([n, h, w]: number[]): [number, number, number, number] => {
    const {factor} = autoencoder;
    return [n!, h! / factor, w! / factor, autoencoder.config.latentChannels];
  };

  return {
    trained: trainedWeights(autoencoder),

    prepare(batch, place) {
      const pixels = batchPixels(batch);
      const noise = noiseTensor(placeOf('posterior', {seed, place}), latentShape(pixels.shape)) as tf.Tensor4D;
      return {pixels, noise};
    },

    /** Mean absolute error of the pixels + kl x KL(posterior || N(0,1)) summed over an image's latents, per pixel value. */
    loss({pixels, noise}) {
      const posterior = autoencoder.encode(pixels);
      const reconstruction = autoencoder.decode(sampleRawLatents(posterior, noise));
      const l1 = tf.mean(tf.abs(tf.sub(reconstruction, pixels)));
      return tf.add(l1, tf.mul(divergence(posterior), config.loss.kl)) as tf.Scalar;
    },

    /** Reconstruction through the posterior's mean. */
    heldOut: () =>
      meanFigures(heldOut, batch =>
        tf.tidy(() => {
          const pixels = batchPixels(batch);
          const posterior = autoencoder.encode(pixels);
          const error = tf.sub(autoencoder.decode(posterior.mean), pixels);
          return {loss: tf.mean(tf.abs(error)), mse: tf.mean(tf.square(error)), kl: divergence(posterior)};
        }),
      ),

    preview: (folder, step) => previewReconstructions(autoencoder, heldOut, folder, step),
    dispose: () => void autoencoder.dispose(),
  };
}

/** KL divergence from the standard normal, summed over the latents of an image, mean over images (Kingma and Welling 2014, appendix B). */
function divergence({mean, logvar}: {mean: tf.Tensor4D; logvar: tf.Tensor4D}): tf.Scalar {
  const perLatent = tf.sub(tf.add(tf.square(mean), tf.exp(logvar)), tf.add(logvar, 1));
  return tf.div(tf.sum(perLatent), 2 * mean.shape[0]) as tf.Scalar;
}

/** Each clip above its reconstruction. */
async function previewReconstructions(
  autoencoder: AutoencoderKL,
  clips: readonly VideoBatch[],
  folder: string,
  step: number,
): Promise<string[]> {
  const rows: Frames[] = [];
  for (const clip of clips) {
    const [, t, h, w] = clip.shape;
    const frames = tf.tidy(() => pixelsToFrames(autoencoder.decode(autoencoder.encode(batchPixels(clip)).mean)));
    rows.push(
      {data: clip.frames, shape: [t, h, w, 3]},
      {data: Uint8Array.from(await frames.data()), shape: [t, h, w, 3]},
    );
    frames.dispose();
  }
  return previewFiles(folder, step, rows, undefined);
}
