// Normalisation with learned scale and shift. Epsilons follow Stable Diffusion: 1e-5 in the UNet's residual blocks and
// LayerNorms, 1e-6 in its transformers' GroupNorm and everywhere in the autoencoder.
import {groupNorm, layerNorm, silu as siluOf} from '../ops/index.ts';
import * as tf from '../tf.ts';
import {Block, type BlockArgs, single, type Weight} from './block.ts';
import {ones, zeros} from './initializers.ts';
import {stripStatistics, type WholeStatistics} from './strips.ts';

export interface GroupNormOptions {
  readonly channels: number;
  readonly groups: number;
  readonly epsilon: number;
}

/** GroupNorm over [N,H,W,C], or over time as well for [B,T,H,W,C]; with SiLU after it where `silu`. */
export class GroupNorm extends Block<GroupNormOptions> {
  static readonly className = 'VideoLdmGroupNorm';
  private readonly scale: Weight;
  private readonly shift: Weight;

  constructor(options: GroupNormOptions & BlockArgs) {
    super(options);
    const {channels, groups} = options;
    if (channels % groups !== 0)
      throw new Error(
        `GroupNorm: ${channels} channels do not divide into ${groups} groups: choose a divisor as normGroups.`,
      );
    this.scale = this.weight('weight', {shape: [channels], init: ones, layout: 'vector'});
    this.shift = this.weight('bias', {shape: [channels], init: zeros, layout: 'vector'});
  }

  forward<T extends tf.Tensor4D | tf.Tensor5D>(x: T, {silu = false}: {silu?: boolean} = {}): T {
    const {groups, epsilon} = this.options;
    const whole = stripStatistics(this, x, {groups, epsilon});
    if (whole) return this.normalise(x, whole, silu);
    return groupNorm(x, this.scale.value as tf.Tensor1D, this.shift.value as tf.Tensor1D, {groups, epsilon, silu}) as T;
  }

  /** With statistics that are known beforehand, mean and rstd [N,1,G,1]. */
  private normalise<T extends tf.Tensor4D | tf.Tensor5D>(x: T, {mean, rstd}: WholeStatistics, silu: boolean): T {
    return tf.tidy(() => {
      const {channels, groups} = this.options;
      const [n] = x.shape;
      const perChannel = [n, 1, groups, channels / groups];
      const scale = tf.mul(rstd, tf.reshape(this.scale.value, [1, 1, groups, channels / groups]));
      const shift = tf.sub(tf.reshape(this.shift.value, [1, 1, groups, channels / groups]), tf.mul(mean, scale));
      const rows = tf.reshape(x, [n, -1, channels]);
      const wide = (part: tf.Tensor) => tf.reshape(tf.reshape(part, perChannel), [n, 1, channels]);
      const y = tf.add(tf.mul(rows, wide(scale)), wide(shift));
      return tf.reshape(silu ? siluOf(y) : y, x.shape);
    }) as T;
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward(single(inputs) as tf.Tensor4D);
  }
}

export interface LayerNormOptions {
  readonly channels: number;
  /** Default 1e-5. */
  readonly epsilon?: number;
}

/** LayerNorm over the last axis. */
export class LayerNorm extends Block<LayerNormOptions> {
  static readonly className = 'VideoLdmLayerNorm';
  private readonly scale: Weight;
  private readonly shift: Weight;

  constructor(options: LayerNormOptions & BlockArgs) {
    super(options);
    this.scale = this.weight('weight', {shape: [options.channels], init: ones, layout: 'vector'});
    this.shift = this.weight('bias', {shape: [options.channels], init: zeros, layout: 'vector'});
  }

  forward<T extends tf.Tensor>(x: T): T {
    return layerNorm(x, this.scale.value as tf.Tensor1D, this.shift.value as tf.Tensor1D, {
      epsilon: this.options.epsilon ?? 1e-5,
    }) as T;
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward(single(inputs));
  }
}

for (const layer of [GroupNorm, LayerNorm]) tf.serialization.registerClass(layer);
