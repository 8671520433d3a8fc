// The training loop of every stage: batch, gradients, update, figures, checkpoint. All that changes while it runs is in
// the TrainState of train_state.ts; all randomness follows from (seed, step), so a run that was killed and resumed ends
// in the same bytes. Of several ranks each runs this loop with data of its own, and they decide alike: by step and by figures that
// are means over all. Rank 0 measures, shows and logs.
import type {VideoBatch} from '../datasets/index.ts';
import type {CommonConfig} from '../src/config/schema.ts';
import type {Engine} from '../src/engine/index.ts';
import * as tf from '../src/tf.ts';
import {learningRateAt} from './optimizer/learning_rate.ts';
import {refuseNonFiniteState} from './optimizer/non_finite.ts';
import {type MomentSlot, type Slot, withEma} from './optimizer/optimizer.ts';
import type {Recipe} from './recipe.ts';
import type {RunLog} from './run/logging.ts';
import type {StopRequest} from './run/stop_request.ts';
import {STARVING, Starvation, Throughput} from './run/throughput.ts';
import {type InFlight, launch, type SharedFigures} from './step/in_flight.ts';
import {openTrainingStep, type TrainingStep} from './step/training_step.ts';

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
  /** Called on every rank at the same steps. */
  save(place: LoopPlace): Promise<void>;
  preview(step: number): Promise<void>;
}

/** Trains until `train.steps` or until asked to stop. The last checkpoint holds the state on return. */
export async function runLoop(loop: Loop, start: LoopPlace): Promise<LoopPlace & {ended: 'finished' | 'stopped'}> {
  const trainingStep = openTrainingStep(loop);
  const underWay: UnderWay = {trainingStep, inFlight: undefined};
  try {
    return await runSteps(loop, start, underWay);
  } finally {
    underWay.inFlight?.dispose();
    trainingStep.dispose();
  }
}

interface UnderWay {
  readonly trainingStep: TrainingStep;
  /** The step whose figures are not read yet. */
  inFlight: InFlight | undefined;
}

async function runSteps(
  loop: Loop,
  start: LoopPlace,
  underWay: UnderWay,
): Promise<LoopPlace & {ended: 'finished' | 'stopped'}> {
  const {config, recipe, slots, log, stop} = loop;
  const {rank, worldSize} = loop.engine.group;
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
    saved = place.step;
  };
  let latest: SharedFigures | undefined;
  /** Figures that are not finite end the run here: before anything is measured or saved. */
  const settle = async () => {
    if (underWay.inFlight) latest = await underWay.inFlight.settle();
    underWay.inFlight = undefined;
  };

  // Of several ranks none can stop alone: they do when all have read that one was asked to.
  const stopping = () => (worldSize === 1 ? stop.requested : latest?.stopAsked === true);

  if (place.step === 0) place.metrics = await evaluate(loop, 0);
  while (place.step < steps && !stopping()) {
    const step = place.step;
    const microBatches: tf.TensorContainer[] = [];
    const keys: string[] = [];
    for (let microBatch = 0; microBatch < accumulate; microBatch++) {
      const batch = await throughput.waitFor(loop.data.next());
      const at = {step, microBatch: microBatch * worldSize + rank};
      microBatches.push(tf.tidy(() => recipe.prepare(batch, at)));
      keys.push(...batch.keys);
      place.data = batch.position;
    }
    // The step before is read while this one is computed.
    const before = underWay.inFlight;
    underWay.inFlight = launch(loop, underWay.trainingStep, {step, keys, microBatches, stopAsked: stop.requested});
    if (before) latest = await before.settle();
    place.step = step + 1;
    throughput.step(keys.length * worldSize);
    const dueNow = {
      log: due(config.log.every, place.step),
      heldOut: due(config.heldOut.every, place.step),
      preview: due(config.preview?.every, place.step),
      checkpoint: due(config.checkpoint.every, place.step),
    };
    if (latest === undefined || Object.values(dueNow).includes(true)) await settle();
    const {loss, gradientNorm, adversary} = latest!;

    if (dueNow.log) {
      const figures = {
        loss,
        gradientNorm,
        learningRate: learningRateAt(config.optimizer, step, steps),
        ...adversary,
        ...throughput.take(),
        ...memoryInUse(loop.engine),
      };
      log.metrics('train', place.step, figures);
      log.logger.info({step: place.step, ...rounded(figures)}, 'train');
      const starving = starvation.told(figures.dataWaitFraction);
      if (starving !== undefined) log.logger.warn({dataWaitFraction: Number(starving.toFixed(2))}, STARVING);
    }
    log.progress(place.step, {...throughput.estimate(steps - place.step), loss});
    if (dueNow.heldOut) place.metrics = await evaluate(loop, place.step);
    if (dueNow.preview && rank === 0) await withEma(slots, () => loop.preview(place.step));
    if (dueNow.checkpoint) await save();
  }
  await settle();
  if (saved !== place.step) await save();
  return {...place, ended: place.step < steps ? 'stopped' : 'finished'};
}

/** Held-out figures with the averaged weights and, as `raw.*`, with the trained ones; on rank 0 alone. */
async function evaluate({engine, recipe, slots, log}: Loop, step: number): Promise<Record<string, number>> {
  if (engine.group.rank > 0) return {};
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
