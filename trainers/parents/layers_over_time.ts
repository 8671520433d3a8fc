// The layers over time of a stage's network: its parent's, which it goes on training, or new ones as configured.
import {DEFAULT_CONTEXT_CHANNELS, type TemporalSection, temporalSchema} from '../../src/config/models.ts';
import type {AlphaOptions} from '../../src/layers/alpha_mix.ts';
import type {TemporalConfig, UNetConfig} from '../../src/models/index.ts';
import {UserError} from '../../src/platform/user_error.ts';

/** Where layers over time come from and what they are trained on. */
interface Place {
  readonly from: string | undefined;
  /** Of a clip. */
  readonly frames: number;
}

/**
 * @param own the section `temporal`, if there is one
 * @param parents of the parent's UNet, where that is a video model's: it brings their weights, so that only `window` may differ
 * @throws UserError where the section describes other layers than the parent has, or where its alphas are of other clips.
 */
export function layersOverTime(
  own: TemporalSection | undefined,
  parents: TemporalConfig | undefined,
  {from, frames}: Place,
): TemporalConfig {
  if (!parents) return withFrames(own ?? temporalSchema.parse({}), frames);
  refuseOtherFrames(parents.alpha, frames);
  if (!own) return parents;
  const {alpha} = own;
  const refuse = (field: string, now: unknown, before: unknown) => {
    if (String(now) === String(before)) return;
    throw new UserError(
      `temporal.${field} is ${String(now)}, but the layers over time of ${from} have ${String(before)}: leave "temporal" out, or state theirs; only temporal.window may differ.`,
    );
  };
  for (const field of ['conv', 'attention', 'kernel'] as const) refuse(field, own[field], parents[field]);
  for (const field of ['kind', 'per'] as const) refuse(`alpha.${field}`, alpha[field], parents.alpha[field]);
  // Of learned alphas `init` was the start, which is past.
  if (alpha.kind === 'fixed') refuse('alpha.init', alpha.init, parents.alpha.init);
  return {...parents, window: own.window};
}

/** The parent's video UNet with the path of given frames: its own, or a new one. */
export function withContextPath(
  unet: UNetConfig | undefined,
  channels: number | undefined,
  {from, frames}: Place,
): UNetConfig {
  const temporal = unet?.temporal;
  if (!unet || !temporal) throw new Error("This stage's UNet grows out of a video model's, which was not taken.");
  refuseOtherFrames(temporal.alpha, frames);
  const parents = temporal.given && (temporal.given.channels ?? DEFAULT_CONTEXT_CHANNELS);
  if (parents !== undefined && channels !== undefined && channels !== parents)
    throw new UserError(
      `context.channels is ${channels}, but ${from} brings its path of given frames with ${parents}: leave it out.`,
    );
  const given = temporal.given ?? {inputs: unet.outChannels + 1, channels: channels ?? DEFAULT_CONTEXT_CHANNELS};
  return {...unet, temporal: {...temporal, given}};
}

/** @throws UserError for clips of another length than the parent's alphas are of. */
export function refuseOtherFrames({per, frames: learned}: AlphaOptions, frames: number): void {
  if (per === 'frame' && learned !== undefined && learned !== frames)
    throw new UserError(
      `The parent learned one alpha for each of ${learned} frames and cannot take clips of ${frames}: train it with temporal.alpha.per "layer".`,
    );
}

/** One alpha per frame needs to know how many frames there are. */
export function withFrames<T extends {alpha: AlphaOptions}>(temporal: T, frames: number): T {
  const {alpha} = temporal;
  return {...temporal, alpha: {...alpha, ...(alpha.per === 'frame' ? {frames} : {})}};
}
