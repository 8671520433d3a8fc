// Stage `upsampler-image`: a diffusion model of high-resolution frames given low-resolution ones that are noised to a level it
// is told (Video LDM, "Temporal Fine-tuning of Super-Resolution Models"), on pixels, or on latents as the x4 upscaler.
import type {UpsamplerImageStageConfig} from '../src/config/schema.ts';
import {diffusionLoss, disposeTables, makeSchedule} from '../src/diffusion/index.ts';
import {type ConditionTensors, UNet} from '../src/models/index.ts';
import * as tf from '../src/tf.ts';
import {heldOutConditions} from './held_out/held_out_conditions.ts';
import {heldOutLoss, timestepFigures} from './held_out/held_out_loss.ts';
import {previewUpsampled} from './held_out/preview_upsampled.ts';
import {openConditioning} from './inputs/conditions.ts';
import {ofImages, openUpsampling, type UpsamplingInputs, upsamplerDenoise} from './inputs/upsampling.ts';
import {needFrozen} from './parents/frozen.ts';
import {growUNet} from './parents/grow_unet.ts';
import {partsOfNone, upsamplerUNet} from './parents/networks.ts';
import {type Recipe, trainedWeights} from './recipe.ts';
import type {StageContext} from './stage_context.ts';

type Inputs = UpsamplingInputs & {conditions: ConditionTensors};

export function upsamplerImageRecipe({
  config,
  frozen,
  heldOut,
}: StageContext<UpsamplerImageStageConfig>): Recipe<Inputs> {
  const {seed} = config.run;
  const parts = frozen ?? partsOfNone(config);
  const {diffusion: settings} = needFrozen(parts, 'diffusion');
  const schedule = makeSchedule(settings.schedule);
  const diffusion = {schedule, prediction: settings.prediction};
  const upsampling = openUpsampling(parts, config);
  const unet = growUNet(new UNet(upsamplerUNet(config, parts)), parts.unet, 'upsampler', seed);
  unet.checkpointing = config.train.gradientCheckpointing;
  const conditioning = openConditioning(parts.conditions, {seed, train: true});
  const clips = heldOut.map(upsampling.encode);
  const frames = tf.tidy(() => clips.map(clip => tf.reshape(clip, [clip.shape[1], 1, ...clip.shape.slice(2)])));
  const given = heldOut.map((clip, i) => upsampling.heldOutCondition(clip, i));
  const known = heldOutConditions(conditioning, heldOut, 'images');
  const set = {clips: frames, seed, quantiles: config.heldOut.timesteps};

  return {
    trained: [...trainedWeights(unet), ...(conditioning?.trainedAt(config) ?? [])],

    /** Every frame is an image with noise, a timestep, a level and conditions of its own: [B*T,1,h,w,C]. */
    prepare: (batch, place) => ({
      ...upsampling.draw(batch, schedule, {seed, place}, 'images'),
      conditions: conditioning?.prepare(batch, 'images', {seed, place}) ?? {},
    }),

    loss: ({diffusion: inputs, condition, conditions}) =>
      diffusionLoss({
        ...inputs,
        ...diffusion,
        denoise: upsamplerDenoise(unet, condition, 'image', conditioning?.inputs(conditions)),
      }),

    /** On whole frames, which may be larger than the patches trained on. */
    async heldOut() {
      const {mean, perTimestep} = await heldOutLoss(
        set,
        i => upsamplerDenoise(unet, ofImages(given[i]!), 'image', known.own(i)),
        diffusion,
      );
      return {loss: mean, ...timestepFigures(perTimestep)};
    },

    preview: (folder, step) =>
      previewUpsampled({unet, ...diffusion, upsampling}, heldOut, {config, folder, step, mode: 'image', known}),

    dispose() {
      tf.dispose([clips, frames, given]);
      unet.dispose();
      disposeTables(schedule);
      conditioning?.dispose();
      upsampling.dispose();
    },
  };
}
