// A run from its configuration to its end: engine, folder, checkpoint or parent, recipe, loop.
import {existsSync} from 'node:fs';
import path from 'node:path';
import {
  type ConfigComparison,
  compareConfigs,
  describeChange,
  type LoadedState,
  loadCheckpoint,
  loadLatest,
  lockRun,
  openCheckpointer,
  refuseChanges,
} from '../checkpoints/index.ts';
import {type BadSampleReport, batches} from '../datasets/index.ts';
import {type StageConfig, type StageName, stageNames, stageSchemas} from '../src/config/schema.ts';
import {type Engine, openEngine} from '../src/engine/index.ts';
import {UserError} from '../src/platform/user_error.ts';
import * as tf from '../src/tf.ts';
import {badSampleLog, heldOutBatches, trainingData} from './inputs/data.ts';
import {type LoopPlace, runLoop} from './loop.ts';
import {disposeSlots, makeMomentSlots, makeSlots} from './optimizer/optimizer.ts';
import {lineageOf, readFrozen, writeFrozen} from './parents/frozen.ts';
import {freezeParent} from './parents/parent.ts';
import {needFigure, refuseStaleFigures} from './run/keep_best.ts';
import {type LogStyle, openLog, type RunLog} from './run/logging.ts';
import {comparable, resumeRules} from './run/resume_rules.ts';
import {openRunFolder, type RunFolder, runFolderAt} from './run/run_folder.ts';
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
}

export interface TrainResult {
  ended: 'finished' | 'stopped';
  step: number;
  folder: string;
  /** Latest held-out figures, averaged weights. */
  metrics: Record<string, number>;
}

/**
 * Trains the stage that `config` describes, or goes on with the run of its name.
 * @throws UserError for what the user can mend; the last checkpoint stays good whatever happens.
 */
export async function train(config: StageConfig, options: TrainOptions = {}): Promise<TrainResult> {
  refuseStaleFigures(config);
  const run = openRunFolder(config);
  const lock = await lockRun(run.path);
  try {
    const found = await findCheckpoint(run, options.resume);
    if (found) refuseChanges(changesSince(found.state, config), found.path);
    const engine = await openEngine(config.engine.name, {precision: config.engine.precision});
    const log = openLog(run, {
      style: options.logStyle ?? 'auto',
      verbose: options.verbose ?? false,
      steps: config.train.steps,
      firstStep: found?.state.step ?? 0,
      tensorboard: config.log.tensorboard,
    });
    try {
      sayStart(log, engine, run, lock.tookOverFrom, found, config);
      return await trainWith(config, options, {run, engine, log, found});
    } catch (error) {
      log.logger.error(
        {error: error instanceof Error ? error.message : String(error)},
        'the run failed; its last checkpoint is good',
      );
      throw error;
    } finally {
      await log.close();
    }
  } finally {
    await lock.release();
  }
}

type Found = Awaited<ReturnType<typeof findCheckpoint>>;

