// The UNet of Stable Diffusion with Video LDM's temporal layers: an image model where those are absent or not run.
// Spatial weights have diffusers' names (UNet2DConditionModel), temporal ones Stable Video Diffusion's.
import {Block, type BlockArgs, firstShape, type Shape, several} from '../layers/block.ts';
import {ContextPath} from '../layers/context_path.ts';
import {Conv2d, Embedding} from '../layers/linear.ts';
import {GroupNorm} from '../layers/norms.ts';
import type {StripRunner, StripStep} from '../layers/strips.ts';
import {sinusoid, sinusoidFrequencies, TimestepEmbedding} from '../layers/timestep_embedding.ts';
import {
  type Checkpointing,
  DownStage,
  MidStage,
  type StageOptions,
  type UNetPlace,
  UpStage,
} from '../layers/unet_stages.ts';
import {silu} from '../ops/index.ts';
import * as tf from '../tf.ts';
import {checkUNetConfig, headsAt, type UNetConfig} from './unet_config.ts';

export interface UNetInputs<X extends tf.Tensor = tf.Tensor> {
  /** [B,T,H,W,C] video or [B,H,W,C] images. */
  readonly latents: X;
  /** [B] */
  readonly timesteps: tf.Tensor1D;
  /** Text and other tokens, [B,M,D]. */
  readonly context?: tf.Tensor3D | undefined;
  /** The same for the temporal layers, where it differs (another text encoder), [B,M,D']. */
  readonly temporalContext?: tf.Tensor3D | undefined;
  /** int32 [B] */
  readonly classLabels?: tf.Tensor1D | undefined;
  /** [B, addedNumbers.count]; images take none where they are of the layers over time alone. */
  readonly addedNumbers?: tf.Tensor2D | undefined;
  /** (mask x latents, mask) of given frames, [B,T,H,W,C+1]; absent is the same as zeros. */
  readonly given?: tf.Tensor5D | undefined;
  /** 'image' on a video treats its frames as images: alpha = 1, and no temporal kernel runs. Default 'video'. */
  readonly mode?: 'video' | 'image' | undefined;
}

/** Predicts noise or velocity from noisy latents. */
export class UNet extends Block<{config: UNetConfig}> {
  static readonly className = 'VideoLdmUNet';
  readonly config: UNetConfig;
  /** Trade time for memory in training: layers keep no activations and compute them again for the gradient. */
  checkpointing: Checkpointing = false;
  private readonly convIn: Conv2d;
  private readonly timeEmbedding: TimestepEmbedding;
  private readonly classEmbedding: Embedding | undefined;
  private readonly addEmbedding: TimestepEmbedding | undefined;
  private readonly contextPath: ContextPath | undefined;
  private readonly down: DownStage[];
  private readonly mid: MidStage;
  private readonly up: UpStage[];
  private readonly normOut: GroupNorm;
  private readonly convOut: Conv2d;

  /** @throws UserError for a configuration that does not fit together. */
  constructor(config: UNetConfig | ({config: UNetConfig} & BlockArgs)) {
    super('config' in config ? config : {config});
    const {config: own} = this.options;
    this.config = own;
    checkUNetConfig(own);
    const {
      inChannels,
      outChannels,
      channels,
      layersPerBlock,
      normGroups: groups,
      classEmbedding,
      addedNumbers,
      temporal,
    } = own;
    const [finest = 0] = channels;
    const coarsest = channels.length - 1;
    const embedding = 4 * finest;

    this.convIn = this.child('conv_in', new Conv2d({inputs: inChannels, outputs: finest, kernel: 3}));
    this.timeEmbedding = this.child(
      'time_embedding',
      new TimestepEmbedding({inputs: finest, hidden: embedding, outputs: embedding}),
    );
    if (classEmbedding !== undefined)
      this.classEmbedding = this.child('class_embedding', new Embedding({count: classEmbedding, dim: embedding}));
    if (addedNumbers) {
      const inputs = addedNumbers.count * addedNumbers.dim;
      this.addEmbedding = this.child(
        'add_embedding',
        new TimestepEmbedding({inputs, hidden: embedding, outputs: embedding}),
        addedNumbers.to,
      );
    }
    if (temporal?.given) {
      const {inputs, channels: width = 32} = temporal.given;
      this.contextPath = this.child(
        'context_path',
        new ContextPath({inputs, channels: width, levels: channels.length}),
        'temporal',
      );
    }
    this.down = channels.map((outputs, level) => {
      const inputs = channels[level - 1] ?? finest;
      const options = {
        ...stage(own, 'down', level),
        inputs,
        outputs,
        layers: layersPerBlock,
        downsample: level < coarsest,
      };
      return this.child(`down_blocks.${level}`, new DownStage(options));
    });
    this.mid = new MidStage({...stage(own, 'mid', coarsest), channels: channels[coarsest]!});
    this.up = channels.map((_, i) => {
      const level = coarsest - i;
      const outputs = channels[level]!;
      // Maps kept at this level: layersPerBlock of its own, and the one that came in from the finer level.
      const skips = [...Array<number>(layersPerBlock).fill(outputs), channels[level - 1] ?? finest];
      const options = {
        ...stage(own, 'up', level),
        inputs: channels[level + 1] ?? outputs,
        outputs,
        skips,
        upsample: level > 0,
      };
      return this.child(`up_blocks.${i}`, new UpStage(options));
    });
    this.child('mid_block', this.mid);
    this.normOut = this.child('conv_norm_out', new GroupNorm({channels: finest, groups, epsilon: 1e-5}));
    this.convOut = this.child('conv_out', new Conv2d({inputs: finest, outputs: outChannels, kernel: 3}));
  }

