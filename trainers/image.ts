// Stage `image`: the image latent diffusion model, alpha = 1: no temporal layer is in the graph. Frames of clips are
// independent images (Video LDM, section 3.1).
import type {ImageStageConfig} from '../src/config/schema.ts';
import type {Denoise} from '../src/diffusion/index.ts';
import {type ConditionTensors, type EncodedConditions, UNet} from '../src/models/index.ts';
import {heldOutConditions} from './held_out/held_out_conditions.ts';
import {timestepFigures} from './held_out/held_out_loss.ts';
import {openConditioning} from './inputs/conditions.ts';
import {openLatentDiffusion} from './inputs/latent_diffusion.ts';
import type {DiffusionInputs} from './inputs/latents.ts';
import {growUNet} from './parents/grow_unet.ts';
import {imageUNet} from './parents/networks.ts';
import {type Recipe, trainedWeights} from './recipe.ts';
import type {StageContext} from './stage_context.ts';

type Inputs = {diffusion: DiffusionInputs; conditions: ConditionTensors};

export function imageRecipe({config, frozen, heldOut}: StageContext<ImageStageConfig>): Recipe<Inputs> {
  const {seed} = config.run;
  const diffusion = openLatentDiffusion(frozen, config);
  const unet = growUNet(new UNet(imageUNet(config, frozen ?? {})), frozen?.unet, 'image model', seed);
  unet.checkpointing = config.train.gradientCheckpointing;
  const conditioning = openConditioning(frozen?.conditions, {seed, train: true});
  const given =
    (conditions: EncodedConditions): Denoise =>
    (latents, timesteps) =>
      unet.forward({latents, timesteps, ...conditions, mode: 'image'});
  const shown = diffusion.heldOut(heldOut, 'images');
  const known = heldOutConditions(conditioning, heldOut, 'images');

  return {
    trained: [...trainedWeights(unet), ...(conditioning?.trainedAt(config) ?? [])],

    /** Every frame is an image with noise, a timestep and conditions of its own: [B*T,1,h,w,C]. */
    prepare: (batch, place) => {
      const random = {seed, place};
      return {
        diffusion: diffusion.draw(batch, random, 'images'),
        conditions: conditioning?.prepare(batch, 'images', random) ?? {},
      };
    },

    loss: ({diffusion: inputs, conditions}) => diffusion.loss(inputs, given(conditioning?.inputs(conditions) ?? {})),

    async heldOut() {
      const {mean, perTimestep} = await shown.loss(i => given(known.own(i)));
      return {
        loss: mean,
        ...(conditioning ? {lossOtherConditions: (await shown.loss(i => given(known.another(i)))).mean} : {}),
        ...timestepFigures(perTimestep),
      };
    },

    preview: (folder, step) =>
      diffusion.preview(unet, {config, folder, step, frames: undefined, conditions: known.first}),

    dispose() {
      shown.dispose();
      unet.dispose();
      conditioning?.dispose();
      diffusion.dispose();
    },
  };
}
