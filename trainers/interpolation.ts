// Stage `interpolation`: three new frames between two key frames. One model learns it at two frame rates, T to 4T and 4T to
// 16T, told which by a binary condition; the whole UNet trains (Video LDM, "Temporal Interpolation for High Frame Rates").
// Clips come at the highest rate; the lower one is every fourth of their frames.
import type {VideoBatch} from '../datasets/index.ts';
import type {InterpolationStageConfig} from '../src/config/schema.ts';
import type {Denoise} from '../src/diffusion/index.ts';
import {type EncodedConditions, UNet} from '../src/models/index.ts';
import {INTERPOLATION} from '../src/sampling/index.ts';
import * as tf from '../src/tf.ts';
import {heldOutConditions} from './held_out/held_out_conditions.ts';
import {timestepFigures} from './held_out/held_out_loss.ts';
import {openConditioning} from './inputs/conditions.ts';
import {contextDraws, contextOf, keyFrames, selectFrames} from './inputs/given_frames.ts';
import {openLatentDiffusion} from './inputs/latent_diffusion.ts';
import type {DiffusionInputs} from './inputs/latents.ts';
import {needFrozen} from './parents/frozen.ts';
import {growUNet} from './parents/grow_unet.ts';
import {INTERPOLATION_LEVELS, interpolatedFrames, interpolationUNet} from './parents/networks.ts';
import {type Recipe, trainedWeights} from './recipe.ts';
import type {StageContext} from './stage_context.ts';

type Inputs = {diffusion: DiffusionInputs; conditions: EncodedConditions; given: tf.Tensor5D; levels: tf.Tensor1D};

/** 0: the lower frame rate; 1: the higher. */
type Level = 0 | 1;
const levelNames = ['coarse', 'fine'] as const;

export function interpolationRecipe({
  config,
  frozen: maybe,
  heldOut,
}: StageContext<InterpolationStageConfig>): Recipe<Inputs> {
  const {seed} = config.run;
  const frames = interpolatedFrames(config);
  const frozen = needFrozen(maybe, 'unet');
  const diffusion = openLatentDiffusion(maybe, config);
  // The context path is behind zeros, and the level starts at zero: before its first step the model is its parent.
  const unet = growUNet(new UNet(interpolationUNet(config, frozen)), frozen.unet, 'video model', seed);
  unet.checkpointing = config.train.gradientCheckpointing;
  const {conditions, temporalText} = maybe ?? {};
  const conditioning = openConditioning(conditions, {seed, train: false, temporalText});

  const told =
    (conditions: EncodedConditions, given: tf.Tensor5D | undefined, classLabels: tf.Tensor1D): Denoise =>
    (latents, timesteps) =>
      unet.forward({latents, timesteps, ...conditions, given, classLabels});
  const perLevel = ([0, 1] as const).map(level => {
    const clips = heldOut.map(clip => atLevels(clip, frames, [{level, start: 0}]));
    const known = heldOutConditions(conditioning, clips, 'clips');
    return {level, shown: diffusion.heldOut(clips, 'clip', seed + level), known};
  });
  const levelTensor = (...levels: number[]) => tf.tensor1d(levels, 'int32');
  const keys = keyFrames(frames);
  const between = keys.flatMap((key, t) => (key ? [] : [t]));

  return {
    trained: trainedWeights(unet),

    prepare: (batch, place) => {
      const random = {seed, place};
      const drawn = contextDraws(batch.keys.length, random);
      const levels = drawLevels(drawn, config, frames);
      const clips = atLevels(batch, frames, levels);
      const inputs = diffusion.draw(clips, random, 'clip');
      const masks = drawn.flatMap(({first}) => (first < config.context.drop ? keys.map(() => false) : keys));
      return {
        diffusion: inputs,
        conditions: conditioning?.inputs(conditioning.prepare(clips, 'clips', random)) ?? {},
        given: contextOf(inputs.latents, masks),
        levels: levelTensor(...levels.map(({level}) => level)),
      };
    },

    loss: ({diffusion: inputs, conditions, given, levels}) => diffusion.loss(inputs, told(conditions, given, levels)),

    /**
     * Of the frames between the key frames, with these given: the mean over both rates as `loss`, each rate's own as
     * `coarse` and `fine`; with none given as `*.alone`, and told of the other rate as `*.otherLevel`.
     */
    async heldOut() {
      const figures: Record<string, number> = {loss: 0};
      let timesteps: Record<string, number> = {};
      for (const {level, shown, known} of perLevel) {
        const given = (i: number) => contextOf(shown.clips[i]!, keys);
        const loss = (context: (i: number) => tf.Tensor5D | undefined, said: number) =>
          shown.loss(i => told(known.own(i), context(i), levelTensor(said)), {frames: between});
        const {mean, perTimestep} = await loss(given, level);
        const name = levelNames[level];
        figures.loss! += mean / INTERPOLATION_LEVELS;
        figures[name] = mean;
        figures[`${name}.alone`] = (await loss(() => undefined, level)).mean;
        figures[`${name}.otherLevel`] = (await loss(given, 1 - level)).mean;
        if (level === 0) timesteps = timestepFigures(perTimestep);
      }
      return {...figures, ...timesteps};
    },

    /** Between the key frames of held-out clips, the two rates in turn. */
    preview: (folder, step) => {
      const at = (i: number) => perLevel[i % INTERPOLATION_LEVELS]!;
      const clip = (i: number) => Math.floor(i / INTERPOLATION_LEVELS) % heldOut.length;
      return diffusion.preview(unet, {
        config,
        folder,
        step,
        frames,
        conditions: i => ({...at(i).known.first(clip(i)), classLabels: levelTensor(at(i).level)}),
        given: i => {
          const positions = keys.flatMap((key, t) => (key ? [t] : []));
          return {latents: tf.gather(at(i).shown.clips[clip(i)] as tf.Tensor5D, positions, 1), positions};
        },
      });
    },

    dispose() {
      for (const {shown} of perLevel) shown.dispose();
      unet.dispose();
      conditioning?.dispose();
      diffusion.dispose();
    },
  };
}

interface LevelPlace {
  readonly level: Level;
  /** First frame of the clip at the highest rate. */
  readonly start: number;
}

function drawLevels(
  draws: readonly {second: number}[],
  {context, data}: InterpolationStageConfig,
  frames: number,
): LevelPlace[] {
  return draws.map(({second}) => {
    if (second < context.coarse) return {level: 0, start: 0};
    // What is left of the draw says where in the clip the frames of the higher rate lie.
    const rest = (second - context.coarse) / Math.max(1e-9, 1 - context.coarse);
    return {level: 1, start: Math.floor(rest * (data.frames - frames + 1))};
  });
}

/** Clips of the interpolation model out of clips at the highest rate: every fourth frame, or a stretch of them. */
function atLevels(batch: VideoBatch, frames: number, places: readonly LevelPlace[]): VideoBatch {
  const indices = places.map(({level, start}) => {
    const stride = level === 0 ? INTERPOLATION : 1;
    return Array.from({length: frames}, (_, t) => start + stride * t);
  });
  return selectFrames(
    batch,
    indices,
    places.map(({level}) => (level === 0 ? INTERPOLATION : 1)),
  );
}
