// The training loop of every stage: batch, gradients, update, figures, checkpoint. All that changes while it runs is in
// the TrainState of train_state.ts; all randomness follows from (seed, step), so a run that was killed and resumed ends
// in the same bytes.
import type {VideoBatch} from '../datasets/index.ts';
import type {CommonConfig} from '../src/config/schema.ts';
import type {Engine} from '../src/engine/index.ts';
import * as tf from '../src/tf.ts';
import {meanGradients} from './optimizer/accumulate.ts';
import {learningRateAt} from './optimizer/learning_rate.ts';
import {refuseNonFinite, refuseNonFiniteState} from './optimizer/non_finite.ts';
import {type MomentSlot, type Slot, update, withEma} from './optimizer/optimizer.ts';
import type {Adversary, Recipe} from './recipe.ts';
import type {RunLog} from './run/logging.ts';
import type {StopRequest} from './run/stop_request.ts';
import {STARVING, Starvation, Throughput} from './run/throughput.ts';

export interface LoopPlace {
  /** Updates done. */
  step: number;
  /** What resumes the data after the last batch used. */
  data: VideoBatch['position'] | undefined;
  /** Latest held-out figures, EMA weights. */
  metrics: Record<string, number>;
}

export interface Loop {
  config: CommonConfig;
  engine: Engine;
  recipe: Recipe;
  slots: readonly Slot[];
  /** Of the recipe's adversary, where it has one. */
  adversarySlots?: readonly MomentSlot[];
  /** Batches from `place.data` on. */
  data: AsyncIterator<VideoBatch>;
  log: RunLog;
  stop: StopRequest;
  save(place: LoopPlace): Promise<void>;
  preview(step: number): Promise<void>;
}

/** Trains until `train.steps` or until asked to stop. The last checkpoint holds the state on return. */
export async function runLoop(loop: Loop, start: LoopPlace): Promise<LoopPlace & {ended: 'finished' | 'stopped'}> {
  const {config, engine, recipe, slots, log, stop} = loop;
  const {steps, accumulate} = config.train;
  const due = (every: number | undefined, step: number) =>
    every !== undefined && (step % every === 0 || step === steps);
  const throughput = new Throughput();
  const starvation = new Starvation();
  const place = {...start};
  let saved = start.step;
  const save = async () => {
    await refuseNonFiniteState(place.step, [...slots, ...(loop.adversarySlots ?? [])]);
    await loop.save(place);
  };

  if (place.step === 0) place.metrics = await evaluate(loop, 0);
  while (place.step < steps && !stop.requested) {
    const step = place.step;
    const microBatches: tf.TensorContainer[] = [];
    const keys: string[] = [];
    for (let microBatch = 0; microBatch < accumulate; microBatch++) {
      const batch = await throughput.waitFor(loop.data.next());
      microBatches.push(tf.tidy(() => recipe.prepare(batch, {step, microBatch})));
      keys.push(...batch.keys);
      place.data = batch.position;
    }
    const adversary = recipe.adversary && step >= recipe.adversary.startStep ? recipe.adversary : undefined;
    const weight = adversary?.weigh(microBatches, engine);
    const {loss, gradients} = await meanGradients(engine, variablesOf(slots), microBatches, inputs =>
      recipe.loss(inputs, weight),
    );
    const norm = update(slots, gradients, config.optimizer, {step, steps});
    const gradientNorm = (await norm.data())[0]!;
    if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm))
      await refuseNonFinite({step, loss, keys, inputs: microBatches, slots, gradients});
    const adversarial =
      adversary && weight ? await trainAdversary(loop, adversary, {step, microBatches, weight, keys}) : {};
    tf.dispose([gradients, norm, microBatches, ...(weight ? [weight] : [])]);
    place.step = step + 1;
    throughput.step(keys.length);

    if (due(config.log.every, place.step)) {
      const figures = {
        loss,
        gradientNorm,
        learningRate: learningRateAt(config.optimizer, step, steps),
        ...adversarial,
        ...throughput.take(),
        ...memoryInUse(engine),
      };
      log.metrics('train', place.step, figures);
      log.logger.info({step: place.step, ...rounded(figures)}, 'train');
      const starving = starvation.told(figures.dataWaitFraction);
      if (starving !== undefined) log.logger.warn({dataWaitFraction: Number(starving.toFixed(2))}, STARVING);
    }
    log.progress(place.step, {...throughput.estimate(steps - place.step), loss});
    if (due(config.heldOut.every, place.step)) place.metrics = await evaluate(loop, place.step);
    if (due(config.preview?.every, place.step)) await withEma(slots, () => loop.preview(place.step));
    if (due(config.checkpoint.every, place.step)) {
      await save();
      saved = place.step;
    }
  }
  if (saved !== place.step) await save();
  return {...place, ended: place.step < steps ? 'stopped' : 'finished'};
}

/** The adversary's update, on the step's batches and the model as it is after its own update. */
async function trainAdversary(
  {engine, config, adversarySlots: slots = []}: Loop,
  adversary: Adversary,
  at: {step: number; microBatches: readonly tf.TensorContainer[]; weight: tf.Scalar; keys: readonly string[]},
): Promise<Record<string, number>> {
  const {loss, gradients} = await meanGradients(engine, variablesOf(slots), at.microBatches, inputs =>
    adversary.loss(inputs),
  );
  const {startStep, optimizer} = adversary;
  const norm = update(slots, gradients, optimizer, {step: at.step - startStep, steps: config.train.steps - startStep});
  const adversaryGradientNorm = (await norm.data())[0]!;
  if (!Number.isFinite(loss) || !Number.isFinite(adversaryGradientNorm))
    await refuseNonFinite({step: at.step, loss, keys: at.keys, inputs: at.microBatches, slots, gradients});
  tf.dispose([gradients, norm]);
  return {adversaryLoss: loss, adversaryGradientNorm, adversaryWeight: (await at.weight.data())[0]!};
}

const variablesOf = (slots: readonly MomentSlot[]): tf.Variable[] => slots.map(({variable}) => variable);

/** Held-out figures with the averaged weights and, as `raw.*`, with the trained ones. */
async function evaluate({recipe, slots, log}: Loop, step: number): Promise<Record<string, number>> {
  const figures = await withEma(slots, () => recipe.heldOut());
  const raw = await recipe.heldOut();
  const all = {...figures, ...Object.fromEntries(Object.entries(raw).map(([name, value]) => [`raw.${name}`, value]))};
  log.metrics('heldOut', step, all);
  log.logger.info({step, ...rounded(figures)}, 'held out');
  return figures;
}

/** Tensors and bytes the engine holds, and what the whole process takes. */
function memoryInUse(engine: Engine): {tensors: number; engineMiB: number; residentMiB: number} {
  const {tensors, bytes} = engine.memory();
  return {tensors, engineMiB: bytes / 2 ** 20, residentMiB: process.memoryUsage.rss() / 2 ** 20};
}

/** Four significant digits, for reading. */
function rounded(figures: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, Number(value.toPrecision(4))]));
}
