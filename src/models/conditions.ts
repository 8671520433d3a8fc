// What a video is to show, as the UNet takes it: text, labels and boxes as tokens for cross-attention, the frame rate as an
// added number. A condition that is absent has a value of its own (the empty text, a class "unknown", frame rate 0), so that
// dropping it in training and leaving it out in sampling are the same thing (classifier-free guidance, Ho and Salimans 2022).
import {Block, type BlockArgs, type Shape} from '../layers/block.ts';
import {BOX_FEATURES, BoxTokens, boxFeatures, FIRST_BOX_CLASS, NO_BOX, UNKNOWN_BOX} from '../layers/box_tokens.ts';
import {Embedding} from '../layers/linear.ts';
import {UserError} from '../platform/user_error.ts';
import * as tf from '../tf.ts';
import {TextEncoder, type TextEncoderConfig} from './text_encoder.ts';
import {Tokenizer} from './tokenizer.ts';
import {WordTokenizer} from './word_tokenizer.ts';

/** A box in shares of the frame's width and height. */
export interface ConditionBox {
  readonly class: string | number;
  /** Left, top, right, bottom in [0,1]. */
  readonly corners: readonly [number, number, number, number];
}

/** What one video (or image) is to show. What is left out is not conditioned on. */
export interface Conditions {
  readonly text?: string | undefined;
  /** Values by the label's name, as the configuration lists them. */
  readonly labels?: Readonly<Record<string, string | number>> | undefined;
  /** An empty list says that there are no boxes; leaving it out says nothing. */
  readonly boxes?: readonly ConditionBox[] | undefined;
  /** Frames per second. */
  readonly fps?: number | undefined;
}

export const conditionNames = ['text', 'labels', 'boxes', 'fps'] as const;
export type ConditionName = (typeof conditionNames)[number];

/** `words`: hashed words. `bpe`: CLIP's byte pairs, token `vocabulary[i]` having the id i. */
export type TokenizerConfig =
  | {readonly kind: 'words'}
  | {
      readonly kind: 'bpe';
      readonly vocabulary: readonly string[];
      readonly merges: readonly string[];
      readonly padding: 'end' | 'zero';
    };

/** Named values, or numbers sorted into classes: class i holds what is at most upTo[i], the last one the rest. */
export type LabelConfig = {readonly values: readonly (string | number)[]} | {readonly upTo: readonly number[]};

export interface ConditionsConfig {
  /** Width of the tokens: the UNet's crossAttentionDim. */
  readonly dim: number;
  readonly text?: {readonly encoder: TextEncoderConfig; readonly tokenizer: TokenizerConfig} | undefined;
  readonly labels?: Readonly<Record<string, LabelConfig>> | undefined;
  readonly boxes?: {readonly classes: readonly (string | number)[]; readonly max: number} | undefined;
  readonly fps?: boolean | undefined;
}

/** Conditions of a batch of B as tensors, before any trained weight has touched them. */
export type ConditionTensors = {
  /** int32 [B,L] */
  ids?: tf.Tensor2D;
  /** The text as the encoder gave it, [B,L,dim]: stands in for `ids`. */
  text?: tf.Tensor3D;
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
  /** [B,1] */
  addedNumbers?: tf.Tensor2D;
};

/** Conditions -> tokens and numbers. Weights: `text_encoder.*`, `labels.NAME.*`, `boxes.*`. */
export class ConditionEncoder extends Block<{config: ConditionsConfig}> {
  static readonly className = 'VideoLdmConditionEncoder';
  readonly config: ConditionsConfig;
  private readonly textEncoder: TextEncoder | undefined;
  private readonly tokenizer: Tokenizer | WordTokenizer | undefined;
  private readonly labels: readonly {readonly name: string; readonly values: LabelConfig; readonly table: Embedding}[];
  private readonly boxes: BoxTokens | undefined;

