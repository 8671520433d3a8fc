// What the diffusion stages on latents share: the frozen autoencoder that makes latents of frames, the schedule and target (a
// video model's are its image model's), the loss with its options, and figures of held-out clips.
import type {VideoBatch} from '../../datasets/index.ts';
import type {ObjectiveSection} from '../../src/config/objective.ts';
import type {CommonConfig} from '../../src/config/schema.ts';
import {type Denoise, diffusionLoss, disposeTables, makeSchedule} from '../../src/diffusion/index.ts';
import type {UNet} from '../../src/models/index.ts';
import * as tf from '../../src/tf.ts';
import {type HeldOutLoss, type HeldOutOptions, heldOutLoss} from '../held_out/held_out_loss.ts';
import {type PreviewOptions, previewSamples} from '../held_out/preview_samples.ts';
import {weightingOf} from '../losses/weighting.ts';
import {buildAutoencoder, needFrozen} from '../parents/frozen.ts';
import type {Parts} from '../parents/parts.ts';
import {type DiffusionInputs, drawDiffusion, encodeHeldOut, type StepRandom} from './latents.ts';

/** A clip is one sample, [B,T,h,w,C]; or every frame is a sample of its own, [B*T,1,h,w,C]. */
type FramesAre = 'clip' | 'images';

export interface LatentDiffusionTraining {
  /** Latents, noise and timesteps of a step. */
  draw(batch: VideoBatch, random: StepRandom, framesAre: FramesAre): DiffusionInputs;
  loss(inputs: DiffusionInputs, denoise: Denoise): tf.Scalar;
  /** @param seed of their noise; the run's where absent */
  heldOut(clips: readonly VideoBatch[], framesAre: FramesAre, seed?: number): HeldOutLatents;
  preview(unet: UNet, options: PreviewOptions): Promise<string[]>;
  dispose(): void;
}

export interface HeldOutLatents {
  /** Of each clip, kept until disposed of. */
  readonly clips: readonly tf.Tensor[];
  loss(denoise: (clip: number) => Denoise, options?: HeldOutOptions): Promise<HeldOutLoss>;
  dispose(): void;
}

export function openLatentDiffusion(
  parts: Parts | undefined,
  config: Pick<CommonConfig, 'run' | 'heldOut'> & {readonly loss: ObjectiveSection},
): LatentDiffusionTraining {
  const frozen = needFrozen(parts, 'autoencoder', 'scaleFactor', 'diffusion');
  const schedule = makeSchedule(frozen.diffusion.schedule);
  const {prediction} = frozen.diffusion;
  const weighting = weightingOf(config.loss);
  const autoencoder = buildAutoencoder(frozen);
  return {
    draw: (batch, random, framesAre) =>
      drawDiffusion({autoencoder, frozen, batch, schedule, random, framesAre, offset: config.loss.offsetNoise}),

    loss: (inputs, denoise) => diffusionLoss({...inputs, weighting, denoise, schedule, prediction}),

    heldOut(batches, framesAre, seed = config.run.seed) {
      const clips = encodeHeldOut(autoencoder, frozen.scaleFactor, batches, framesAre);
      const set = {clips, seed, quantiles: config.heldOut.timesteps};
      return {
        clips,
        loss: (denoise, options) => heldOutLoss(set, denoise, {schedule, prediction}, options),
        dispose: () => tf.dispose(clips),
      };
    },

    preview: (unet, options) => previewSamples({unet, schedule, prediction}, autoencoder, frozen.scaleFactor, options),

    dispose() {
      disposeTables(schedule);
      autoencoder.dispose();
    },
  };
}
