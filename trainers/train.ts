import {
  type Checkpointer,
  describeChange,
  loadCheckpoint,
  lockRun,
  openCheckpointer,
  refuseChanges,
} from '../checkpoints/index.ts';
import {type BadSampleReport, batches} from '../datasets/index.ts';
import type {StageConfig} from '../src/config/schema.ts';
import {type Engine, type GroupPlace, openEngine} from '../src/engine/index.ts';
import * as tf from '../src/tf.ts';
import {badSampleLog, heldOutBatches, trainingData} from './inputs/data.ts';
import {type LoopPlace, runLoop} from './loop.ts';
import {disposeSlots, makeMomentSlots, makeSlots} from './optimizer/optimizer.ts';
import {lineageOf} from './parents/frozen.ts';
import {frozenOfRun} from './parents/frozen_of_run.ts';
import {fromRankZero, positionOfRank, positionsOfRanks, refuseDisagreement} from './ranks/agree.ts';
import {changesSince, type FoundCheckpoint, findCheckpoint} from './run/found_checkpoint.ts';
import {needFigure, refuseStaleFigures} from './run/keep_best.ts';
import {type LogStyle, openLog, openRankLog, type RunLog} from './run/logging.ts';
import {folderOf, openRunFolder, type RunFolder, runFolderAt} from './run/run_folder.ts';
import {neverStop, stopOnSignals} from './run/stop_request.ts';
import {asJson, restore, stateOf} from './run/train_state.ts';
import {recipeOf} from './stages.ts';

export interface TrainOptions {
  /** Start from this checkpoint (or the latest of this run folder) instead of the run's own latest. */
  resume?: string | undefined;
  /** SIGINT and SIGTERM end the run after a checkpoint. */
  stopOnSignals?: boolean;
  logStyle?: LogStyle;
  verbose?: boolean;
  /** Where this process stands among those that train the run together; undefined where it trains alone. */
  place?: GroupPlace | undefined;
}

export interface TrainResult {
  ended: 'finished' | 'stopped';
  step: number;
  folder: string;
  /** Latest held-out figures, averaged weights. */
  metrics: Record<string, number>;
}

/**
 * Trains the stage that `config` describes, or goes on with the run of its name. Of several ranks each calls this, and sees the
 * same run folder; rank 0 alone writes there, but for the others' own logs.
 * @throws UserError for what the user can mend; the last checkpoint stays good whatever happens.
 */
export async function train(config: StageConfig, options: TrainOptions = {}): Promise<TrainResult> {
  refuseStaleFigures(config);
  return (options.place?.rank ?? 0) === 0 ? trainAsRankZero(config, options) : trainBeside(config, options);
}

async function trainAsRankZero(config: StageConfig, options: TrainOptions): Promise<TrainResult> {
  const run = openRunFolder(config);
  const lock = await lockRun(run.path);
  try {
    const found = await findCheckpoint(run, options.resume);
    if (found) refuseChanges(changesSince(found.state, config), found.path);
    const engine = await join(config, options);
    await fromRankZero(engine.group, () => found?.path ?? '');
    const log = openLog(run, {
      style: options.logStyle ?? 'auto',
      verbose: options.verbose ?? false,
      steps: config.train.steps,
      firstStep: found?.state.step ?? 0,
      tensorboard: config.log.tensorboard,
    });
    return await logged(log, async () => {
      sayStart(log, engine, run, lock.tookOverFrom, found, config);
      return trainWith(config, options, {run, engine, log, found});
    });
  } finally {
    await lock.release();
  }
}

/** Starts from what rank 0 found. */
async function trainBeside(config: StageConfig, options: TrainOptions): Promise<TrainResult> {
  const engine = await join(config, options);
  const {rank} = engine.group;
  const checkpoint = await fromRankZero(engine.group, () => '');
  const found =
    checkpoint === '' ? undefined : {path: checkpoint, state: await loadCheckpoint(checkpoint), skipped: []};
  const run = runFolderAt(folderOf(config), rank);
  const log = openRankLog(run.log, rank, options.verbose ?? false);
  return logged(log, () => trainWith(config, options, {run, engine, log, found}));
}

/** Opens the engine, and with it the group of those that train the same. */
async function join(config: StageConfig, {place}: TrainOptions): Promise<Engine> {
  const engine = await openEngine(config.engine.name, {
    precision: config.engine.precision,
    ...(place === undefined ? {} : {place}),
  });
  const {accumulate} = config.train;
  await refuseDisagreement(engine.group, {config: asJson(config), engine, accumulate});
  return engine;
}

async function logged(log: RunLog, work: () => Promise<TrainResult>): Promise<TrainResult> {
  try {
    return await work();
  } catch (error) {
    log.logger.error(
      {error: error instanceof Error ? error.message : String(error)},
      'the run failed; its last checkpoint is good',
    );
    throw error;
  } finally {
    await log.close();
  }
}

