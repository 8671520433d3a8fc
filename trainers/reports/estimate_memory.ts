// The memory a stage will need, before it runs: one whole training step on a backend that holds no data, with the stage's own
// recipe. What is counted is what the torch engine's allocator would report in float32; see docs/engines.md for how near it is.
import type {VideoBatch} from '../../datasets/index.ts';
import type {CommonConfig, StageConfig} from '../../src/config/schema.ts';
import {alone, type Engine, runEachTime, valueAndGrads} from '../../src/engine/index.ts';
import type {Block} from '../../src/layers/block.ts';
import {withoutInitialValues} from '../../src/layers/initializers.ts';
import {withShapesBackend} from '../../src/memory/shapes_backend.ts';
import {AutoencoderKL, ConditionEncoder, UNet} from '../../src/models/index.ts';
import * as tf from '../../src/tf.ts';
import {zerosOf} from '../../src/weights/zeros.ts';
import {disposeSlots, type MomentSlot, makeMomentSlots, makeSlots, type Slot} from '../optimizer/optimizer.ts';
import type {Frozen} from '../parents/frozen.ts';
import {loadParentShapes} from '../parents/load_run.ts';
import {parentOf, startOfNothing, takeOf} from '../parents/parent.ts';
import type {HostModel} from '../parents/parts.ts';
import type {Recipe} from '../recipe.ts';
import {recipeOf} from '../stages.ts';
import {openTrainingStep} from '../step/training_step.ts';

/** Bytes. */
export interface MemoryEstimate {
  /** All weights, trained and frozen. */
  readonly weights: number;
  /** Optimiser slots and averages. */
  readonly optimizer: number;
  readonly gradients: number;
  /** The rest of the peak: activations kept for the gradient, and what kernels hold while they run. */
  readonly activations: number;
  /** The most that is held at once during a step. */
  readonly peak: number;
  readonly parameters: {readonly trained: number; readonly frozen: number};
}

/**
 * Estimates without allocating: a full-size stage takes seconds. The parent that `from` names must be there; of its weights
 * only names and shapes are read. What is counted is one rank's.
 * @throws UserError for what would also stop the run itself: a parent that is missing or does not fit.
 */
export async function estimateMemory(config: StageConfig, known?: Frozen, ranks = 1): Promise<MemoryEstimate> {
  const frozen = withZeros(known ?? (await parentShapes(config)));
  return withoutInitialValues(() =>
    withShapesBackend(async backend => {
      const before = backend.live;
      const recipe = await recipeOf({config, frozen, heldOut: []});
      const weights = backend.live - before;
      const slots = makeSlots(recipe.trained);
      const adversarySlots = makeMomentSlots(recipe.adversary?.trained ?? []);
      const optimizer = backend.live - before - weights;
      backend.resetPeak();
      try {
        const engine = {valueAndGrads, capture: runEachTime, group: {...alone, worldSize: ranks}};
        await trainOneStep(config, recipe, {slots, adversarySlots}, engine);
        const peak = backend.peak - before;
        const trained = [...slots, ...adversarySlots].reduce((sum, {variable}) => sum + variable.size, 0);
        const gradients = 4 * trained;
        return {
          weights,
          optimizer,
          gradients,
          activations: Math.max(0, peak - weights - optimizer - gradients),
          peak,
          parameters: {trained, frozen: Math.max(0, Math.round(weights / 4) - trained)},
        };
      } finally {
        disposeSlots([...slots, ...adversarySlots]);
        recipe.dispose();
      }
    }),
  );
}

async function parentShapes(config: StageConfig): Promise<Frozen | undefined> {
  const from = parentOf(config);
  return from === undefined ? startOfNothing(config) : takeOf(await loadParentShapes(from), config, from);
}

/** Zeros for the networks of a parent that is only planned, whose weights are not there. */
function withZeros(frozen: Frozen | undefined): Frozen | undefined {
  if (!frozen) return undefined;
  const {autoencoder, unet, conditions} = frozen;
  const filled = <M extends HostModel<unknown>>(
    part: M | undefined,
    build: (config: M['config']) => Block,
  ): M | undefined => {
    if (!part || part.weights.size > 0) return part;
    const entries = build(part.config)
      .weightSpecs()
      .map(({path, shape, layout}) => [path, {shape, layout, data: zerosOf(shape)}] as const);
    return {...part, weights: new Map(entries)};
  };
  return {
    ...frozen,
    // Measured when the run starts.
    scaleFactor: frozen.scaleFactor ?? 1,
    autoencoder: filled(autoencoder, model => new AutoencoderKL(model)),
    unet: filled(unet, model => new UNet(model)),
    conditions: filled(conditions, model => new ConditionEncoder(model)),
  };
}

/** What the loop does in one step on a batch of black frames, the recipe's adversary taking part; for measuring. */
export async function trainOneStep(
  config: StageConfig,
  given: Recipe,
  slots: {slots: readonly Slot[]; adversarySlots: readonly MomentSlot[]},
  engine: Pick<Engine, 'valueAndGrads' | 'capture' | 'group'>,
): Promise<void> {
  const recipe = {...given, adversary: given.adversary && {...given.adversary, startStep: 0}};
  const step = openTrainingStep({config, engine, recipe, ...slots});
  const inputs = Array.from({length: config.train.accumulate}, (_, microBatch) =>
    tf.tidy(() => recipe.prepare(emptyBatch(config), {step: 0, microBatch})),
  );
  const {figures, weight} = step.run(0, inputs);
  tf.dispose([figures, inputs, ...(weight ? [weight] : [])]);
  step.dispose();
}

/** A batch of black frames of the configured size. */
function emptyBatch({data}: Pick<CommonConfig, 'data'>): VideoBatch {
  const {batchSize: b, frames: t, size} = data;
  const [h, w] = size;
  const each = <T>(value: T) => Array<T>(b).fill(value);
  return {
    kind: t === 1 ? 'images' : 'clips',
    frames: new Uint8Array(b * t * h * w * 3),
    shape: [b, t, h, w, 3],
    keys: each(''),
    captions: each(''),
    fps: each(t === 1 ? 0 : (data.fps ?? 8)),
    labels: each({}),
    boxes: each([]),
    metadata: each({}),
    position: null,
    waitedMs: 0,
  };
}
