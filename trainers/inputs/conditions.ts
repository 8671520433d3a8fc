// Conditions in training: from a batch's captions, labels, boxes and frame rates to what the UNet takes, some of them left
// out at random for classifier-free guidance. Undefined throughout for an unconditional model, which pays nothing.
import type {VideoBatch} from '../../datasets/index.ts';
import {
  type ConditionBox,
  ConditionEncoder,
  type Conditions,
  type ConditionsConfig,
  type ConditionTensors,
  type EncodedConditions,
  repeatRows,
} from '../../src/models/index.ts';
import {UserError} from '../../src/platform/user_error.ts';
import {uniforms} from '../../src/random/index.ts';
import * as tf from '../../src/tf.ts';
import {allocateExactly} from '../parents/frozen.ts';
import type {DropRates, HostConditions, HostText} from '../parents/parts.ts';
import {ofText} from '../parents/resolve_conditions.ts';
import {type TrainedWeight, trainedWeights} from '../recipe.ts';
import {placeOf, type StepRandom} from './latents.ts';

/** Weights of conditions have this before their names in a model's file. */
export const CONDITIONS_PREFIX = 'conditions.';

/** Whose rows the conditions are: one a clip, or one a frame. */
export type RowsAre = 'clips' | 'images';

/** What of a configuration says how fast the text encoder learns. */
interface RateConfig {
  readonly conditions?: {readonly text?: {readonly learningRate?: number | undefined} | undefined} | undefined;
  readonly optimizer: {readonly learningRate: number};
}

export class Conditioning {
  readonly encoder: ConditionEncoder;
  private readonly drop: DropRates;
  private readonly textTrains: boolean;
  /** Of the layers over time, where they have one of their own; it never trains. */
  private readonly temporalText: ConditionEncoder | undefined;

  constructor(encoder: ConditionEncoder, drop: DropRates, temporalText?: ConditionEncoder) {
    this.encoder = encoder;
    this.drop = drop;
    this.temporalText = temporalText;
    this.textTrains = [...encoder.trainableNamedWeights().keys()].some(path => path.startsWith('text_encoder.'));
  }

  get trained(): TrainedWeight[] {
    return trainedWeights(this.encoder, CONDITIONS_PREFIX);
  }

  /** The same, the text encoder's at their own learning rate where one is configured. */
  trainedAt({conditions, optimizer}: RateConfig): TrainedWeight[] {
    const own = conditions?.text?.learningRate;
    if (own === undefined) return this.trained;
    if (!this.textTrains)
      throw new UserError(
        'conditions.text.learningRate is given, but the text encoder does not train: set conditions.text.train.',
      );
    const rate = own / optimizer.learningRate;
    const isText = ({spec}: TrainedWeight) => spec.path.startsWith(`${CONDITIONS_PREFIX}text_encoder.`);
    return this.trained.map(weight => (isText(weight) ? {...weight, rate} : weight));
  }

  /** The conditions of a training batch, some left out; a frozen text encoder runs here, outside the gradient. */
  prepare(batch: VideoBatch, rows: RowsAre, random: StepRandom): ConditionTensors {
    const kept = dropSome(conditionsOf(batch, this.encoder.config, rows), this.drop, random);
    return tf.tidy(() => ({...this.tensorsIn(batch, kept), ...this.textOverTime(kept)}));
  }

  private tensorsIn(batch: VideoBatch, kept: readonly Conditions[]): ConditionTensors {
    if (!batch.text || this.textTrains || !this.encoder.config.text) return this.tensors(kept);
    // The texts were encoded beforehand: only the empty one is missing.
    const {hidden, shape} = batch.text;
    const times = kept.length / shape[0];
    return tf.tidy(() => {
      const {ids: _, ...rest} = this.encoder.tensorsOf(kept);
      const given = repeatRows(tf.tensor3d(hidden, [...shape]), times);
      const none = this.tensors([{}]).text!;
      const has = tf.tensor3d(
        Float32Array.from(kept, ({text}) => (text === undefined ? 0 : 1)),
        [kept.length, 1, 1],
      );
      return {...rest, text: tf.add(tf.mul(given, has), tf.mul(none, tf.sub(1, has))) as tf.Tensor3D};
    });
  }

  /** The same with nothing left out. */
  tensors(conditions: readonly Conditions[]): ConditionTensors {
    return tf.tidy(() => {
      const tensors = this.encoder.tensorsOf(conditions);
      return this.textTrains
        ? tensors
        : this.encoder.encodeText(
            tensors,
            conditions.map(({text}) => text),
          );
    });
  }

  private textOverTime(conditions: readonly Conditions[]): Pick<ConditionTensors, 'temporalText'> {
    const encoder = this.temporalText;
    if (!encoder) return {};
    const texts = conditions.map(({text}) => text);
    const ids = encoder.tensorsOf(texts.map(text => ({text})));
    const {text} = encoder.encodeText(ids, texts);
    return text ? {temporalText: text} : {};
  }

