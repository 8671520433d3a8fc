// Stage `temporal`: temporal layers are interleaved into the image model and alone are trained; everything spatial is
// frozen (Video LDM, section 3.1 and eq. 2). Same noise schedule and target as the image model.
import type {TemporalStageConfig} from '../src/config/schema.ts';
import {type Denoise, diffusionLoss, makeSchedule} from '../src/diffusion/index.ts';
import {UNet} from '../src/models/index.ts';
import {permutation} from '../src/random/index.ts';
import * as tf from '../src/tf.ts';
import {buildAutoencoder, growFrom, needFrozen} from './frozen.ts';
import {heldOutLoss} from './held_out_loss.ts';
import {type DiffusionInputs, drawDiffusion, encodeHeldOut} from './latents.ts';
import {videoUNet} from './networks.ts';
import {previewSamples} from './preview_samples.ts';
import {type Recipe, trainedWeights} from './recipe.ts';
import type {StageContext} from './stage_context.ts';

export function temporalRecipe({
  config,
  frozen: maybe,
  heldOut,
}: StageContext<TemporalStageConfig>): Recipe<DiffusionInputs> {
  const {seed} = config.run;
  const frozen = needFrozen(maybe, 'autoencoder', 'unet', 'scaleFactor', 'diffusion');
  const {prediction} = frozen.diffusion;
  const schedule = makeSchedule(frozen.diffusion.schedule);
  const autoencoder = buildAutoencoder(frozen);
  const unet = growFrom(new UNet(videoUNet(config, frozen)), frozen.unet, 'image model', seed);
  unet.trainWhere(({part}) => part === 'temporal');

  const asVideo: Denoise = (noisy, timesteps) => unet.forward({latents: noisy, timesteps});
  const asImages: Denoise = (noisy, timesteps) => unet.forward({latents: noisy, timesteps, mode: 'image'});
  const denoise = config.sees === 'own-frame' ? eachFrameAlone(asVideo) : asVideo;
  const heldOutSet = {
    clips: encodeHeldOut(autoencoder, frozen.scaleFactor, heldOut),
    seed,
    quantiles: config.heldOut.timesteps,
  };
  const shuffled = (clip: number) => [...permutation({seed, stream: 'shuffle', step: clip}, config.data.frames)];

  let lossAlphaOne: number | undefined;

  return {
    trained: trainedWeights(unet),

    prepare: (batch, place) =>
      drawDiffusion({autoencoder, frozen, batch, schedule, random: {seed, place}, framesAre: 'clip'}),

    loss: inputs => diffusionLoss({...inputs, denoise, schedule, prediction}),

    /** Beside the loss: the image model alone on the same noise (alpha = 1), and the frames of each clip in random order. */
    async heldOut() {
      const diffusion = {schedule, prediction};
      const {mean, perTimestep} = await heldOutLoss(heldOutSet, denoise, diffusion);
      // The image model is frozen: measured once.
      lossAlphaOne ??= (await heldOutLoss(heldOutSet, asImages, diffusion)).mean;
      const lossShuffled = (await heldOutLoss(heldOutSet, denoise, diffusion, shuffled)).mean;
      return {
        loss: mean,
        lossAlphaOne,
        lossShuffled,
        ...Object.fromEntries(perTimestep.map(({timestep, loss}) => [`loss.t${timestep}`, loss])),
      };
    },

    preview: (folder, step) =>
      previewSamples({unet, schedule, prediction}, autoencoder, frozen.scaleFactor, {
        config,
        folder,
        step,
        frames: config.data.frames,
      }),

    dispose() {
      tf.dispose(heldOutSet.clips as tf.Tensor[]);
      unet.dispose();
      autoencoder.dispose();
    },
  };
}

/** The control of an experiment: [B,T,...] as B*T clips of one frame, so that no layer sees another frame. */
function eachFrameAlone(denoise: Denoise): Denoise {
  return (noisy, timesteps) =>
    tf.tidy(() => {
      const [b = 1, t = 1, ...frame] = noisy.shape;
      const perFrame = tf.reshape(tf.tile(tf.reshape(timesteps, [b, 1]), [1, t]), [b * t]) as tf.Tensor1D;
      return tf.reshape(denoise(tf.reshape(noisy, [b * t, 1, ...frame]), perFrame), noisy.shape);
    });
}
