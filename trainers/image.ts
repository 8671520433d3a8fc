// Stage `image`: the image latent diffusion model, alpha = 1: no temporal layer is in the graph. Frames of clips are
// independent images (Video LDM, section 3.1).
import type {ImageStageConfig} from '../src/config/schema.ts';
import {type Denoise, diffusionLoss, makeSchedule} from '../src/diffusion/index.ts';
import {type ConditionTensors, type EncodedConditions, UNet} from '../src/models/index.ts';
import * as tf from '../src/tf.ts';
import {heldOutConditions} from './held_out/held_out_conditions.ts';
import {heldOutLoss, timestepFigures} from './held_out/held_out_loss.ts';
import {previewSamples} from './held_out/preview_samples.ts';
import {openConditioning} from './inputs/conditions.ts';
import {type DiffusionInputs, drawDiffusion, encodeHeldOut} from './inputs/latents.ts';
import {weightingOf} from './losses/weighting.ts';
import {buildAutoencoder, growFrom, needFrozen} from './parents/frozen.ts';
import {imageUNet} from './parents/networks.ts';
import {type Recipe, trainedWeights} from './recipe.ts';
import type {StageContext} from './stage_context.ts';

type Inputs = {diffusion: DiffusionInputs; conditions: ConditionTensors};

export function imageRecipe({config, frozen: maybe, heldOut}: StageContext<ImageStageConfig>): Recipe<Inputs> {
  const {seed} = config.run;
  const frozen = needFrozen(maybe, 'autoencoder', 'scaleFactor', 'diffusion');
  const autoencoder = buildAutoencoder(frozen);
  const unet = growFrom(new UNet(imageUNet(config, maybe ?? {})), maybe?.unet, 'image model', seed);
  unet.checkpointing = config.train.gradientCheckpointing;
  const conditioning = openConditioning(maybe?.conditions, {seed, train: true});
  const schedule = makeSchedule(frozen.diffusion.schedule);
  const weighting = weightingOf(config.loss);
  const diffusion = {schedule, prediction: frozen.diffusion.prediction};
  const given =
    (conditions: EncodedConditions): Denoise =>
    (latents, timesteps) =>
      unet.forward({latents, timesteps, ...conditions, mode: 'image'});
  const heldOutSet = {
    clips: encodeHeldOut(autoencoder, frozen.scaleFactor, heldOut, 'images'),
    seed,
    quantiles: config.heldOut.timesteps,
  };
  const known = heldOutConditions(conditioning, heldOut, 'images');

  return {
    trained: [...trainedWeights(unet), ...(conditioning?.trained ?? [])],

    /** Every frame is an image with noise, a timestep and conditions of its own: [B*T,1,h,w,C]. */
    prepare: (batch, place) => {
      const random = {seed, place};
      return {
        diffusion: drawDiffusion({
          autoencoder,
          frozen,
          batch,
          schedule,
          random,
          framesAre: 'images',
          offset: config.loss.offsetNoise,
        }),
        conditions: conditioning?.prepare(batch, 'images', random) ?? {},
      };
    },

    loss: ({diffusion: inputs, conditions}) =>
      diffusionLoss({...inputs, weighting, denoise: given(conditioning?.inputs(conditions) ?? {}), ...diffusion}),

    async heldOut() {
      const {mean, perTimestep} = await heldOutLoss(heldOutSet, i => given(known.own(i)), diffusion);
      return {
        loss: mean,
        ...(conditioning
          ? {lossOtherConditions: (await heldOutLoss(heldOutSet, i => given(known.another(i)), diffusion)).mean}
          : {}),
        ...timestepFigures(perTimestep),
      };
    },

    preview: (folder, step) =>
      previewSamples({unet, ...diffusion}, autoencoder, frozen.scaleFactor, {
        config,
        folder,
        step,
        frames: undefined,
        conditions: known.first,
      }),

    dispose() {
      tf.dispose(heldOutSet.clips as tf.Tensor[]);
      unet.dispose();
      conditioning?.dispose();
      autoencoder.dispose();
    },
  };
}