  /** Of so many rows, as the weights are now, with nothing left out. */
  encode(conditions: readonly Conditions[]): EncodedConditions {
    return tf.tidy(() => this.inputs({...this.encoder.tensorsOf(conditions), ...this.textOverTime(conditions)}));
  }

  inputs(tensors: ConditionTensors): EncodedConditions {
    return this.encoder.forward(tensors);
  }

  dispose(): void {
    this.encoder.dispose();
    this.temporalText?.dispose();
  }
}

/**
 * The conditions of a stage: those of an image model train with it, later stages only read them.
 * @param options.temporalText of the layers over time, where the parent brings one of their own
 */
export function openConditioning(
  conditions: HostConditions | undefined,
  {seed, train, temporalText}: {seed: number; train: boolean; temporalText?: HostText | undefined},
): Conditioning | undefined {
  if (!conditions) return undefined;
  const {config, weights, drop, textTrains} = conditions;
  const encoder = new ConditionEncoder(config).allocate(seed, 'conditions');
  // Before an image model is trained only its text encoder may be there.
  allocateExactly(encoder, weights, 'conditions', ({path}) => !train || weights.has(path));
  encoder.trainWhere(({path}) => train && (textTrains || !path.startsWith('text_encoder.'))).storeFrozen();
  return new Conditioning(encoder, drop, temporalText && buildConditionEncoder(ofText(temporalText)));
}

/** The encoder of a finished run's conditions. */
export function buildConditionEncoder({config, weights}: HostConditions): ConditionEncoder {
  const encoder = new ConditionEncoder(config);
  encoder.trainable = false;
  return allocateExactly(encoder, weights, 'conditions').storeFrozen();
}

/** What the samples of a batch say of themselves, of what the model may be conditioned on: a row a clip, or a frame. */
export function conditionsOf(batch: VideoBatch, config: ConditionsConfig, rows: RowsAre): Conditions[] {
  const [, frames] = batch.shape;
  return batch.keys.flatMap((_, i) => {
    const common: Conditions = {
      ...(config.text ? {text: batch.captions[i]} : {}),
      ...(config.labels ? {labels: labelsOf(batch, i, Object.keys(config.labels))} : {}),
      ...(config.fps ? {fps: batch.fps[i]} : {}),
    };
    return Array.from({length: rows === 'images' ? frames : 1}, (_, frame) =>
      config.boxes ? {...common, boxes: boxesOf(batch, i, frame, config.boxes)} : common,
    );
  });
}

/** Whole numbers as the data read them, other values (names of classes) as KEY.json has them. */
function labelsOf(
  {keys, labels, metadata}: VideoBatch,
  i: number,
  names: readonly string[],
): Record<string, string | number> {
  const found: Record<string, string | number> = {};
  for (const name of names) {
    const value = labels[i]?.[name] ?? metadata[i]?.[name];
    if (value === undefined || value === null) continue;
    if (typeof value !== 'string' && typeof value !== 'number')
      throw new UserError(
        `Sample ${keys[i]}: its label "${name}" must be a text or a number, it is ${JSON.stringify(value)}.`,
      );
    found[name] = value;
  }
  return found;
}

/**
 * The boxes of one frame (of a clip's first, where the clip has one row), those of classes the model knows, the largest
 * first; undefined where the sample lists none.
 */
function boxesOf(
  {boxes, metadata}: VideoBatch,
  i: number,
  frame: number,
  {classes, max}: NonNullable<ConditionsConfig['boxes']>,
): ConditionBox[] | undefined {
  if (metadata[i]?.boxes === undefined) return undefined;
  const known = new Set(classes.map(String));
  const area = ({corners: [left, top, right, bottom]}: ConditionBox) => (right - left) * (bottom - top);
  return (boxes[i] ?? [])
    .filter(box => box.frame === frame && known.has(String(box.class)))
    .map(box => ({class: box.class, corners: box.xyxy}))
    .sort((a, b) => area(b) - area(a))
    .slice(0, max);
}

/** Numbers drawn for one row: all, text, labels, boxes, fps, and room for more. */
const DRAWS = 8;

function dropSome(rows: readonly Conditions[], drop: DropRates, random: StepRandom): Conditions[] {
  const draws = uniforms(placeOf('conditionDropout', random), rows.length * DRAWS);
  return rows.map((row, i) => {
    const [all = 1, text = 1, labels = 1, boxes = 1, fps = 1] = draws.subarray(i * DRAWS);
    if (all < drop.all) return {};
    return {
      ...(row.text !== undefined && text >= drop.text ? {text: row.text} : {}),
      ...(row.labels !== undefined && labels >= drop.labels ? {labels: row.labels} : {}),
      ...(row.boxes !== undefined && boxes >= drop.boxes ? {boxes: row.boxes} : {}),
      ...(row.fps !== undefined && fps >= drop.fps ? {fps: row.fps} : {}),
    };
  });
}
