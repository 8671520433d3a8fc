// What videos are to show, as arrays of numbers: tokens of the text, numbers of labels, classes and places of boxes, the frame
// rate. Plain JavaScript without TensorFlow.js, so that an exported model can be sampled with it in Node and in browsers.
import {BOX_FEATURES, boxFeatures, FIRST_BOX_CLASS, NO_BOX, UNKNOWN_BOX} from '../layers/box_features.ts';
import {UserError} from '../platform/user_error.ts';
import type {TextEncoderConfig} from './text_encoder.ts';
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

/** Values on the host, row-major. */
export interface ConditionArray {
  readonly dtype: 'float32' | 'int32';
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array;
}

/**
 * ids int32 [B,L]; labels int32 [B, number of labels], 0 is unknown; boxClasses int32 [B,max]; boxFeatures [B,max,BOX_FEATURES];
 * fps [B,1], 0 is unknown.
 */
export type ConditionArrays = {
  readonly [Name in 'ids' | 'labels' | 'boxClasses' | 'boxFeatures' | 'fps']?: ConditionArray;
};

/**
 * From conditions of B videos to arrays, for a model of this configuration; `{}` is the unconditional one.
 * The function throws UserError for a condition the model was not trained with, and for a label or class it does not know.
 */
export function conditionArrays(config: ConditionsConfig): (conditions: readonly Conditions[]) => ConditionArrays {
  const {text, labels = {}, boxes, fps} = config;
  const tokenizer = text && tokenizerOf(text.encoder, text.tokenizer);
  const names = Object.entries(labels);
  return conditions => {
    for (const one of conditions) refuseUnknown(config, one);
    const b = conditions.length;
    return {
      ...(tokenizer ? {ids: idsOf(tokenizer, conditions)} : {}),
      ...(names.length > 0 ? {labels: labelsOf(names, conditions)} : {}),
      ...(boxes ? boxesOf(boxes, conditions) : {}),
      ...(fps
        ? {
            fps: floats(
              [b, 1],
              Float32Array.from(conditions, one => one.fps ?? 0),
            ),
          }
        : {}),
    };
  };
}

function idsOf(tokenizer: Tokenizer | WordTokenizer, conditions: readonly Conditions[]): ConditionArray {
  const {length} = tokenizer;
  const ids = new Int32Array(conditions.length * length);
  for (const [i, {text = ''}] of conditions.entries()) ids.set(tokenizer.encodePadded(text), i * length);
  return integers([conditions.length, length], ids);
}

function labelsOf(names: readonly [string, LabelConfig][], conditions: readonly Conditions[]): ConditionArray {
  const rows = conditions.flatMap(({labels}) =>
    names.map(([name, known]) => {
      const value = labels?.[name];
      return value === undefined ? 0 : 1 + classOf(name, known, value);
    }),
  );
  return integers([conditions.length, names.length], Int32Array.from(rows));
}

function boxesOf(
  {classes, max}: NonNullable<ConditionsConfig['boxes']>,
  conditions: readonly Conditions[],
): Pick<ConditionArrays, 'boxClasses' | 'boxFeatures'> {
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
    boxClasses: integers([conditions.length, max], kinds),
    boxFeatures: floats([conditions.length, max, BOX_FEATURES], features),
  };
}

const floats = (shape: readonly number[], data: Float32Array): ConditionArray => ({dtype: 'float32', shape, data});
const integers = (shape: readonly number[], data: Int32Array): ConditionArray => ({dtype: 'int32', shape, data});

/** @throws UserError for a condition the model was not trained with, and for a label or class it does not know. */
function refuseUnknown(config: ConditionsConfig, {text, labels, boxes, fps}: Conditions): void {
  const {text: hasText, labels: known = {}, boxes: hasBoxes, fps: hasFps} = config;
  const has = conditionNames.filter(name => config[name]);
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

function tokenizerOf(encoder: TextEncoderConfig, config: TokenizerConfig): Tokenizer | WordTokenizer {
  const {vocabulary, tokens: length} = encoder;
  if (config.kind === 'words') return new WordTokenizer({vocabulary, length});
  const ids = new Map(config.vocabulary.map((token, id) => [token, id]));
  return new Tokenizer({vocabulary: ids, merges: config.merges}, {length, padding: config.padding});
}

/** How many tokens for cross-attention the conditions of one video become. */
export function contextTokens({text, labels = {}, boxes}: ConditionsConfig): number {
  return (text?.encoder.tokens ?? 0) + Object.keys(labels).length + (boxes?.max ?? 0);
}

/** How many classes a label has, "unknown" not counted. */
export function classCount(label: LabelConfig): number {
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
