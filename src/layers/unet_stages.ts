// The three kinds of stage a UNet is made of: down a level, the middle, up a level. Each takes what all its layers need
// in one `UNetPlace`.
import * as tf from '../tf.ts';
import {Block, type BlockArgs} from './block.ts';
import {checkpointed} from './checkpointing.ts';
import {Downsample, Upsample} from './resample.ts';
import {runSteps, type StripRunner, type StripStep} from './strips.ts';
import {type VideoPlace, VideoResBlock, type VideoResBlockOptions} from './temporal_resnet.ts';
import {VideoTransformer, type VideoTransformerOptions} from './transformer.ts';

/**
 * Layers that keep no activations and compute them again for the gradient. true: the transformers, which keep most for what
 * they compute (about half the bytes for a tenth to a quarter of the time); 'all': the residual blocks too, whose
 * convolutions cost most to repeat.
 */
export type Checkpointing = boolean | 'all';

/** What every layer of a UNet may look at besides its input. */
export interface UNetPlace {
  /** The timestep (and class) embedding after its SiLU, [B,E]. */
  readonly embedding: tf.Tensor2D;
  /** Of the layers over time, where they are told more than the frames are. */
  readonly temporalEmbedding?: tf.Tensor2D | undefined;
  readonly context?: tf.Tensor3D | undefined;
  readonly temporalContext?: tf.Tensor3D | undefined;
  /** Frames per video; absent: the image model, and no temporal layer runs. */
  readonly frames?: number | undefined;
  /** Features of the given frames at each level, finest first. */
  readonly given?: readonly tf.Tensor5D[] | undefined;
  readonly checkpointing?: Checkpointing | undefined;
}

/** What all layers of one stage share. */
export interface StageOptions {
  /** 0 is the finest. */
  readonly level: number;
  readonly embedding: number;
  readonly groups: number;
  readonly epsilon: number;
  /** Absent: no attention at this level. */
  readonly transformer?: Omit<VideoTransformerOptions, 'channels' | 'groups'>;
  readonly temporalConv?: VideoResBlockOptions['temporal'];
}

abstract class Stage<Options extends StageOptions> extends Block<Options> {
  protected readonly resnets: VideoResBlock[] = [];
  protected readonly attentions: VideoTransformer[] = [];

  protected addResnet(inputs: number, outputs: number): void {
    const {embedding, groups, epsilon, temporalConv: temporal} = this.options;
    const options = {spatial: {inputs, outputs, embedding, groups, epsilon}, ...(temporal ? {temporal} : {})};
    this.resnets.push(this.child(`resnets.${this.resnets.length}`, new VideoResBlock(options)));
  }

  protected addTransformer(channels: number): void {
    const {groups, transformer} = this.options;
    if (!transformer) return;
    const block = new VideoTransformer({channels, groups, ...transformer});
    this.attentions.push(this.child(`attentions.${this.attentions.length}`, block));
  }

  protected resnet(i: number, x: tf.Tensor4D, place: UNetPlace): tf.Tensor4D {
    const block = this.resnets[i]!;
    const run = (h: tf.Tensor4D, embedding: tf.Tensor2D, given?: tf.Tensor5D, temporalEmbedding?: tf.Tensor2D) =>
      block.forward(h, embedding, videoOf({...place, temporalEmbedding}, given));
    const inputs = [x, place.embedding, this.given(place), place.temporalEmbedding] as const;
    return place.checkpointing === 'all'
      ? checkpointed(block, inputs, (...again) => run(...(again as typeof inputs)))
      : run(...inputs);
  }

  protected attend(i: number, x: tf.Tensor4D, place: UNetPlace): tf.Tensor4D {
    const block = this.attentions[i];
    if (!block) return x;
    const run = (h: tf.Tensor4D, context?: tf.Tensor3D, temporalContext?: tf.Tensor3D, given?: tf.Tensor5D) =>
      block.forward(h, context, videoOf(place, given), temporalContext);
    const inputs = [x, place.context, place.temporalContext, this.given(place)] as const;
    return place.checkpointing
      ? checkpointed(block, inputs, (...again) => run(...(again as typeof inputs)))
      : run(...inputs);
  }

  /** Residual block i (after joining its inputs) and its transformer, on strips. */
  protected blockSteps(i: number, place: UNetPlace): StripStep[] {
    if (place.given) throw new Error('Given frames are not cut into strips.');
    const video = videoOf(place, undefined);
    const [spatial, ...overTime] = this.resnets[i]!.steps(place.embedding, video);
    const joined: StripStep = {
      ...spatial!,
      run: (...maps) => spatial!.run(maps.length === 1 ? maps[0]! : tf.concat(maps, 3)),
    };
    const transformer = this.attentions[i]?.step(place.context, video, place.temporalContext);
    return [joined, ...overTime, ...(transformer ? [transformer] : [])];
  }

  private given({given}: UNetPlace): tf.Tensor5D | undefined {
    return given?.[this.options.level];
  }
}