  /** The prediction, in the shape of the latents with `outChannels`. */
  forward<X extends tf.Tensor>(inputs: UNetInputs<X>): X {
    return tf.tidy(() => {
      const {latents, mode = 'video'} = inputs;
      const frames = latents.rank === 5 ? latents.shape[1]! : undefined;
      const [h = 0, w = 0, c = 0] = latents.shape.slice(-3);
      if (c !== this.config.inChannels)
        throw new Error(`This UNet takes ${this.config.inChannels} channels, got latents [${latents.shape}].`);
      const images: tf.Tensor4D = tf.reshape(latents, [-1, h, w, c]);
      const asVideo = frames !== undefined && mode === 'video';
      const place = asVideo ? this.videoPlace(inputs, frames) : this.imagePlace(inputs, frames ?? 1);
      const y = this.run(images, {...place, checkpointing: this.checkpointing});
      return tf.reshape(y, [...latents.shape.slice(0, -1), this.config.outChannels]);
    }) as X;
  }

  private run(images: tf.Tensor4D, place: UNetPlace): tf.Tensor4D {
    let x = this.convIn.forward(images);
    const skips = [x];
    for (const stage of this.down) {
      skips.push(...stage.forward(x, place));
      x = skips.at(-1)!;
    }
    x = this.mid.forward(x, place);
    for (const stage of this.up) {
      const own = skips.splice(-stage.options.skips.length).reverse();
      const next = skips.at(-1);
      x = stage.forward(x, own, place, next && [next.shape[1], next.shape[2]]);
    }
    return this.convOut.forward(this.normOut.forward(x, {silu: true}));
  }

  /**
   * `forward` on maps of rows that `run` applies steps to, for frames too large for memory: `latents` is [N,H,W,C], N = B x
   * frames, whose sides halve on every level without a rest. Given frames are not supported.
   */
  forwardOver<Map>(
    latents: Map,
    run: StripRunner<Map>,
    {
      frames,
      mode = 'video',
      inputs,
    }: {
      readonly frames: number;
      readonly mode?: 'video' | 'image';
      /** Absent: steps are looked at and not run. */
      readonly inputs?: Omit<UNetInputs, 'latents' | 'given' | 'mode'>;
    },
  ): Map {
    const place = !inputs
      ? {embedding: NOTHING, frames}
      : mode === 'video'
        ? this.videoPlace(inputs, frames)
        : this.imagePlace(inputs, frames);
    const on = {place, run};
    const [finest = 0] = this.config.channels;
    const convIn: StripStep = {halo: 1, scale: 1, channels: finest, run: x => this.convIn.forward(x!)};
    let x = run(convIn, [latents], true);
    const skips = [x];
    for (const stage of this.down) {
      skips.push(...stage.over(x, on));
      x = skips.at(-1)!;
    }
    x = this.mid.over(x, on);
    for (const stage of this.up) x = stage.over(x, skips.splice(-stage.options.skips.length).reverse(), on);
    const out = (h: tf.Tensor4D) => this.convOut.forward(this.normOut.forward(h, {silu: true}));
    return run({halo: 1, scale: 1, channels: this.config.outChannels, run: out}, [x], true);
  }

  /** A video as it is: one embedding and one text a clip, temporal layers on. */
  private videoPlace(inputs: Omit<UNetInputs, 'latents'>, frames: number): UNetPlace {
    const {timesteps, context, temporalContext, classLabels, addedNumbers, given} = inputs;
    const path = this.contextPath;
    if (given && !path) throw new Error('This UNet has no path for given frames: build it with temporal.given.');
    return {
      ...this.embed(timesteps, classLabels, addedNumbers),
      context,
      temporalContext,
      frames,
      given: given && path ? path.forward(given) : undefined,
    };
  }

  /** Every frame as an image of its own: exactly the image model's graph on a batch of B x T. */
  private imagePlace(
    {timesteps, context, classLabels, addedNumbers}: Omit<UNetInputs, 'latents'>,
    frames: number,
  ): UNetPlace {
    const each = <R extends tf.Rank>(x: tf.Tensor<R> | undefined) => x && repeatRows(x, frames);
    const numbers = this.config.addedNumbers?.to === 'temporal' ? undefined : each(addedNumbers);
    const {embedding} = this.embed(repeatRows(timesteps, frames), each(classLabels), numbers, 'image');
    return {embedding, context: each(context)};
  }

