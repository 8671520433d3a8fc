// Stage `autoencoder`: the KL autoencoder, L1 + LPIPS + KL + a discriminator of patches (latent-diffusion's
// contperceptual.py, per value instead of summed over the image: the same ratios between the terms).
import type {AutoencoderStageConfig} from '../src/config/schema.ts';
import {noiseTensor} from '../src/diffusion/index.ts';
import {AutoencoderKL, sampleRawLatents} from '../src/models/index.ts';
import * as tf from '../src/tf.ts';
import {meanFigures} from './held_out/mean_figures.ts';
import {previewReconstructions} from './held_out/preview_reconstructions.ts';
import {batchPixels, placeOf} from './inputs/latents.ts';
import {imageDiscriminator, makeDiscriminators} from './losses/discriminators.ts';
import {reconstructionLoss} from './losses/reconstruction_loss.ts';
import {growFrom} from './parents/frozen.ts';
import {newAutoencoder} from './parents/networks.ts';
import {type Recipe, trainedWeights} from './recipe.ts';
import type {StageContext} from './stage_context.ts';

type Inputs = {pixels: tf.Tensor4D; noise: tf.Tensor4D};

export async function autoencoderRecipe({
  config,
  frozen,
  heldOut,
}: StageContext<AutoencoderStageConfig>): Promise<Recipe<Inputs>> {
  const {seed} = config.run;
  const {kl, perceptual, adversarial} = config.loss;
  const network = new AutoencoderKL(newAutoencoder(config, frozen ?? {}));
  const reconstructed = await reconstructionLoss(perceptual);
  const autoencoder = growFrom(network, frozen?.autoencoder, 'autoencoder', seed);
  const sampled = ({pixels, noise}: Inputs) => sampleRawLatents(autoencoder.encode(pixels), noise);
  const discriminators =
    adversarial &&
    makeDiscriminators<Inputs>(adversarial, [imageDiscriminator(adversarial.discriminator, config)], {
      autoencoder,
      latents: sampled,
      truth: ({pixels}) => pixels,
      reconstructionLoss: reconstructed.loss,
    });

  return {
    trained: trainedWeights(autoencoder),
    adversary: discriminators?.adversary,

    prepare(batch, place) {
      const pixels = batchPixels(batch);
      const [n, h, w] = pixels.shape;
      const {factor, config: own} = autoencoder;
      const shape = [n, h / factor, w / factor, own.latentChannels];
      const noise = noiseTensor(placeOf('posterior', {seed, place}), shape) as tf.Tensor4D;
      return {pixels, noise};
    },

    loss({pixels, noise}, adversaryWeight) {
      const posterior = autoencoder.encode(pixels);
      const reconstruction = autoencoder.decode(sampleRawLatents(posterior, noise));
      const [, h, w, c] = pixels.shape;
      const terms: tf.Tensor[] = [
        reconstructed.loss(reconstruction, pixels),
        tf.mul(divergence(posterior), kl / (h * w * c)),
      ];
      if (discriminators && adversaryWeight) terms.push(tf.mul(discriminators.term(reconstruction), adversaryWeight));
      return tf.addN(terms) as tf.Scalar;
    },

    /** Reconstruction through the posterior's mean. */
    heldOut: () =>
      meanFigures(heldOut, batch =>
        tf.tidy(() => {
          const pixels = batchPixels(batch);
          const posterior = autoencoder.encode(pixels);
          return {...reconstructed.figures(autoencoder.decode(posterior.mean), pixels), kl: divergence(posterior)};
        }),
      ),

    preview: (folder, step) => previewReconstructions(autoencoder, heldOut, {folder, step}),

    dispose() {
      autoencoder.dispose();
      reconstructed.dispose();
      discriminators?.dispose();
    },
  };
}

/** KL divergence from the standard normal, summed over the latents of an image, mean over images (Kingma and Welling 2014, appendix B). */
function divergence({mean, logvar}: {mean: tf.Tensor4D; logvar: tf.Tensor4D}): tf.Scalar {
  const perLatent = tf.sub(tf.add(tf.square(mean), tf.exp(logvar)), tf.add(logvar, 1));
  return tf.div(tf.sum(perLatent), 2 * mean.shape[0]) as tf.Scalar;
}
