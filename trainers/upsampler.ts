// Stage `upsampler`: the upsampler of frames gains temporal layers, which alone are trained, on clips given low-resolution
// clips (Video LDM, "Temporal Fine-tuning of Super-Resolution Models"). Neither masks nor a prediction scheme: the
// low-resolution video already says how things move.
import type {UpsamplerStageConfig} from '../src/config/schema.ts';
import {diffusionLoss, disposeTables, makeSchedule} from '../src/diffusion/index.ts';
import {type EncodedConditions, UNet} from '../src/models/index.ts';
import * as tf from '../src/tf.ts';
import {heldOutConditions} from './held_out/held_out_conditions.ts';
import {heldOutLoss, timestepFigures} from './held_out/held_out_loss.ts';
import {previewUpsampled} from './held_out/preview_upsampled.ts';
import {openConditioning} from './inputs/conditions.ts';
import {openUpsampling, type UpsamplingInputs, upsamplerDenoise} from './inputs/upsampling.ts';
import {growFrom, needFrozen} from './parents/frozen.ts';
import {videoUNet} from './parents/networks.ts';
import {trainedPart} from './parents/trained_part.ts';
import {type Recipe, trainedWeights} from './recipe.ts';
import type {StageContext} from './stage_context.ts';

type Inputs = UpsamplingInputs & {conditions: EncodedConditions};

export function upsamplerRecipe({config, frozen: maybe, heldOut}: StageContext<UpsamplerStageConfig>): Recipe<Inputs> {
  const {seed} = config.run;
  const frozen = needFrozen(maybe, 'unet', 'diffusion');
  const schedule = makeSchedule(frozen.diffusion.schedule);
  const diffusion = {schedule, prediction: frozen.diffusion.prediction};
  const upsampling = openUpsampling(maybe ?? {}, config);
  const unet = growFrom(new UNet(videoUNet(config, frozen)), frozen.unet, 'upsampler', seed);
  unet.trainWhere(trainedPart(config)).storeFrozen();
  unet.checkpointing = config.train.gradientCheckpointing;
  const {conditions, temporalText} = maybe ?? {};
  const conditioning = openConditioning(conditions, {seed, train: false, temporalText});
  const clips = heldOut.map(upsampling.encode);
  const given = heldOut.map((clip, i) => upsampling.heldOutCondition(clip, i));
  const known = heldOutConditions(conditioning, heldOut, 'clips');
  const set = {clips, seed, quantiles: config.heldOut.timesteps};
  const lossOf = (mode: 'video' | 'image') =>
    heldOutLoss(set, i => upsamplerDenoise(unet, given[i]!, mode, known.own(i)), diffusion);
  let lossAlphaOne: number | undefined;

  return {
    trained: trainedWeights(unet),

    prepare: (batch, place) => ({
      ...upsampling.draw(batch, schedule, {seed, place}, 'clip'),
      conditions: conditioning?.inputs(conditioning.prepare(batch, 'clips', {seed, place})) ?? {},
    }),

    loss: ({diffusion: inputs, condition, conditions}) =>
      diffusionLoss({...inputs, ...diffusion, denoise: upsamplerDenoise(unet, condition, 'video', conditions)}),

    /** Beside the loss: the upsampler of frames alone on the same noise (alpha = 1), measured once. */
    async heldOut() {
      const {mean, perTimestep} = await lossOf('video');
      lossAlphaOne ??= (await lossOf('image')).mean;
      return {loss: mean, lossAlphaOne, ...timestepFigures(perTimestep)};
    },

    preview: (folder, step) =>
      previewUpsampled({unet, ...diffusion, upsampling}, heldOut, {config, folder, step, mode: 'video', known}),

    dispose() {
      tf.dispose([clips, given]);
      unet.dispose();
      disposeTables(schedule);
      conditioning?.dispose();
      upsampling.dispose();
    },
  };
}
