// The residual block over time that follows a spatial one, and the two with their mix. (Paper: "residual block of 3D
// convolutions"; counted at full size it is (3,1,1) with a timestep embedding and an end of zeros.)
import {silu} from '../ops/index.ts';
import * as tf from '../tf.ts';
import {AlphaMix, type AlphaOptions} from './alpha_mix.ts';
import {Block, type BlockArgs, firstShape, type Shape, several} from './block.ts';
import {Linear, TemporalConv} from './linear.ts';
import {GroupNorm} from './norms.ts';
import {addPerGroup, ResnetBlock, type ResnetBlockOptions} from './resnet.ts';
import type {StripStep} from './strips.ts';

export interface TemporalResBlockOptions {
  readonly channels: number;
  /** Width of the timestep embedding; absent in the autoencoder's decoder. */
  readonly embedding?: number;
  readonly groups: number;
  readonly epsilon: number;
  readonly kernel: readonly [3, 1, 1] | readonly [3, 3, 3];
  /** Channels of the context features of given frames, entering through a projection of zeros. */
  readonly contextChannels?: number;
}

/** GroupNorm (over time too), SiLU, conv over time, + embedding, GroupNorm, SiLU, conv over time from zero, + input. */
export class TemporalResBlock extends Block<TemporalResBlockOptions> {
  static readonly className = 'VideoLdmTemporalResBlock';
  private readonly norm1: GroupNorm;
  private readonly conv1: TemporalConv;
  private readonly embedding: Linear | undefined;
  private readonly context: Linear | undefined;
  private readonly norm2: GroupNorm;
  private readonly conv2: TemporalConv;

  constructor(options: TemporalResBlockOptions & BlockArgs) {
    super(options);
    const {channels, embedding, groups, epsilon, kernel, contextChannels} = options;
    this.norm1 = this.child('norm1', new GroupNorm({channels, groups, epsilon}));
    this.conv1 = this.child('conv1', new TemporalConv({inputs: channels, outputs: channels, kernel}));
    if (embedding !== undefined)
      this.embedding = this.child('time_emb_proj', new Linear({inputs: embedding, outputs: channels}));
    if (contextChannels !== undefined) {
      // No bias: an absent context and a context of zeros are the same thing.
      this.context = this.child(
        'context_proj',
        new Linear({inputs: contextChannels, outputs: channels, bias: false, zero: true}),
      );
    }
    this.norm2 = this.child('norm2', new GroupNorm({channels, groups, epsilon}));
    this.conv2 = this.child('conv2', new TemporalConv({inputs: channels, outputs: channels, kernel, init: 'zero'}));
  }

  /** x [B,T,H,W,C]; `embedding` [B,width] (or one a frame, [B*T,width]) after its SiLU; `context` [B,T,H,W,contextChannels]. */
  forward(x: tf.Tensor5D, embedding?: tf.Tensor2D, context?: tf.Tensor5D): tf.Tensor5D {
    return tf.tidy(() => {
      let h = this.norm1.forward(x, {silu: true});
      if (this.embedding) {
        if (!embedding) throw new Error('This temporal block needs a timestep embedding.');
        // One pass over the maps for the bias and the embedding.
        h = this.conv1.unbiased(h);
        const [b, t, height, width, c] = h.shape;
        const maps: tf.Tensor4D = tf.reshape(h, [b * t, height, width, c]);
        h = tf.reshape(addPerGroup(maps, this.embedding.forward(embedding), this.conv1.biasVector), h.shape);
      } else h = this.conv1.forward(h);
      if (this.context && context) h = tf.add(h, this.context.forward(context));
      return tf.add(x, this.conv2.forward(this.norm2.forward(h, {silu: true})));
    });
  }

  /** Inputs: x, or [x, embedding] with the embedding before its SiLU. */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const [x, embedding] = several(inputs);
    return this.forward(x as tf.Tensor5D, embedding && (silu(embedding) as tf.Tensor2D));
  }

  override computeOutputShape(shape: Shape | Shape[]): Shape {
    return firstShape(shape);
  }
}

