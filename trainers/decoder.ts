// Stage `decoder`: the autoencoder's decoder gains layers over time and is tuned on video against a discriminator of patches
// of video from 3-D convolutions (Video LDM, "Temporal Autoencoder Finetuning"). The encoder stays as it is, so that
// latents mean what they meant. The paper does not say what the adversarial loss is added to; here it is the
// autoencoder's own L1 + LPIPS. It dropped the image discriminator, which is off here unless configured.
import type {DecoderStageConfig} from '../src/config/schema.ts';
import {AutoencoderKL} from '../src/models/index.ts';
import {UserError} from '../src/platform/user_error.ts';
import * as tf from '../src/tf.ts';
import {meanFigures} from './held_out/mean_figures.ts';
import {previewReconstructions} from './held_out/preview_reconstructions.ts';
import {clipPixels, encodeBatch} from './inputs/latents.ts';
import {imageDiscriminator, makeDiscriminators, videoDiscriminator} from './losses/discriminators.ts';
import {flicker} from './losses/flicker.ts';
import {reconstructionLoss} from './losses/reconstruction_loss.ts';
import {growFrom, needFrozen} from './parents/frozen.ts';
import {videoAutoencoder} from './parents/networks.ts';
import {trainedPart} from './parents/trained_part.ts';
import {type Recipe, trainedWeights} from './recipe.ts';
import type {StageContext} from './stage_context.ts';

/** Clips [B,T,H,W,3] and their raw latents [B,T,h,w,C]. */
type Inputs = {pixels: tf.Tensor5D; rawLatents: tf.Tensor5D};

export async function decoderRecipe({
  config,
  frozen: maybe,
  heldOut,
}: StageContext<DecoderStageConfig>): Promise<Recipe<Inputs>> {
  const {seed} = config.run;
  const {perceptual, adversarial} = config.loss;
  const frozen = needFrozen(maybe, 'autoencoder');
  const network = new AutoencoderKL(videoAutoencoder(config, frozen));
  const reconstructed = await reconstructionLoss(perceptual);
  const autoencoder = growFrom(network, frozen.autoencoder, 'autoencoder', seed);
  autoencoder.trainWhere(trainedPart(config)).storeFrozen();
  const trained = trainedWeights(autoencoder);
  if (trained.length === 0)
    throw new UserError(
      'trains: temporal trains the layers over time alone, and with overTime: false there are none: set trains to "decoder".',
    );
  const discriminators =
    adversarial &&
    makeDiscriminators<Inputs>(
      adversarial,
      [
        ...(adversarial.video ? [videoDiscriminator(adversarial.video, config)] : []),
        ...(adversarial.image ? [imageDiscriminator(adversarial.image, config)] : []),
      ],
      {
        autoencoder,
        latents: ({rawLatents}) => rawLatents,
        truth: ({pixels}) => pixels,
        reconstructionLoss: reconstructed.loss,
      },
    );

  return {
    trained,
    adversary: discriminators?.adversary,

    /** The latents are a sample of the posterior, as the autoencoder was trained on. */
    prepare: (batch, place) => ({
      pixels: clipPixels(batch),
      rawLatents: encodeBatch(autoencoder, 1, batch, {seed, place}),
    }),

    loss({pixels, rawLatents}, adversaryWeight) {
      const reconstruction = autoencoder.decode(rawLatents);
      const changes = config.loss.flicker > 0 ? flicker(reconstruction, pixels) : undefined;
      const terms: tf.Tensor[] = [reconstructed.loss(reconstruction, pixels)];
      if (changes) terms.push(tf.mul(changes, config.loss.flicker));
      if (discriminators && adversaryWeight) terms.push(tf.mul(discriminators.term(reconstruction), adversaryWeight));
      return tf.addN(terms) as tf.Scalar;
    },

    /**
     * Reconstruction of a sample of the posterior, as trained on, always the same one. At step 0 the layers over time change
     * nothing: the parent's figures.
     */
    heldOut: () =>
      meanFigures(heldOut, (batch, i) =>
        tf.tidy(() => {
          const pixels = clipPixels(batch);
          // Steps beyond any run's.
          const place = {step: 2 ** 31 + i, microBatch: 0};
          const reconstruction = autoencoder.decode(encodeBatch(autoencoder, 1, batch, {seed: 0, place}));
          const changes = flicker(reconstruction, pixels);
          return {...reconstructed.figures(reconstruction, pixels), ...(changes ? {flicker: changes} : {})};
        }),
      ),

    preview: (folder, step) => previewReconstructions(autoencoder, heldOut, {folder, step, fps: config.data.fps ?? 8}),

    dispose() {
      autoencoder.dispose();
      reconstructed.dispose();
      discriminators?.dispose();
    },
  };
}
