// What a UNet is built from, and the checks a configuration must pass before anything is built.
import type {AlphaOptions} from '../layers/alpha_mix.ts';
import {UserError} from '../platform/user_error.ts';

export interface TemporalConfig {
  /** A residual block over time after every spatial one. */
  readonly conv: boolean;
  /** A transformer block over time inside every spatial transformer. */
  readonly attention: boolean;
  readonly kernel: readonly [3, 1, 1] | readonly [3, 3, 3];
  readonly alpha: AlphaOptions;
  /** The largest distance in frames that attention sees, for clips longer than trained; absent: all. */
  readonly window?: number | undefined;
  /** Width of the text the temporal layers attend to; absent: crossAttentionDim. */
  readonly contextDim?: number | undefined;
  /** The path of given frames (prediction, interpolation): channels of (latents, mask) and of its features (default 32). */
  readonly given?: {readonly inputs: number; readonly channels?: number | undefined} | undefined;
}

export interface UNetConfig {
  readonly inChannels: number;
  readonly outChannels: number;
  /** Per level, finest first; each level but the last halves the size. */
  readonly channels: readonly number[];
  readonly layersPerBlock: number;
  /** Per level; the middle always has attention, as in Stable Diffusion. */
  readonly attention: readonly boolean[];
  /** Attention heads everywhere, their width, or their number per level. */
  readonly heads: {readonly count: number} | {readonly dim: number} | readonly number[];
  /** Width of the text; absent: no attention to text. */
  readonly crossAttentionDim?: number | undefined;
  /** Per level: the first attention of a transformer looks at the text as well (x4 upscaler). */
  readonly crossOnly?: readonly boolean[] | undefined;
  readonly linearProjection: boolean;
  readonly normGroups: number;
  /** How many classes (or noise levels) a label may name. */
  readonly classEmbedding?: number | undefined;
  /**
   * Numbers such as the frame rate, each as a sinusoid of `dim` channels, through an MLP into the timestep embedding; of every
   * layer, or of the layers over time alone, to which the MLP then belongs.
   */
  readonly addedNumbers?: {readonly count: number; readonly dim: number; readonly to?: 'temporal'} | undefined;
  /** Epsilon of the residual blocks' GroupNorm where it is not 1e-5 (diffusers' copy of SVD). */
  readonly epsilons?:
    | {readonly down: readonly number[]; readonly mid: number; readonly up: readonly number[]}
    | undefined;
  readonly temporal?: TemporalConfig | undefined;
}

/** Number of attention heads at a level. */
export function headsAt({heads, channels}: UNetConfig, level: number): number {
  if ('count' in heads) return heads.count;
  if ('dim' in heads) return channels[level]! / heads.dim;
  return heads[level]!;
}

/** @throws UserError naming the field that does not fit the others. */
export function checkUNetConfig(config: UNetConfig): void {
  const {channels, attention, heads, normGroups, crossOnly, epsilons, crossAttentionDim} = config;
  const levels = channels.length;
  const perLevel = (name: string, list: readonly unknown[] | undefined) => {
    if (list && list.length !== levels)
      throw new UserError(
        `unet.${name} has ${list.length} entries, but unet.channels has ${levels} levels: give one per level.`,
      );
  };
  if (levels === 0) throw new UserError('unet.channels is empty: give the channels of at least one level.');
  perLevel('attention', attention);
  perLevel('crossOnly', crossOnly);
  perLevel('epsilons.down', epsilons?.down);
  perLevel('epsilons.up', epsilons?.up);
  if (!('count' in heads) && !('dim' in heads)) perLevel('heads', heads);
  for (const [level, width] of channels.entries()) {
    if (width % normGroups !== 0)
      throw new UserError(`unet.channels[${level}] is ${width}, which unet.normGroups ${normGroups} does not divide.`);
    const attends = attention[level] || level === levels - 1;
    const count = headsAt(config, level);
    if (attends && (!Number.isInteger(count) || count < 1 || width % count !== 0)) {
      throw new UserError(
        `unet.heads gives ${count} heads at level ${level}, which do not divide its ${width} channels.`,
      );
    }
  }
  if (crossOnly?.some(Boolean) && crossAttentionDim === undefined)
    throw new UserError('unet.crossOnly needs unet.crossAttentionDim, the width of the text.');
  if (config.addedNumbers?.to === 'temporal' && !config.temporal?.conv)
    throw new UserError(
      'The frame rate enters with the timestep, which only convolutions over time take: set temporal.conv to true, or leave conditions.fps out.',
    );
}
