// The KL autoencoder of latent diffusion (Rombach et al. 2022): pixels <-> rawLatents, frame by frame; its decoder may have
// layers over time (Video LDM's temporal decoder, with the weight names of Stable Video Diffusion's).
import type {AlphaOptions} from '../layers/alpha_mix.ts';
import {AutoencoderAttention} from '../layers/autoencoder_attention.ts';
import {Block, type BlockArgs, firstShape, type Shape, single} from '../layers/block.ts';
import {Conv2d, TemporalConv} from '../layers/linear.ts';
import {GroupNorm} from '../layers/norms.ts';
import {Downsample, Upsample} from '../layers/resample.ts';
import type {StripStep} from '../layers/strips.ts';
import {VideoResBlock, type VideoResBlockOptions} from '../layers/temporal_resnet.ts';
import {UserError} from '../platform/user_error.ts';
import * as tf from '../tf.ts';
import type {Posterior} from './representations.ts';

export interface TemporalDecoderConfig {
  readonly kernel: readonly [3, 1, 1] | readonly [3, 3, 3];
  /** Mind the sign: here alpha multiplies the temporal branch, as in the published temporal decoder (init 0, so 0.5). */
  readonly alpha: AlphaOptions;
  /** Epsilon of the temporal blocks' GroupNorm; the published decoder has 1e-5 there and 1e-6 in its spatial blocks. */
  readonly epsilon?: number | undefined;
}

export interface AutoencoderConfig {
  /** Per level, finest first; each level but the last halves the size. */
  readonly channels: readonly number[];
  /** Residual blocks per level of the encoder; the decoder has one more. */
  readonly layersPerBlock: number;
  readonly latentChannels: number;
  readonly normGroups: number;
  readonly midAttention: boolean;
  /** latents = rawLatents x this: 0.18215 for SD 1.x and 2.x. */
  readonly scaleFactor?: number | undefined;
  readonly temporalDecoder?: TemporalDecoderConfig | undefined;
  /** Default true; SVD's decoder has none. */
  readonly postQuantConv?: boolean | undefined;
}

const EPSILON = 1e-6;

interface MidOptions {
  readonly channels: number;
  readonly groups: number;
  readonly attention: boolean;
  /** Residual blocks: one, then (attention and) the others. */
  readonly temporal?: VideoResBlockOptions['temporal'];
}

/** Residual block, single-head attention, residual block. */
class Mid extends Block<MidOptions> {
  static readonly className = 'VideoLdmAutoencoderMid';
  private readonly resnets: VideoResBlock[];
  private readonly attention: AutoencoderAttention | undefined;

  constructor(options: MidOptions & BlockArgs) {
    super(options);
    const {channels, groups, attention, temporal} = options;
    if (attention) this.attention = this.child('attentions.0', new AutoencoderAttention({channels, groups}));
    this.resnets = [0, 1].map(i => this.child(`resnets.${i}`, resnet(channels, channels, groups, temporal)));
  }

  forward(x: tf.Tensor4D, frames?: number): tf.Tensor4D {
    const video = frames === undefined ? undefined : {frames};
    return tf.tidy(() => {
      const h = this.resnets[0]!.forward(x, undefined, video);
      return this.resnets[1]!.forward(this.attention ? this.attention.forward(h) : h, undefined, video);
    });
  }

  steps(frames?: number): StripStep[] {
    const {attention} = this;
    const {channels} = this.options;
    const [first = [], second = []] = this.resnets.map(block => block.steps(undefined, videoOf(frames)));
    const middle: StripStep = {halo: 0, scale: 1, channels, heads: 1, run: x => attention!.forward(x!)};
    return [...first, ...(attention ? [middle] : []), ...second];
  }
}

interface LevelOptions {
  readonly inputs: number;
  readonly outputs: number;
  readonly layers: number;
  readonly groups: number;
  readonly resample: 'down' | 'up' | 'none';
  readonly temporal?: VideoResBlockOptions['temporal'];
}

/** One level of the encoder or decoder: residual blocks, then half or twice the size. */
class Level extends Block<LevelOptions> {
  static readonly className = 'VideoLdmAutoencoderLevel';
  private readonly resnets: VideoResBlock[];
  private readonly resample: Downsample | Upsample | undefined;

