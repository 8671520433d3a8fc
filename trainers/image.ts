// Stage `image`: the image latent diffusion model, alpha = 1: no temporal layer is in the graph. Frames of clips are
// independent images (Video LDM, section 3.1).
import type {ImageStageConfig} from '../src/config/schema.ts';
import {type Denoise, diffusionLoss, makeSchedule} from '../src/diffusion/index.ts';
import {UNet} from '../src/models/index.ts';
import * as tf from '../src/tf.ts';
import {buildAutoencoder, growFrom, needFrozen} from './frozen.ts';
import {heldOutLoss} from './held_out_loss.ts';
import {type DiffusionInputs, drawDiffusion, encodeHeldOut} from './latents.ts';
import {imageUNet} from './networks.ts';
import {previewSamples} from './preview_samples.ts';
import {type Recipe, trainedWeights} from './recipe.ts';
import type {StageContext} from './stage_context.ts';

export function imageRecipe({config, frozen: maybe, heldOut}: StageContext<ImageStageConfig>): Recipe<DiffusionInputs> {
  const {seed} = config.run;
  const frozen = needFrozen(maybe, 'autoencoder', 'scaleFactor', 'diffusion');
  const autoencoder = buildAutoencoder(frozen);
  const unet = growFrom(new UNet(imageUNet(config, maybe ?? {})), maybe?.unet, 'image model', seed);
  const schedule = makeSchedule(frozen.diffusion.schedule);
  const {prediction} = frozen.diffusion;
  const denoise: Denoise = (noisy, timesteps) => unet.forward({latents: noisy, timesteps, mode: 'image'});
  const heldOutSet = {
    clips: encodeHeldOut(autoencoder, frozen.scaleFactor, heldOut),
    seed,
    quantiles: config.heldOut.timesteps,
  };

  return {
    trained: trainedWeights(unet),

    /** Every frame is an image with noise and a timestep of its own: [B*T,1,h,w,C]. */
    prepare: (batch, place) =>
      drawDiffusion({autoencoder, frozen, batch, schedule, random: {seed, place}, framesAre: 'images'}),

    loss: inputs => diffusionLoss({...inputs, denoise, schedule, prediction}),

    async heldOut() {
      const {mean, perTimestep} = await heldOutLoss(heldOutSet, denoise, {schedule, prediction});
      return {loss: mean, ...Object.fromEntries(perTimestep.map(({timestep, loss}) => [`loss.t${timestep}`, loss]))};
    },

    preview: (folder, step) =>
      previewSamples({unet, schedule, prediction}, autoencoder, frozen.scaleFactor, {
        config,
        folder,
        step,
        frames: undefined,
      }),

    dispose() {
      tf.dispose(heldOutSet.clips as tf.Tensor[]);
      unet.dispose();
      autoencoder.dispose();
    },
  };
}
