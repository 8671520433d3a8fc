// Stage `prediction`: the video model learns to go on from S given frames, S in {0, 1, 2} drawn for each sample; the layers
// over time and the context path train, everything spatial is frozen. The loss is over the whole diffused sequence
// (Video LDM, "Prediction Models for Long-Term Generation").
import type {PredictionStageConfig} from '../src/config/schema.ts';
import type {Denoise} from '../src/diffusion/index.ts';
import {type EncodedConditions, UNet} from '../src/models/index.ts';
import {frameRange} from '../src/sampling/index.ts';
import type * as tf from '../src/tf.ts';
import {heldOutConditions} from './held_out/held_out_conditions.ts';
import {timestepFigures} from './held_out/held_out_loss.ts';
import {openConditioning} from './inputs/conditions.ts';
import {contextDraws, contextOf, drawn, firstFrames} from './inputs/given_frames.ts';
import {openLatentDiffusion} from './inputs/latent_diffusion.ts';
import type {DiffusionInputs} from './inputs/latents.ts';
import {growFrom, needFrozen} from './parents/frozen.ts';
import {predictionUNet} from './parents/networks.ts';
import {trainedPart} from './parents/trained_part.ts';
import {type Recipe, trainedWeights} from './recipe.ts';
import type {StageContext} from './stage_context.ts';

type Inputs = {diffusion: DiffusionInputs; conditions: EncodedConditions; given: tf.Tensor5D};

/** The most frames that are given. */
const MOST_GIVEN = 2;

export function predictionRecipe({
  config,
  frozen: maybe,
  heldOut,
}: StageContext<PredictionStageConfig>): Recipe<Inputs> {
  const {seed} = config.run;
  const {frames} = config.data;
  const frozen = needFrozen(maybe, 'unet');
  const diffusion = openLatentDiffusion(maybe, config);
  const unet = growFrom(new UNet(predictionUNet(config, frozen)), frozen.unet, 'video model', seed);
  unet.checkpointing = config.train.gradientCheckpointing;
  unet.trainWhere(trainedPart(config)).storeFrozen();
  const {conditions, temporalText} = maybe ?? {};
  const conditioning = openConditioning(conditions, {seed, train: false, temporalText});

  const told =
    (conditions: EncodedConditions, given: tf.Tensor5D | undefined): Denoise =>
    (latents, timesteps) =>
      unet.forward({latents, timesteps, ...conditions, given});
  const shown = diffusion.heldOut(heldOut, 'clip');
  const known = heldOutConditions(conditioning, heldOut, 'clips');
  const givenOf = (clip: number, s: number) =>
    s === 0 ? undefined : contextOf(shown.clips[clip % shown.clips.length]!, firstFrames(s, frames));
  const unseen = Array.from({length: frames - MOST_GIVEN}, (_, i) => MOST_GIVEN + i);

  return {
    trained: trainedWeights(unet),

    prepare: (batch, place) => {
      const random = {seed, place};
      const inputs = diffusion.draw(batch, random, 'clip');
      const masks = contextDraws(batch.keys.length, random).flatMap(({first}) =>
        firstFrames(drawn(config.context.given, first), frames),
      );
      return {
        diffusion: inputs,
        conditions: conditioning?.inputs(conditioning.prepare(batch, 'clips', random)) ?? {},
        given: contextOf(inputs.latents, masks),
      };
    },

    loss: ({diffusion: inputs, conditions, given}) => diffusion.loss(inputs, told(conditions, given)),

    /**
     * `loss` with two frames given; the error of the frames that are never given, by how many are (`unseen.s0` .. `unseen.s2`),
     * and with two frames of another clip (`unseen.other`): what the given frames are worth.
     */
    async heldOut() {
      const {mean, perTimestep} = await shown.loss(i => told(known.own(i), givenOf(i, MOST_GIVEN)));
      const figures: Record<string, number> = {loss: mean};
      const ofUnseen = async (given: (clip: number) => tf.Tensor5D | undefined) =>
        (await shown.loss(i => told(known.own(i), given(i)), {frames: unseen})).mean;
      for (let s = 0; s <= MOST_GIVEN; s++) figures[`unseen.s${s}`] = await ofUnseen(i => givenOf(i, s));
      figures['unseen.other'] = await ofUnseen(i => givenOf(i + 1, MOST_GIVEN));
      return {...figures, ...timestepFigures(perTimestep)};
    },

    preview: (folder, step) =>
      diffusion.preview(unet, {
        config,
        folder,
        step,
        frames,
        conditions: known.first,
        given: i => ({
          latents: frameRange(shown.clips[i % shown.clips.length] as tf.Tensor5D, 0, MOST_GIVEN),
          positions: [0, 1],
        }),
      }),

    dispose() {
      shown.dispose();
      unet.dispose();
      conditioning?.dispose();
      diffusion.dispose();
    },
  };
}