  constructor(options: LevelOptions & BlockArgs) {
    super(options);
    const {inputs, outputs, layers, groups, resample, temporal} = options;
    this.resnets = Array.from({length: layers}, (_, i) =>
      this.child(`resnets.${i}`, resnet(i === 0 ? inputs : outputs, outputs, groups, temporal)),
    );
    if (resample === 'down')
      this.resample = this.child('downsamplers.0', new Downsample({channels: outputs, pad: 'end'}));
    if (resample === 'up') this.resample = this.child('upsamplers.0', new Upsample({channels: outputs}));
  }

  forward(x: tf.Tensor4D, frames?: number): tf.Tensor4D {
    const video = frames === undefined ? undefined : {frames};
    return tf.tidy(() => {
      let h = x;
      for (const block of this.resnets) h = block.forward(h, undefined, video);
      return this.resample ? this.resample.forward(h) : h;
    });
  }

  steps(frames?: number): StripStep[] {
    const blocks = this.resnets.flatMap(block => block.steps(undefined, videoOf(frames)));
    return this.resample ? [...blocks, this.resample.step()] : blocks;
  }
}

function videoOf(frames: number | undefined): {frames: number} | undefined {
  return frames === undefined ? undefined : {frames};
}

function resnet(
  inputs: number,
  outputs: number,
  groups: number,
  temporal: VideoResBlockOptions['temporal'],
): VideoResBlock {
  return new VideoResBlock({spatial: {inputs, outputs, groups, epsilon: EPSILON}, ...(temporal ? {temporal} : {})});
}

/** Pixels -> the 2 x latentChannels channels of a posterior. */
class Encoder extends Block<{config: AutoencoderConfig}> {
  static readonly className = 'VideoLdmEncoder';
  private readonly convIn: Conv2d;
  private readonly levels: Level[];
  private readonly mid: Mid;
  private readonly normOut: GroupNorm;
  private readonly convOut: Conv2d;

  constructor(options: {config: AutoencoderConfig} & BlockArgs) {
    super(options);
    const {channels, layersPerBlock: layers, latentChannels, normGroups: groups, midAttention} = options.config;
    const [finest = 0] = channels;
    const coarsest = channels.at(-1)!;
    this.convIn = this.child('conv_in', new Conv2d({inputs: 3, outputs: finest, kernel: 3}));
    this.levels = channels.map((outputs, i) => {
      const resample = i < channels.length - 1 ? 'down' : 'none';
      return this.child(
        `down_blocks.${i}`,
        new Level({inputs: channels[i - 1] ?? finest, outputs, layers, groups, resample}),
      );
    });
    this.mid = this.child('mid_block', new Mid({channels: coarsest, groups, attention: midAttention}));
    this.normOut = this.child('conv_norm_out', new GroupNorm({channels: coarsest, groups, epsilon: EPSILON}));
    this.convOut = this.child('conv_out', new Conv2d({inputs: coarsest, outputs: 2 * latentChannels, kernel: 3}));
  }

  forward(pixels: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() => {
      let h = this.convIn.forward(pixels);
      for (const level of this.levels) h = level.forward(h);
      return this.convOut.forward(this.normOut.forward(this.mid.forward(h), {silu: true}));
    });
  }
}

/** Raw latents -> pixels; over time too where built so and told how many frames a clip has. */
class Decoder extends Block<{config: AutoencoderConfig}> {
  static readonly className = 'VideoLdmDecoder';
  private readonly convIn: Conv2d;
  private readonly mid: Mid;
  private readonly levels: Level[];
  private readonly normOut: GroupNorm;
  private readonly convOut: Conv2d;
  private readonly timeConvOut: TemporalConv | undefined;

  constructor(options: {config: AutoencoderConfig} & BlockArgs) {
    super(options);
    const {
      channels,
      layersPerBlock,
      latentChannels,
      normGroups: groups,
      midAttention,
      temporalDecoder,
    } = options.config;
    const [finest = 0] = channels;
    const coarsest = channels.at(-1)!;
    const over = temporalDecoder && {
      temporal: {
        kernel: temporalDecoder.kernel,
        alpha: temporalDecoder.alpha,
        switched: true,
        epsilon: temporalDecoder.epsilon ?? 1e-5,
      },
    };
    this.convIn = this.child('conv_in', new Conv2d({inputs: latentChannels, outputs: coarsest, kernel: 3}));
    this.mid = new Mid({channels: coarsest, groups, attention: midAttention, ...over});
    this.levels = channels.map((_, i) => {
      const level = channels.length - 1 - i;
      const outputs = channels[level]!;
      const inputs = channels[level + 1] ?? outputs;
      const resample = level > 0 ? 'up' : 'none';
      return this.child(
        `up_blocks.${i}`,
        new Level({inputs, outputs, layers: layersPerBlock + 1, groups, resample, ...over}),
      );
    });
    this.child('mid_block', this.mid);
    this.normOut = this.child('conv_norm_out', new GroupNorm({channels: finest, groups, epsilon: EPSILON}));
    this.convOut = this.child('conv_out', new Conv2d({inputs: finest, outputs: 3, kernel: 3}));
    if (temporalDecoder) {
      // Starts as a copy of its input, so that a decoder that gains its layers over time decodes as before.
      const conv = new TemporalConv({inputs: 3, outputs: 3, kernel: [3, 1, 1], init: 'identity'});
      this.timeConvOut = this.child('time_conv_out', conv, 'temporal');
    }
  }