function videoOf({frames, temporalEmbedding}: UNetPlace, given: tf.Tensor5D | undefined): VideoPlace | undefined {
  return frames === undefined ? undefined : {frames, given, embedding: temporalEmbedding};
}

export interface DownStageOptions extends StageOptions {
  readonly inputs: number;
  readonly outputs: number;
  readonly layers: number;
  readonly downsample: boolean;
}

/** Residual blocks (with transformers), each output kept for the way up, then half the size. */
export class DownStage extends Stage<DownStageOptions> {
  static readonly className = 'VideoLdmDownStage';
  private readonly downsample: Downsample | undefined;

  constructor(options: DownStageOptions & BlockArgs) {
    super(options);
    const {inputs, outputs, layers, downsample} = options;
    for (let i = 0; i < layers; i++) this.addTransformer(outputs);
    for (let i = 0; i < layers; i++) this.addResnet(i === 0 ? inputs : outputs, outputs);
    if (downsample) this.downsample = this.child('downsamplers.0', new Downsample({channels: outputs, pad: 'all'}));
  }

  /** Every output in order; the last is what goes on. */
  forward(x: tf.Tensor4D, place: UNetPlace): tf.Tensor4D[] {
    return tf.tidy(() => {
      const outputs: tf.Tensor4D[] = [];
      let h = x;
      for (let i = 0; i < this.resnets.length; i++) {
        h = this.attend(i, this.resnet(i, h, place), place);
        outputs.push(h);
      }
      if (this.downsample) outputs.push(this.downsample.forward(h));
      return outputs;
    });
  }

  /** The same on strips; every output is read again on the way up. */
  over<Map>(x: Map, {place, run}: OnStrips<Map>): Map[] {
    const outputs: Map[] = [];
    let h = x;
    for (let i = 0; i < this.resnets.length; i++) {
      h = runSteps(run, this.blockSteps(i, place), [h], false);
      outputs.push(h);
    }
    if (this.downsample) outputs.push(run(this.downsample.step(), [h], false));
    return outputs;
  }
}

/** What the strips of a stage's maps are run with. */
export interface OnStrips<Map> {
  readonly place: UNetPlace;
  readonly run: StripRunner<Map>;
}

export interface MidStageOptions extends StageOptions {
  readonly channels: number;
}

/** Residual block, transformer, residual block. */
export class MidStage extends Stage<MidStageOptions> {
  static readonly className = 'VideoLdmMidStage';

  constructor(options: MidStageOptions & BlockArgs) {
    super(options);
    const {channels} = options;
    this.addTransformer(channels);
    this.addResnet(channels, channels);
    this.addResnet(channels, channels);
  }

  forward(x: tf.Tensor4D, place: UNetPlace): tf.Tensor4D {
    return tf.tidy(() => this.resnet(1, this.attend(0, this.resnet(0, x, place), place), place));
  }

  /** The same on strips; x is read again on the way up. */
  over<Map>(x: Map, {place, run}: OnStrips<Map>): Map {
    return runSteps(run, [...this.blockSteps(0, place), ...this.blockSteps(1, place)], [x], false);
  }
}

export interface UpStageOptions extends StageOptions {
  /** Channels coming from the stage before. */
  readonly inputs: number;
  readonly outputs: number;
  /** Channels of the maps kept on the way down, in the order they are taken. */
  readonly skips: readonly number[];
  readonly upsample: boolean;
}

/** Residual blocks (with transformers) over the input joined with a kept map each, then twice the size. */
export class UpStage extends Stage<UpStageOptions> {
  static readonly className = 'VideoLdmUpStage';
  private readonly upsample: Upsample | undefined;

  constructor(options: UpStageOptions & BlockArgs) {
    super(options);
    const {inputs, outputs, skips, upsample} = options;
    for (let i = 0; i < skips.length; i++) this.addTransformer(outputs);
    for (const [i, skip] of skips.entries()) this.addResnet((i === 0 ? inputs : outputs) + skip, outputs);
    if (upsample) this.upsample = this.child('upsamplers.0', new Upsample({channels: outputs}));
  }

  /** `skips` in the order they are taken; `size` [h,w]: what the next stage's maps have. */
  forward(
    x: tf.Tensor4D,
    skips: readonly tf.Tensor4D[],
    place: UNetPlace,
    size?: readonly [number, number],
  ): tf.Tensor4D {
    return tf.tidy(() => {
      let h = x;
      for (let i = 0; i < this.resnets.length; i++) {
        h = this.attend(i, this.resnet(i, tf.concat([h, skips[i]!], 3), place), place);
      }
      return this.upsample ? this.upsample.forward(h, size) : h;
    });
  }

  /** The same on strips, for sizes that halve without a rest. */
  over<Map>(x: Map, skips: readonly Map[], {place, run}: OnStrips<Map>): Map {
    let h = x;
    for (let i = 0; i < this.resnets.length; i++) {
      h = runSteps(run, this.blockSteps(i, place), [h, skips[i]!], true);
    }
    return this.upsample ? run(this.upsample.step(), [h], true) : h;
  }
}

for (const layer of [DownStage, MidStage, UpStage]) tf.serialization.registerClass(layer);
