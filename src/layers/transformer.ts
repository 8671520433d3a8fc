// The transformer of Stable Diffusion's UNet over the places of a feature map, with Video LDM's transformer over time inside:
// spatial block, temporal block, their mix, and only then the projection and the residual around both.
import * as tf from '../tf.ts';
import {AlphaMix, type AlphaOptions} from './alpha_mix.ts';
import {Attention, FeedForward} from './attention.ts';
import {Block, type BlockArgs, firstShape, type Shape, several} from './block.ts';
import {Conv2d, Linear} from './linear.ts';
import {GroupNorm, LayerNorm} from './norms.ts';
import type {StripStep} from './strips.ts';
import type {VideoPlace} from './temporal_resnet.ts';
import {TemporalTransformerBlock} from './temporal_transformer.ts';
import {positionTable, TimestepEmbedding} from './timestep_embedding.ts';

export interface TransformerBlockOptions {
  readonly channels: number;
  readonly heads: number;
  /** Width of the text; absent: no attention to text. */
  readonly contextDim?: number;
  /** The first attention looks at the text as well (levels of the x4 upscaler). */
  readonly crossOnly?: boolean;
}

/** Self-attention, cross-attention, feed-forward; each after a LayerNorm and added to its input. */
export class TransformerBlock extends Block<TransformerBlockOptions> {
  static readonly className = 'VideoLdmTransformerBlock';
  private readonly norm1: LayerNorm;
  private readonly attn1: Attention;
  private readonly cross: {norm: LayerNorm; attention: Attention} | undefined;
  private readonly norm3: LayerNorm;
  private readonly ff: FeedForward;

  constructor(options: TransformerBlockOptions & BlockArgs) {
    super(options);
    const {channels, heads, contextDim, crossOnly = false} = options;
    if (crossOnly && contextDim === undefined)
      throw new Error('A cross-only transformer block needs crossAttentionDim.');
    this.norm1 = this.child('norm1', new LayerNorm({channels}));
    this.attn1 = this.child(
      'attn1',
      new Attention({channels, heads, ...(crossOnly && contextDim !== undefined ? {contextDim} : {})}),
    );
    if (contextDim !== undefined) {
      const norm = this.child('norm2', new LayerNorm({channels}));
      this.cross = {norm, attention: this.child('attn2', new Attention({channels, heads, contextDim}))};
    }
    this.norm3 = this.child('norm3', new LayerNorm({channels}));
    this.ff = this.child('ff', new FeedForward({channels}));
  }

  /** tokens [N,P,C], `context` [B,M,D] with B dividing N. */
  forward(tokens: tf.Tensor3D, context?: tf.Tensor3D): tf.Tensor3D {
    return tf.tidy(() => {
      if ((this.cross || this.options.crossOnly) && !context) {
        throw new Error('This model attends to text: pass a context, or build it without crossAttentionDim.');
      }
      let h: tf.Tensor3D = tf.add(
        tokens,
        this.attn1.forward(this.norm1.forward(tokens), this.options.crossOnly ? context : undefined),
      );
      if (this.cross) h = tf.add(h, this.cross.attention.forward(this.cross.norm.forward(h), context));
      return tf.add(h, this.ff.forward(this.norm3.forward(h)));
    });
  }

  /** Inputs: tokens, or [tokens, context]. */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const [tokens, context] = several(inputs);
    return this.forward(tokens as tf.Tensor3D, context as tf.Tensor3D | undefined);
  }

  override computeOutputShape(shape: Shape | Shape[]): Shape {
    return firstShape(shape);
  }
}

export interface VideoTransformerOptions extends TransformerBlockOptions {
  readonly groups: number;
  /** Projections in and out as linear layers (SD 2.x) or as 1x1 convolutions (SD 1.x): the same arithmetic, other files. */
  readonly linearProjection: boolean;
  /** Absent: an image model's transformer, with nothing over time. */
  readonly temporal?: {
    readonly alpha: AlphaOptions;
    readonly window?: number;
    readonly contextDim?: number;
    /** Channels of the context features of given frames; set where no temporal convolution takes them in. */
    readonly givenChannels?: number;
  };
}

interface OverTime {
  readonly positions: TimestepEmbedding;
  readonly block: TemporalTransformerBlock;
  readonly given: Linear | undefined;
  readonly mixer: AlphaMix;
}

/** GroupNorm, projection, transformer block (and its temporal twin), projection, + input. */
export class VideoTransformer extends Block<VideoTransformerOptions> {
  static readonly className = 'VideoLdmVideoTransformer';
  private readonly norm: GroupNorm;
  private readonly projIn: Linear | Conv2d;
  private readonly block: TransformerBlock;
  private readonly overTime: OverTime | undefined;
  private readonly projOut: Linear | Conv2d;

