// What a video is to show, as the UNet takes it: text, labels and boxes as tokens for cross-attention, the frame rate as an
// added number. A condition that is absent has a value of its own (the empty text, a class "unknown", frame rate 0), so that
// dropping it in training and leaving it out in sampling are the same thing (classifier-free guidance, Ho and Salimans 2022).
import {Block, type BlockArgs, type Shape} from '../layers/block.ts';
import {BoxTokens} from '../layers/box_tokens.ts';
import {Embedding} from '../layers/linear.ts';
import {UserError} from '../platform/user_error.ts';
import * as tf from '../tf.ts';
import {
  type ConditionArrays,
  type Conditions,
  type ConditionsConfig,
  classCount,
  conditionArrays,
} from './condition_arrays.ts';
import {TextEncoder} from './text_encoder.ts';

/** Conditions of a batch of B as tensors, before any trained weight has touched them. */
export type ConditionTensors = {
  /** int32 [B,L] */
  ids?: tf.Tensor2D;
  /** The text as the encoder gave it, [B,L,dim]: stands in for `ids`. */
  text?: tf.Tensor3D;
  /** The text of layers over time that have an encoder of their own, as that one gave it, [B,M',dim']. */
  temporalText?: tf.Tensor3D;
  /** int32 [B, number of labels]; 0 is unknown. */
  labels?: tf.Tensor2D;
  /** int32 [B,max] */
  boxClasses?: tf.Tensor2D;
  /** [B,max,BOX_FEATURES] */
  boxFeatures?: tf.Tensor3D;
  /** [B,1]; 0 is unknown. */
  fps?: tf.Tensor2D;
};

/** What the UNet takes. */
export type EncodedConditions = {
  /** [B,M,dim] */
  context?: tf.Tensor3D;
  /** Of the layers over time, where it is another, [B,M',dim']. */
  temporalContext?: tf.Tensor3D;
  /** [B,1] */
  addedNumbers?: tf.Tensor2D;
};

/** Conditions -> tokens and numbers. Weights: `text_encoder.*`, `labels.NAME.*`, `boxes.*`. */
export class ConditionEncoder extends Block<{config: ConditionsConfig}> {
  static readonly className = 'VideoLdmConditionEncoder';
  readonly config: ConditionsConfig;
  private readonly textEncoder: TextEncoder | undefined;
  private readonly arrays: (conditions: readonly Conditions[]) => ConditionArrays;
  /** One table a label, in the order of the configuration. */
  private readonly labels: readonly Embedding[];
  private readonly boxes: BoxTokens | undefined;

  /** @throws UserError where the text encoder is of another width. */
  constructor(config: ConditionsConfig | ({config: ConditionsConfig} & BlockArgs)) {
    super('config' in config ? config : {config});
    this.config = this.options.config;
    this.arrays = conditionArrays(this.config);
    const {dim, text, labels = {}, boxes} = this.config;
    if (text) {
      const {encoder} = text;
      if (encoder.channels !== dim) {
        throw new UserError(
          `The text encoder gives ${encoder.channels} channels, but unet.crossAttentionDim is ${dim}: make them equal.`,
        );
      }
      this.textEncoder = this.child('text_encoder', new TextEncoder(encoder));
    }
    this.labels = Object.entries(labels).map(([name, values]) =>
      this.child(`labels.${name}`, new Embedding({count: 1 + classCount(values), dim})),
    );
    if (boxes) this.boxes = this.child('boxes', new BoxTokens({classes: boxes.classes.length, dim}));
  }

  /** Whether anything comes as tokens for cross-attention. */
  get hasTokens(): boolean {
    return this.textEncoder !== undefined || this.labels.length > 0 || this.boxes !== undefined;
  }

  /**
   * Conditions of B videos as tensors; `{}` is the unconditional one.
   * @throws UserError for a condition this model was not trained with, and for a label or class it does not know.
   */
  tensorsOf(conditions: readonly Conditions[]): ConditionTensors {
    const tensors = Object.entries(this.arrays(conditions)).map(
      ([name, {data, shape, dtype}]) => [name, tf.tensor(data, [...shape], dtype)] as const,
    );
    return Object.fromEntries(tensors);
  }

  /** The text encoder alone, for one that is frozen: ids become the text's tokens. Equal texts are encoded once. */
  encodeText({ids, ...rest}: ConditionTensors, texts: readonly (string | undefined)[]): ConditionTensors {
    const encoder = this.textEncoder;
    if (!ids || !encoder) return rest;
    return tf.tidy(() => {
      const first = new Map<string, number>();
      for (const [i, text = ''] of texts.entries()) if (!first.has(text)) first.set(text, i);
      const rows = [...first.values()];
      const rank = new Map(rows.map((row, i) => [row, i]));
      const {hidden} = encoder.forward(tf.gather(ids, tf.tensor1d(rows, 'int32')));
      const of = texts.map((text = '') => rank.get(first.get(text)!)!);
      return {...rest, text: tf.gather(hidden, tf.tensor1d(of, 'int32'))};
    });
  }

  forward({
    ids,
    text,
    temporalText,
    labels,
    boxClasses,
    boxFeatures: features,
    fps,
  }: ConditionTensors): EncodedConditions {
    return tf.tidy(() => {
      const tokens: tf.Tensor3D[] = [];
      if (text) tokens.push(text);
      else if (ids && this.textEncoder) tokens.push(this.textEncoder.forward(ids).hidden);
      if (labels) {
        const [b] = labels.shape;
        for (const [i, table] of this.labels.entries()) {
          const own = tf.slice(labels, [0, i], [b, 1]);
          tokens.push(table.forward(own) as tf.Tensor3D);
        }
      }
      if (this.boxes && boxClasses && features) tokens.push(this.boxes.forward(boxClasses, features));
      return {
        ...(tokens.length > 0 ? {context: tokens.length === 1 ? tokens[0]! : tf.concat(tokens, 1)} : {}),
        ...(temporalText ? {temporalContext: temporalText} : {}),
        ...(fps ? {addedNumbers: fps} : {}),
      };
    });
  }

  /** `tensorsOf` and `forward` together: what sampling calls, once with the conditions and once with `{}`. */
  encode(conditions: readonly Conditions[]): EncodedConditions {
    return tf.tidy(() => this.forward(this.tensorsOf(conditions)));
  }

  override call(): tf.Tensor {
    throw new Error('Conditions are not a tensor: use encode or forward.');
  }

  override computeOutputShape(): Shape {
    throw new Error('Conditions are not a tensor: use encode or forward.');
  }
}

tf.serialization.registerClass(ConditionEncoder);