  /** What every layer is told with the timestep; where the layers over time are told more, theirs beside it. */
  private embed(
    timesteps: tf.Tensor1D,
    classLabels: tf.Tensor1D | undefined,
    addedNumbers: tf.Tensor2D | undefined,
    mode: 'video' | 'image' = 'video',
  ): Pick<UNetPlace, 'embedding' | 'temporalEmbedding'> {
    let embedding = this.timeEmbedding.forward(sinusoid(timesteps, this.frequencies(this.config.channels[0]!)));
    if (this.classEmbedding) {
      if (!classLabels) throw new Error('This UNet is conditioned on a class: pass classLabels [B].');
      embedding = tf.add(embedding, this.classEmbedding.forward(classLabels));
    }
    const overTime = this.config.addedNumbers?.to === 'temporal';
    if (!this.config.addedNumbers || (overTime && mode === 'image')) return {embedding: silu(embedding) as tf.Tensor2D};
    const told = silu(tf.add(embedding, this.embedNumbers(addedNumbers))) as tf.Tensor2D;
    return overTime ? {embedding: silu(embedding) as tf.Tensor2D, temporalEmbedding: told} : {embedding: told};
  }

  private embedNumbers(numbers: tf.Tensor2D | undefined): tf.Tensor2D {
    const {count = 0, dim = 0} = this.config.addedNumbers ?? {};
    if (!numbers || !this.addEmbedding)
      throw new Error(`This UNet is conditioned on ${count} added numbers: pass addedNumbers [B,${count}].`);
    const [b] = numbers.shape;
    const sinusoids = sinusoid(tf.reshape(numbers, [b * count]), this.frequencies(dim));
    return this.addEmbedding.forward(tf.reshape(sinusoids, [b, count * dim]));
  }

  private frequencies(dim: number): tf.Tensor1D {
    return this.constant(`frequencies ${dim}`, () => tf.tensor1d(sinusoidFrequencies(dim))) as tf.Tensor1D;
  }

  /** Inputs: [latents, timesteps], then context and temporalContext where the model attends to text. */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const [latents, timesteps, context, temporalContext] = several(inputs);
    const flat: tf.Tensor1D = tf.reshape(timesteps!, [-1]);
    return this.forward({
      latents: latents!,
      timesteps: flat,
      context: context as tf.Tensor3D,
      temporalContext: temporalContext as tf.Tensor3D,
    });
  }

  override computeOutputShape(shape: Shape | Shape[]): Shape {
    return [...firstShape(shape).slice(0, -1), this.config.outChannels];
  }
}

/** Stands for an embedding where nothing is computed. */
const NOTHING = undefined as never;

/** Each row `times` over, in place: [B,...] -> [B x times,...]. */
export function repeatRows<R extends tf.Rank>(x: tf.Tensor<R>, times: number): tf.Tensor<R> {
  if (times === 1) return x;
  const [b = 1, ...rest] = x.shape;
  const tiled = tf.tile(tf.reshape(x, [b, 1, ...rest]), [1, times, ...rest.map(() => 1)]);
  return tf.reshape<tf.Rank>(tiled, [b * times, ...rest]) as tf.Tensor<R>;
}

/** What the layers of one stage share. */
function stage(config: UNetConfig, side: 'down' | 'mid' | 'up', level: number): StageOptions {
  const {channels, attention, crossAttentionDim, crossOnly, linearProjection, normGroups, epsilons, temporal} = config;
  const from = channels.length - 1 - level;
  const epsilon =
    (side === 'mid' ? epsilons?.mid : side === 'down' ? epsilons?.down[level] : epsilons?.up[from]) ?? 1e-5;
  const givenChannels = temporal?.given && (temporal.given.channels ?? 32);
  const {conv = false, kernel = [3, 1, 1], window, contextDim = crossAttentionDim, alpha} = temporal ?? {};
  const temporalConv =
    conv && alpha
      ? {kernel, alpha, ...(givenChannels === undefined ? {} : {contextChannels: givenChannels})}
      : undefined;
  const temporalAttention =
    temporal?.attention && alpha
      ? {
          alpha,
          ...(window === undefined ? {} : {window}),
          ...(contextDim === undefined ? {} : {contextDim}),
          ...(givenChannels === undefined || conv ? {} : {givenChannels}),
        }
      : undefined;
  const transformer =
    side === 'mid' || attention[level]
      ? {
          heads: headsAt(config, level),
          ...(crossAttentionDim === undefined ? {} : {contextDim: crossAttentionDim}),
          crossOnly: side !== 'mid' && (crossOnly?.[level] ?? false),
          linearProjection,
          ...(temporalAttention ? {temporal: temporalAttention} : {}),
        }
      : undefined;
  return {
    level,
    embedding: 4 * channels[0]!,
    groups: normGroups,
    epsilon,
    ...(transformer ? {transformer} : {}),
    ...(temporalConv ? {temporalConv} : {}),
  };
}

tf.serialization.registerClass(UNet);