  constructor(options: VideoTransformerOptions & BlockArgs) {
    super(options);
    const {channels, heads, contextDim, crossOnly = false, groups, linearProjection, temporal} = options;
    const projection = () =>
      linearProjection
        ? new Linear({inputs: channels, outputs: channels})
        : new Conv2d({inputs: channels, outputs: channels, kernel: 1});
    const text = contextDim === undefined ? {} : {contextDim};
    this.norm = this.child('norm', new GroupNorm({channels, groups, epsilon: 1e-6}));
    this.projIn = this.child('proj_in', projection());
    this.block = this.child('transformer_blocks.0', new TransformerBlock({channels, heads, crossOnly, ...text}));
    if (temporal) {
      const {alpha, window, contextDim: temporalText, givenChannels} = temporal;
      const own = {
        channels,
        heads,
        ...(temporalText === undefined ? {} : {contextDim: temporalText}),
        ...(window === undefined ? {} : {window}),
      };
      const block = this.child('temporal_transformer_blocks.0', new TemporalTransformerBlock(own), 'temporal');
      const mlp = new TimestepEmbedding({inputs: channels, hidden: 4 * channels, outputs: channels});
      const positions = this.child('time_pos_embed', mlp, 'temporal');
      const given =
        givenChannels === undefined
          ? undefined
          : this.child(
              'context_proj',
              new Linear({inputs: givenChannels, outputs: channels, bias: false, zero: true}),
              'temporal',
            );
      this.overTime = {positions, block, given, mixer: this.child('time_mixer', new AlphaMix(alpha), 'temporal')};
    }
    this.projOut = this.child('proj_out', projection());
  }

  /**
   * x [N,H,W,C]; `context` [B,M,D], B dividing N. With `video`, N = B x frames and the temporal block runs, on
   * `temporalContext` [B,M,D'] where given, else on `context`.
   */
  forward(x: tf.Tensor4D, context?: tf.Tensor3D, video?: VideoPlace, temporalContext?: tf.Tensor3D): tf.Tensor4D {
    return tf.tidy(() => {
      const [n, h, w, c] = x.shape;
      const projected = this.projIn.forward(this.norm.forward(x));
      let tokens = this.block.forward(tf.reshape(projected, [n, h * w, c]), context);
      if (video && this.overTime) tokens = this.mixOverTime(tokens, this.overTime, video, temporalContext ?? context);
      const mixed: tf.Tensor4D = tf.reshape(tokens, x.shape);
      return tf.add(x, this.projOut.forward(mixed));
    });
  }

  /** The transformer on strips: tokens of all rows are attended to, so it is one step. */
  step(context?: tf.Tensor3D, video?: VideoPlace, temporalContext?: tf.Tensor3D): StripStep {
    const {channels, heads, crossOnly = false} = this.options;
    const run = (x: tf.Tensor4D) => this.forward(x, context, video, temporalContext);
    // The feed-forward layer alone makes 8 and then 4 times the channels, beside all that came before it.
    return {halo: 0, scale: 1, channels, copies: 28, ...(crossOnly ? {} : {heads}), run};
  }

  private mixOverTime(
    tokens: tf.Tensor3D,
    {positions, block, given, mixer}: OverTime,
    {frames, given: features}: VideoPlace,
    context?: tf.Tensor3D,
  ): tf.Tensor3D {
    const [n, p, c] = tokens.shape;
    const b = n / frames;
    const spatial: tf.Tensor4D = tf.reshape(tokens, [b, frames, p, c]);
    const table = this.constant(`positions ${frames}`, () => positionTable(frames, c));
    let moved: tf.Tensor4D = tf.add(spatial, tf.reshape(positions.forward(table), [1, frames, 1, c]));
    if (given && features) {
      const places: tf.Tensor4D = tf.reshape(features, [b, frames, p, -1]);
      moved = tf.add(moved, given.forward(places));
    }
    return tf.reshape(mixer.forward(spatial, block.forward(moved, context)), [n, p, c]);
  }

  /** Inputs: clips [B,T,H,W,C], or [clips, context]. */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const [clip, context] = several(inputs);
      const [b = 1, t = 1, h = 1, w = 1, c = 1] = clip!.shape;
      const y = this.forward(tf.reshape(clip!, [b * t, h, w, c]), context as tf.Tensor3D | undefined, {frames: t});
      return tf.reshape(y, clip!.shape);
    });
  }

  override computeOutputShape(shape: Shape | Shape[]): Shape {
    return firstShape(shape);
  }
}

for (const layer of [TransformerBlock, VideoTransformer]) tf.serialization.registerClass(layer);