async function trainWith(
  config: StageConfig,
  options: TrainOptions,
  {run, engine, log, found}: {run: RunFolder; engine: Engine; log: RunLog; found: FoundCheckpoint},
): Promise<TrainResult> {
  const {group} = engine;
  const frozen = await frozenOfRun(config, run, options.resume, group);
  const dataLog = log.logger.child({part: 'data'});
  const listBadSample = badSampleLog(run.badSamples);
  const onBadSample = (report: BadSampleReport) => {
    if (listBadSample(report)) dataLog.warn(report, 'bad sample left out');
  };
  const heldOut = group.rank === 0 ? await heldOutBatches(config, frozen, onBadSample) : [];
  const recipe = await recipeOf({config, frozen, heldOut});
  const slots = makeSlots(recipe.trained);
  const adversarySlots = makeMomentSlots(recipe.adversary?.trained ?? []);
  if (found) restore(found.state, {slots, adversarySlots}, found.path);
  group.broadcast(
    [...slots, ...adversarySlots].flatMap(({variable, m, v, ...rest}) => [
      variable,
      m,
      v,
      ...('ema' in rest ? [rest.ema as tf.Tensor] : []),
    ]),
  );
  const lineage = lineageOf(frozen);
  const place: LoopPlace = {
    step: found?.state.step ?? 0,
    data: found && positionOfRank(found.state.data, group),
    metrics: {...found?.state.metrics},
  };
  const parameters = recipe.trained.reduce((sum, {variable}) => sum + variable.size, 0);
  log.logger.info({tensors: slots.length, parameters, step: place.step, steps: config.train.steps}, 'training');

  const {every, keepBest} = config.checkpoint;
  const checkpointer = group.rank === 0 ? await checkpointerOf(config, run, log) : undefined;
  const stop = options.stopOnSignals ? stopOnSignals(log.logger) : neverStop;
  const data = batches(trainingData(config, frozen), {
    seed: config.run.seed,
    rank: group.rank,
    worldSize: group.worldSize,
    ...(place.data === undefined ? {} : {resume: place.data}),
    onBadSample,
    onNote: note => dataLog.warn(note),
  });
  try {
    checkpointer?.reserve(stateOf(config, engine, {slots, adversarySlots}, place, lineage));
    const ended = await runLoop(
      {
        config,
        engine,
        recipe,
        slots,
        adversarySlots,
        data,
        log,
        stop,
        save: async now => {
          const data = await positionsOfRanks(group, now.data);
          await checkpointer?.save({...stateOf(config, engine, {slots, adversarySlots}, now, lineage), data});
          if (keepBest && checkpointer) needFigure(keepBest.metric, now.metrics);
        },
        preview: async step => {
          const files = (await recipe.preview?.(run.previews, step)) ?? [];
          log.logger.info({files}, 'preview');
          await log.images('preview', step, files);
        },
      },
      place,
    );
    await checkpointer?.close();
    await group.close();
    log.logger.info({step: ended.step, checkpointEvery: every, numTensors: tf.memory().numTensors}, ended.ended);
    return {ended: ended.ended, step: ended.step, folder: run.path, metrics: ended.metrics};
  } finally {
    await checkpointer?.close().catch(() => undefined);
    await data.return(undefined);
    stop.release();
    disposeSlots([...slots, ...adversarySlots]);
    recipe.dispose();
  }
}

function checkpointerOf(config: StageConfig, run: RunFolder, log: RunLog): Promise<Checkpointer> {
  const {keepLast, keepEvery, keepBest} = config.checkpoint;
  const checkpointLog = log.logger.child({part: 'checkpoint'});
  return openCheckpointer({
    folder: run.checkpoints,
    keep: {
      last: keepLast,
      ...(keepEvery === undefined ? {} : {every: keepEvery}),
      ...(keepBest ? {best: keepBest} : {}),
    },
    onWritten: ({name, bytes}) => checkpointLog.info({checkpoint: name, bytes}, 'written'),
  });
}

function sayStart(
  log: RunLog,
  engine: Engine,
  run: RunFolder,
  tookOverFrom: string | undefined,
  found: FoundCheckpoint,
  config: StageConfig,
): void {
  const {logger} = log;
  logger.info(
    {
      engine: engine.name,
      device: engine.device,
      precision: engine.precision,
      threads: engine.threads,
      ...(engine.group.worldSize === 1 ? {} : {ranks: engine.group.worldSize}),
      run: run.path,
    },
    'engine',
  );
  for (const {engine: name, why} of engine.passedOver) logger.info({engine: name, why}, 'passed over');
  if (tookOverFrom) logger.warn({holder: tookOverFrom}, 'took over the lock of a process that is gone');
  if (!found) return;
  for (const {name, reason} of found.skipped) logger.warn({checkpoint: name, reason}, 'checkpoint skipped');
  logger.info({checkpoint: found.path, step: found.state.step}, 'resuming');
  for (const change of changesSince(found.state, config).allowed) {
    logger.info({change: describeChange(change)}, 'configuration changed');
  }
  for (const [key, now] of Object.entries(engine.describe())) {
    const saved = found.state.engine[key];
    if (saved !== now) logger.warn({key, saved, now}, 'another engine or machine: the bytes of the run may differ');
  }
}