  forward(rawLatents: tf.Tensor4D, frames?: number): tf.Tensor4D {
    return tf.tidy(() => this.last(this.features(rawLatents, frames), frames));
  }

  /** All but the last convolutions. */
  features(rawLatents: tf.Tensor4D, frames?: number): tf.Tensor4D {
    return tf.tidy(() => {
      let h = this.mid.forward(this.convIn.forward(rawLatents), frames);
      for (const level of this.levels) h = level.forward(h, frames);
      return this.normOut.forward(h, {silu: true});
    });
  }

  last(features: tf.Tensor4D, frames?: number): tf.Tensor4D {
    return tf.tidy(() => {
      const pixels = this.convOut.forward(features);
      if (!this.timeConvOut || frames === undefined) return pixels;
      const [n, height, width, c] = pixels.shape;
      return tf.reshape(
        this.timeConvOut.forward(tf.reshape(pixels, [n / frames, frames, height, width, c])),
        pixels.shape,
      );
    });
  }

  /** `before`: what makes the raw latents ready, place by place. */
  steps(before: (rawLatents: tf.Tensor4D) => tf.Tensor4D, frames?: number): StripStep[] {
    const {channels} = this.options.config;
    return [
      {halo: 1, scale: 1, channels: channels.at(-1)!, run: x => this.convIn.forward(before(x!))},
      ...this.mid.steps(frames),
      ...this.levels.flatMap(level => level.steps(frames)),
      {halo: 1, scale: 1, channels: 3, run: x => this.last(this.normOut.forward(x!, {silu: true}), frames)},
    ];
  }
}

/** No autoencoder: latents are the pixels (the paper's pixel-space baseline). */
export const pixelSpace: AutoencoderConfig = {
  channels: [],
  layersPerBlock: 0,
  latentChannels: 3,
  normGroups: 1,
  midAttention: false,
  scaleFactor: 1,
};

interface AutoencoderLayers {
  readonly encoder: Encoder;
  readonly decoder: Decoder;
  readonly quantConv: Conv2d;
  readonly postQuantConv: Conv2d | undefined;
}

/** Pixels [N,H,W,3] <-> raw latents [N,H/f,W/f,C], f = 2^(levels-1). */
export class AutoencoderKL extends Block<{config: AutoencoderConfig}> {
  static readonly className = 'VideoLdmAutoencoderKL';
  readonly config: AutoencoderConfig;
  /** Absent in pixel space. */
  private readonly layers_: AutoencoderLayers | undefined;

  /** @throws UserError for a configuration that does not fit together. */
  constructor(config: AutoencoderConfig | ({config: AutoencoderConfig} & BlockArgs)) {
    super('config' in config ? config : {config});
    this.config = this.options.config;
    const {channels, normGroups, latentChannels: z, postQuantConv = true} = this.config;
    if (channels.length === 0 && z === pixelSpace.latentChannels) return;
    if (channels.length === 0)
      throw new UserError('autoencoder.channels is empty: give the channels of at least one level.');
    const odd = channels.find(width => width % normGroups !== 0);
    if (odd !== undefined)
      throw new UserError(
        `autoencoder.channels holds ${odd}, which autoencoder.normGroups ${normGroups} does not divide.`,
      );
    this.layers_ = {
      encoder: this.child('encoder', new Encoder({config: this.config})),
      decoder: this.child('decoder', new Decoder({config: this.config})),
      quantConv: this.child('quant_conv', new Conv2d({inputs: 2 * z, outputs: 2 * z, kernel: 1})),
      postQuantConv: postQuantConv
        ? this.child('post_quant_conv', new Conv2d({inputs: z, outputs: z, kernel: 1}))
        : undefined,
    };
  }

