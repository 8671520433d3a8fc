// Stage `temporal`: temporal layers are interleaved into the image model and alone are trained; everything spatial is
// frozen (Video LDM, section 3.1 and eq. 2). Same noise schedule and target as the image model; text goes into the temporal
// layers too.
import type {TemporalStageConfig} from '../src/config/schema.ts';
import type {Denoise} from '../src/diffusion/index.ts';
import {type ConditionTensors, type EncodedConditions, repeatRows, UNet} from '../src/models/index.ts';
import {UserError} from '../src/platform/user_error.ts';
import {permutation} from '../src/random/index.ts';
import * as tf from '../src/tf.ts';
import {heldOutConditions} from './held_out/held_out_conditions.ts';
import {timestepFigures} from './held_out/held_out_loss.ts';
import {openConditioning} from './inputs/conditions.ts';
import {openLatentDiffusion} from './inputs/latent_diffusion.ts';
import type {DiffusionInputs} from './inputs/latents.ts';
import {growUNet} from './parents/grow_unet.ts';
import {temporalUNet} from './parents/networks.ts';
import {trainedPart} from './parents/trained_part.ts';
import {type Recipe, trainedWeights} from './recipe.ts';
import type {StageContext} from './stage_context.ts';

type Inputs = {diffusion: DiffusionInputs; conditions: ConditionTensors};

export function temporalRecipe({config, frozen, heldOut}: StageContext<TemporalStageConfig>): Recipe<Inputs> {
  const {seed} = config.run;
  const diffusion = openLatentDiffusion(frozen, config);
  const unet = growUNet(new UNet(temporalUNet(config, frozen ?? {})), frozen?.unet, 'image model', seed);
  unet.checkpointing = config.train.gradientCheckpointing;
  unet.trainWhere(trainedPart(config)).storeFrozen();
  const {conditions, temporalText} = frozen ?? {};
  const conditioning = openConditioning(conditions, {seed, train: config.unet !== undefined, temporalText});

  const asVideo =
    (conditions: EncodedConditions): Denoise =>
    (latents, timesteps) =>
      // A clip of one frame is an image: alpha = 1.
      unet.forward({latents, timesteps, ...conditions, mode: latents.shape[1] === 1 ? 'image' : 'video'});
  const asImages =
    (conditions: EncodedConditions): Denoise =>
    (latents, timesteps) =>
      unet.forward({latents, timesteps, ...conditions, mode: 'image'});
  const given = config.sees === 'own-frame' ? eachFrameAlone(unet) : asVideo;
  const shown = diffusion.heldOut(heldOut, 'clip');
  const known = heldOutConditions(conditioning, heldOut, 'clips');
  const shuffled = (clip: number) => [...permutation({seed, stream: 'shuffle', step: clip}, config.data.frames)];

  let lossAlphaOne: number | undefined;

  return {
    trained: [...trainedWeights(unet), ...(conditioning?.trainedAt(config) ?? [])],

    prepare: (batch, place) => {
      if (batch.kind === 'images' && config.trains === 'temporal')
        throw new UserError(
          'Still images teach the layers over time nothing: set trains to "all", or leave them out of data.train.',
        );
      const random = {seed, place};
      return {
        diffusion: diffusion.draw(batch, random, 'clip'),
        conditions: conditioning?.prepare(batch, 'clips', random) ?? {},
      };
    },

    loss: ({diffusion: inputs, conditions}) => diffusion.loss(inputs, given(conditioning?.inputs(conditions) ?? {})),

    /** Beside the loss: the image model alone on the same noise (alpha = 1), and the frames of each clip in random order. */
    async heldOut() {
      const {mean, perTimestep} = await shown.loss(i => given(known.own(i)));
      // Measured once where the image model is frozen.
      if (lossAlphaOne === undefined || config.trains === 'all')
        lossAlphaOne = (await shown.loss(i => asImages(known.own(i)))).mean;
      const lossShuffled = (await shown.loss(i => given(known.own(i)), {order: shuffled})).mean;
      return {
        loss: mean,
        lossAlphaOne,
        lossShuffled,
        ...(conditioning ? {lossOtherConditions: (await shown.loss(i => given(known.another(i)))).mean} : {}),
        ...timestepFigures(perTimestep),
      };
    },

    preview: (folder, step) =>
      diffusion.preview(unet, {config, folder, step, frames: config.data.frames, conditions: known.first}),

    dispose() {
      shown.dispose();
      unet.dispose();
      conditioning?.dispose();
      diffusion.dispose();
    },
  };
}

/** The control of an experiment: [B,T,...] as B*T clips of one frame, so that no layer sees another frame. */
function eachFrameAlone(unet: UNet): (conditions: EncodedConditions) => Denoise {
  return ({context, temporalContext, addedNumbers}) =>
    (noisy, timesteps) =>
      tf.tidy(() => {
        const [b = 1, t = 1, ...frame] = noisy.shape;
        const alone = unet.forward({
          latents: tf.reshape(noisy, [b * t, 1, ...frame]),
          timesteps: repeatRows(timesteps, t),
          context: context && repeatRows(context, t),
          temporalContext: temporalContext && repeatRows(temporalContext, t),
          addedNumbers: addedNumbers && repeatRows(addedNumbers, t),
        });
        return tf.reshape(alone, noisy.shape);
      });
}