export interface VideoResBlockOptions {
  readonly spatial: ResnetBlockOptions;
  /** Absent: an image model's block, with nothing over time. */
  readonly temporal?: {
    readonly kernel: readonly [3, 1, 1] | readonly [3, 3, 3];
    readonly alpha: AlphaOptions;
    readonly switched?: boolean;
    readonly epsilon?: number;
    readonly contextChannels?: number;
  };
}

/** What a layer needs to know of the video whose frames it sees; without it, frames are separate images. */
export interface VideoPlace {
  readonly frames: number;
  /** Features of the given frames at this size, [B,T,h,w,K]. */
  readonly given?: tf.Tensor5D | undefined;
  /** After its SiLU, [B,width]: of the layers over time, where it is another than the frames'. */
  readonly embedding?: tf.Tensor2D | undefined;
}

/** A spatial residual block, then its temporal one, then their mix. */
export class VideoResBlock extends Block<VideoResBlockOptions> {
  static readonly className = 'VideoLdmVideoResBlock';
  private readonly spatial: ResnetBlock;
  private readonly temporal: TemporalResBlock | undefined;
  private readonly mixer: AlphaMix | undefined;

  constructor(options: VideoResBlockOptions & BlockArgs) {
    super(options);
    const {spatial, temporal} = options;
    this.spatial = this.child('', new ResnetBlock(spatial));
    if (!temporal) return;
    const {outputs: channels, embedding, groups} = spatial;
    const {kernel, alpha, switched = false, epsilon = spatial.epsilon, contextChannels} = temporal;
    const over = {
      channels,
      groups,
      epsilon,
      kernel,
      ...(embedding === undefined ? {} : {embedding}),
      ...(contextChannels === undefined ? {} : {contextChannels}),
    };
    this.temporal = this.child('temporal_res_block', new TemporalResBlock(over), 'temporal');
    this.mixer = this.child('time_mixer', new AlphaMix({...alpha, switched}), 'temporal');
  }

  /** x [N,H,W,inputs], `embedding` [B,width] after its SiLU; with `video`, N = B x frames and the temporal block runs. */
  forward(x: tf.Tensor4D, embedding?: tf.Tensor2D, video?: VideoPlace): tf.Tensor4D {
    return tf.tidy(() => this.overTime(this.spatial.forward(x, embedding), embedding, video));
  }

  /** The temporal block and the mix, after the spatial block. */
  private overTime(spatial: tf.Tensor4D, embedding?: tf.Tensor2D, video?: VideoPlace): tf.Tensor4D {
    const {temporal, mixer} = this;
    if (!video || !temporal || !mixer) return spatial;
    return tf.tidy(() => {
      const [n, h, w, c] = spatial.shape;
      const clip: tf.Tensor5D = tf.reshape(spatial, [n / video.frames, video.frames, h, w, c]);
      return tf.reshape(
        mixer.forward(clip, temporal.forward(clip, video.embedding ?? embedding, video.given)),
        spatial.shape,
      );
    });
  }

  /** The block on strips: first the spatial one, then what is over time. */
  steps(embedding?: tf.Tensor2D, video?: VideoPlace): StripStep[] {
    const spatial = this.spatial.step(embedding);
    const {temporal} = this.options;
    if (!video || !temporal) return [spatial];
    const run = (x: tf.Tensor4D) => this.overTime(x, embedding, video);
    const {channels} = spatial;
    // On CPUs libtorch unfolds the 27 neighbours of a convolution over time and space.
    const kernel = temporal.kernel[1] === 3 ? {halo: 2, copies: 36} : {halo: 0};
    return [spatial, {...kernel, scale: 1, channels, run}];
  }

  /** Inputs: clips [B,T,H,W,C], or [clips, embedding] with the embedding before its SiLU. */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const [clip, embedding] = several(inputs);
      const [b = 1, t = 1, h = 1, w = 1, c = 1] = clip!.shape;
      const y = this.forward(tf.reshape(clip!, [b * t, h, w, c]), embedding && (silu(embedding) as tf.Tensor2D), {
        frames: t,
      });
      return tf.reshape(y, [b, t, h, w, this.options.spatial.outputs]);
    });
  }

  override computeOutputShape(shape: Shape | Shape[]): Shape {
    return [...firstShape(shape).slice(0, -1), this.options.spatial.outputs];
  }
}

for (const layer of [TemporalResBlock, VideoResBlock]) tf.serialization.registerClass(layer);