async function trainWith(
  config: StageConfig,
  options: TrainOptions,
  {run, engine, log, found}: {run: RunFolder; engine: Engine; log: RunLog; found: Found},
): Promise<TrainResult> {
  let frozen = await findFrozen(run, options.resume);
  if (!frozen) {
    frozen = await freezeParent(config);
    if (frozen) await writeFrozen(run.frozen, frozen);
  }
  const dataLog = log.logger.child({part: 'data'});
  const listBadSample = badSampleLog(run.badSamples);
  const onBadSample = (report: BadSampleReport) => {
    if (listBadSample(report)) dataLog.warn(report, 'bad sample left out');
  };
  const heldOut = await heldOutBatches(config, frozen, onBadSample);
  const recipe = await recipeOf({config, frozen, heldOut});
  const slots = makeSlots(recipe.trained);
  const adversarySlots = makeMomentSlots(recipe.adversary?.trained ?? []);
  if (found) restore(found.state, {slots, adversarySlots}, found.path);
  const lineage = lineageOf(frozen);
  const place: LoopPlace = {
    step: found?.state.step ?? 0,
    data: found?.state.data as LoopPlace['data'],
    metrics: {...found?.state.metrics},
  };
  const parameters = recipe.trained.reduce((sum, {variable}) => sum + variable.size, 0);
  log.logger.info({tensors: slots.length, parameters, step: place.step, steps: config.train.steps}, 'training');

  const {every, keepLast, keepEvery, keepBest} = config.checkpoint;
  const checkpointLog = log.logger.child({part: 'checkpoint'});
  const checkpointer = await openCheckpointer({
    folder: run.checkpoints,
    keep: {
      last: keepLast,
      ...(keepEvery === undefined ? {} : {every: keepEvery}),
      ...(keepBest ? {best: keepBest} : {}),
    },
    onWritten: ({name, bytes}) => checkpointLog.info({checkpoint: name, bytes}, 'written'),
  });
  const stop = options.stopOnSignals ? stopOnSignals(log.logger) : neverStop;
  const data = batches(trainingData(config, frozen), {
    seed: config.run.seed,
    ...(place.data === undefined ? {} : {resume: place.data}),
    onBadSample,
    onNote: note => dataLog.warn(note),
  });
  try {
    checkpointer.reserve(stateOf(config, engine, {slots, adversarySlots}, place, lineage));
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
          await checkpointer.save(stateOf(config, engine, {slots, adversarySlots}, now, lineage));
          if (keepBest) needFigure(keepBest.metric, now.metrics);
        },
        preview: async step => {
          const files = (await recipe.preview?.(run.previews, step)) ?? [];
          log.logger.info({files}, 'preview');
          await log.images('preview', step, files);
        },
      },
      place,
    );
    await checkpointer.close();
    log.logger.info({step: ended.step, checkpointEvery: every, numTensors: tf.memory().numTensors}, ended.ended);
    return {ended: ended.ended, step: ended.step, folder: run.path, metrics: ended.metrics};
  } finally {
    await checkpointer.close().catch(() => undefined);
    await data.return(undefined);
    stop.release();
    disposeSlots([...slots, ...adversarySlots]);
    recipe.dispose();
  }
}

/** The latest of the run; or the checkpoint, or the latest of the run folder, that `resume` names. */
async function findCheckpoint(run: RunFolder, resume: string | undefined) {
  if (resume === undefined) return loadLatest(run.checkpoints);
  const other = runFolderAt(resume);
  if (!existsSync(other.checkpoints)) return {path: resume, state: await loadCheckpoint(resume), skipped: []};
  const found = await loadLatest(other.checkpoints);
  if (!found) throw new UserError(`--resume ${resume}: this run has no checkpoint yet.`);
  return found;
}

/** What the run froze, or, where it is resumed from another run's checkpoint, what that one did. */
async function findFrozen(run: RunFolder, resume: string | undefined) {
  const own = await readFrozen(run.frozen);
  if (own || resume === undefined) return own;
  const folder = existsSync(runFolderAt(resume).checkpoints)
    ? resume
    : path.dirname(path.dirname(path.resolve(resume)));
  const frozen = await readFrozen(runFolderAt(folder).frozen);
  if (frozen) await writeFrozen(run.frozen, frozen);
  return frozen;
}

/** What changed between the configuration a checkpoint was written with and today's. */
function changesSince(state: LoadedState, config: StageConfig): ConfigComparison {
  return compareConfigs(comparable(savedConfig(state)), comparable(asJson(config)), resumeRules);
}

/** A checkpoint's configuration with today's default of every option that did not exist when it was written. */
function savedConfig({config, stage}: LoadedState): LoadedState['config'] {
  const schema = stageNames.includes(stage as StageName) ? stageSchemas[stage as StageName] : undefined;
  const parsed = schema?.safeParse(config);
  return parsed?.success ? asJson(parsed.data) : config;
}

function sayStart(
  log: RunLog,
  engine: Engine,
  run: RunFolder,
  tookOverFrom: string | undefined,
  found: Found,
  config: StageConfig,
): void {
  const {logger} = log;
  logger.info(
    {engine: engine.name, device: engine.device, precision: engine.precision, threads: engine.threads, run: run.path},
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