  /** @throws UserError where the text encoder is of another width. */
  constructor(config: ConditionsConfig | ({config: ConditionsConfig} & BlockArgs)) {
    super('config' in config ? config : {config});
    this.config = this.options.config;
    const {dim, text, labels = {}, boxes} = this.config;
    if (text) {
      const {encoder, tokenizer} = text;
      if (encoder.channels !== dim) {
        throw new UserError(
          `The text encoder gives ${encoder.channels} channels, but unet.crossAttentionDim is ${dim}: make them equal.`,
        );
      }
      this.textEncoder = this.child('text_encoder', new TextEncoder(encoder));
      this.tokenizer = tokenizerOf(encoder, tokenizer);
    }
    this.labels = Object.entries(labels).map(([name, values]) => ({
      name,
      values,
      table: this.child(`labels.${name}`, new Embedding({count: 1 + classCount(values), dim})),
    }));
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
    for (const one of conditions) this.refuseUnknown(one);
    const b = conditions.length;
    const tensors: ConditionTensors = {};
    if (this.tokenizer) {
      const {length} = this.tokenizer;
      const ids = new Int32Array(b * length);
      for (const [i, {text = ''}] of conditions.entries()) ids.set(this.tokenizer.encodePadded(text), i * length);
      tensors.ids = tf.tensor2d(ids, [b, length], 'int32');
    }
    if (this.labels.length > 0) {
      const ids = conditions.flatMap(({labels}) =>
        this.labels.map(({name, values}) => {
          const value = labels?.[name];
          return value === undefined ? 0 : 1 + classOf(name, values, value);
        }),
      );
      tensors.labels = tf.tensor2d(Int32Array.from(ids), [b, this.labels.length], 'int32');
    }
    if (this.boxes) Object.assign(tensors, this.boxTensors(conditions));
    if (this.config.fps)
      tensors.fps = tf.tensor2d(
        Float32Array.from(conditions, ({fps = 0}) => fps),
        [b, 1],
      );
    return tensors;
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

  forward({ids, text, labels, boxClasses, boxFeatures: features, fps}: ConditionTensors): EncodedConditions {
    return tf.tidy(() => {
      const tokens: tf.Tensor3D[] = [];
      if (text) tokens.push(text);
      else if (ids && this.textEncoder) tokens.push(this.textEncoder.forward(ids).hidden);
      if (labels) {
        const [b] = labels.shape;
        for (const [i, {table}] of this.labels.entries()) {
          const own = tf.slice(labels, [0, i], [b, 1]);
          tokens.push(table.forward(own) as tf.Tensor3D);
        }
      }
      if (this.boxes && boxClasses && features) tokens.push(this.boxes.forward(boxClasses, features));
      return {
        ...(tokens.length > 0 ? {context: tokens.length === 1 ? tokens[0]! : tf.concat(tokens, 1)} : {}),
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

  private boxTensors(conditions: readonly Conditions[]): Pick<ConditionTensors, 'boxClasses' | 'boxFeatures'> {
    const {classes, max} = this.config.boxes!;
    const kinds = new Int32Array(conditions.length * max);
    const features = new Float32Array(conditions.length * max * BOX_FEATURES);
    for (const [i, {boxes}] of conditions.entries()) {
      for (let n = 0; n < max; n++) {
        const at = i * max + n;
        const box = boxes?.[n];
        kinds[at] = boxes === undefined ? UNKNOWN_BOX : NO_BOX;
        if (!box) continue;
        kinds[at] = FIRST_BOX_CLASS + indexIn(classes, box.class);
        features.set(boxFeatures(box.corners), at * BOX_FEATURES);
      }
    }
    return {
      boxClasses: tf.tensor2d(kinds, [conditions.length, max], 'int32'),
      boxFeatures: tf.tensor3d(features, [conditions.length, max, BOX_FEATURES]),
    };
  }

  private refuseUnknown({text, labels, boxes, fps}: Conditions): void {
    const {text: hasText, labels: known = {}, boxes: hasBoxes, fps: hasFps} = this.config;
    const has = conditionNames.filter(name => this.config[name]);
    const refuse = (name: string) => {
      const list = has.length > 0 ? `it knows ${has.join(', ')}` : 'it is unconditional';
      throw new UserError(`This model was not trained with ${name}: ${list}.`);
    };
    if (text !== undefined && !hasText) refuse('text');
    if (labels && Object.keys(labels).length > 0 && Object.keys(known).length === 0) refuse('labels');
    if (boxes !== undefined && !hasBoxes) refuse('boxes');
    if (fps !== undefined && !hasFps) refuse('a frame rate');
    for (const name of Object.keys(labels ?? {})) {
      if (!Object.hasOwn(known, name))
        throw new UserError(`This model has no label "${name}": its labels are ${Object.keys(known).join(', ')}.`);
    }
    if (fps !== undefined && !(fps >= 0 && fps <= 1000))
      throw new UserError(`The frame rate must be from 0 to 1000, it is ${fps}.`);
    if (!boxes || !hasBoxes) return;
    if (boxes.length > hasBoxes.max)
      throw new UserError(`There are ${boxes.length} boxes, but this model takes at most ${hasBoxes.max}.`);
    for (const {class: kind, corners} of boxes) {
      if (indexIn(hasBoxes.classes, kind) < 0)
        throw new UserError(
          `This model has no boxes of class "${kind}": its classes are ${hasBoxes.classes.join(', ')}.`,
        );
      const [left, top, right, bottom] = corners;
      if (!(left >= 0 && left < right && right <= 1 && top >= 0 && top < bottom && bottom <= 1)) {
        throw new UserError(
          `The box [${corners.join(', ')}] must be left, top, right, bottom in shares of the frame, from 0 to 1.`,
        );
      }
    }
  }
}

function tokenizerOf(encoder: TextEncoderConfig, config: TokenizerConfig): Tokenizer | WordTokenizer {
  const {vocabulary, tokens: length} = encoder;
  if (config.kind === 'words') return new WordTokenizer({vocabulary, length});
  const ids = new Map(config.vocabulary.map((token, id) => [token, id]));
  return new Tokenizer({vocabulary: ids, merges: config.merges}, {length, padding: config.padding});
}

function classCount(label: LabelConfig): number {
  return 'values' in label ? label.values.length : label.upTo.length + 1;
}

/** @throws UserError for a value the label does not have. */
function classOf(name: string, label: LabelConfig, value: string | number): number {
  if ('values' in label) {
    const index = indexIn(label.values, value);
    if (index < 0)
      throw new UserError(`The label "${name}" has no value "${value}": its values are ${label.values.join(', ')}.`);
    return index;
  }
  const amount = Number(value);
  if (value === '' || !Number.isFinite(amount))
    throw new UserError(`The label "${name}" is a number, it is ${JSON.stringify(value)}.`);
  const index = label.upTo.findIndex(bound => amount <= bound);
  return index < 0 ? label.upTo.length : index;
}

/** "1" and 1 are the same value: files and command lines do not agree on types. */
function indexIn(values: readonly (string | number)[], value: string | number): number {
  return values.findIndex(known => String(known) === String(value));
}

tf.serialization.registerClass(ConditionEncoder);
