// Do layers over time in the decoder and the upsampler lower flicker? On the runs of a pipeline: trains each stage and its
// control (the same network, equally long, without layers over time) for several seeds and prints flicker and spatial error
// of the held-out clips beside each other. Exit code 1 where a bound is missed.
// Usage: tsx scripts/measure_flicker.ts [--root runs/pipeline] [--configs configs/pipeline] [--seeds 1,2,3]
//        [--stages decoder,upsampler] [--engine auto] [train arguments]
import {parseArgs} from 'node:util';
import {type EngineName, engineNames} from '../src/engine/index.ts';
import {table} from '../src/platform/table.ts';
import {bounds, changes, compareFlicker, type FlickerComparison, type FlickerStage} from './flicker_runs.ts';

const {values, positionals} = parseArgs({
  options: {
    root: {type: 'string', default: 'runs/pipeline'},
    configs: {type: 'string', default: 'configs/pipeline'},
    seeds: {type: 'string', default: '1,2,3'},
    stages: {type: 'string', default: 'decoder,upsampler'},
    engine: {type: 'string', default: 'auto'},
  },
  allowPositionals: true,
});
const {root, configs} = values;
const engine = (['auto', ...engineNames] as const).find(name => name === values.engine);
if (!engine) throw new Error(`--engine must be auto or one of ${engineNames.join(', ')}.`);

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
const rows: string[][] = [];
let reached = true;
for (const stage of stagesOf(values.stages)) {
  const found: FlickerComparison[] = [];
  for (const seed of values.seeds.split(',').map(Number)) {
    const passedOn = positionals.flatMap(set => ['--set', set]);
    const options = {root, configs, engine: engine as EngineName | 'auto', seed, passedOn};
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