  private get layers(): AutoencoderLayers {
    if (!this.layers_) throw new Error('Pixel space has no autoencoder, and so no layers of one.');
    return this.layers_;
  }

  /** How many times smaller latents are than pixels, along each side. */
  get factor(): number {
    return 2 ** Math.max(0, this.config.channels.length - 1);
  }

  /** Pixels [N,H,W,3] -> mean and log variance [N,H/f,W/f,C], the latter kept within [-30, 20]. */
  encode(pixels: tf.Tensor4D): Posterior {
    return tf.tidy(() => {
      if (!this.layers_) return {mean: tf.clone(pixels), logvar: tf.fill<tf.Rank.R4>(pixels.shape, -30)};
      const moments = this.layers_.quantConv.forward(this.layers_.encoder.forward(pixels));
      const [mean, logvar] = tf.split(moments, 2, 3) as [tf.Tensor4D, tf.Tensor4D];
      return {mean, logvar: tf.clipByValue(logvar, -30, 20)};
    });
  }

  /** Raw latents [N,h,w,C] or clips [B,T,h,w,C] -> pixels of the same rank. Layers over time run on clips only, unless mode is 'image'. */
  decode<X extends tf.Tensor4D | tf.Tensor5D>(rawLatents: X, {mode = 'video'}: {mode?: 'video' | 'image'} = {}): X {
    return tf.tidy(() => {
      if (!this.layers_) return tf.clone(rawLatents);
      const {decoder, postQuantConv} = this.layers_;
      const [h = 0, w = 0, c = 0] = rawLatents.shape.slice(-3);
      const frames = rawLatents.rank === 5 && mode === 'video' ? rawLatents.shape[1] : undefined;
      const images: tf.Tensor4D = tf.reshape(rawLatents, [-1, h, w, c]);
      const pixels = decoder.forward(postQuantConv ? postQuantConv.forward(images) : images, frames);
      return tf.reshape<tf.Rank>(pixels, [...rawLatents.shape.slice(0, -3), ...pixels.shape.slice(1)]) as X;
    });
  }

  /** `decode` in two parts, for losses that compare gradients at the last layer: what it takes, [N,H,W,channels] .. */
  decoderFeatures(rawLatents: tf.Tensor4D | tf.Tensor5D): tf.Tensor4D {
    return tf.tidy(() => {
      const [h = 0, w = 0, c = 0] = rawLatents.shape.slice(-3);
      const frames = rawLatents.rank === 5 ? rawLatents.shape[1] : undefined;
      const images: tf.Tensor4D = tf.reshape(rawLatents, [-1, h, w, c]);
      const {decoder, postQuantConv} = this.layers;
      return decoder.features(postQuantConv ? postQuantConv.forward(images) : images, frames);
    });
  }

  /** .. and what it makes of it: pixels [N,H,W,3] of images, or of clips of `frames`. */
  decoderOutput(features: tf.Tensor4D, frames?: number): tf.Tensor4D {
    return this.layers.decoder.last(features, frames);
  }

  /** The last layer's weight: that over time where there is one, as Stable Video Diffusion's loss takes it. */
  get lastLayer(): tf.Variable {
    const path = this.config.temporalDecoder ? 'decoder.time_conv_out.weight' : 'decoder.conv_out.weight';
    const weight = this.namedWeights().get(path);
    if (!weight) throw new Error(`This autoencoder has no weight ${path}.`);
    return weight;
  }

  /**
   * `decode` as steps on strips of rows, from raw latents [N,h,w,C] to pixels: the frames of one clip of N frames (layers
   * over time run), or images where `frames` is absent.
   */
  decodeSteps(frames?: number): StripStep[] {
    if (!this.layers_) return [{halo: 0, scale: 1, channels: this.config.latentChannels, run: x => tf.clone(x!)}];
    const {decoder, postQuantConv} = this.layers_;
    return decoder.steps(x => (postQuantConv ? postQuantConv.forward(x) : x), frames);
  }

  /** Reconstruction through the mean. */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => this.decode(this.encode(single(inputs) as tf.Tensor4D).mean));
  }

  override computeOutputShape(shape: Shape | Shape[]): Shape {
    return firstShape(shape);
  }
}

for (const layer of [Mid, Level, Encoder, Decoder, AutoencoderKL]) tf.serialization.registerClass(layer);
