// The ablations of the paper at tiny size, on the runs of `npm run pipeline:tiny`: trains what is not there yet and prints the
// figures, whatever they say. Held-out noise-prediction losses compare models of one space; pixel space has its own.
// Usage: npx tsx scripts/ablations.ts [--engine torch] [--only attention-only,pixel-baseline]
import {existsSync} from 'node:fs';
import path from 'node:path';
import {parseArgs} from 'node:util';
import {openEngine} from '../src/engine/index.ts';
import {table} from '../src/platform/table.ts';
import {type FlickerFigures, upsampledFigures} from './flicker_runs.ts';
import {figure, heldOut, step} from './stage_runs.ts';

const {values} = parseArgs({options: {engine: {type: 'string', default: 'auto'}, only: {type: 'string'}}});
const pipeline = path.join('runs', 'pipeline');
const ablations = path.join('runs', 'ablations');
const wanted = values.only?.split(',');
const isWanted = (name: string) => wanted?.includes(name) ?? true;

process.chdir(path.dirname(import.meta.dirname));
for (const stage of ['temporal', 'decoder', 'upsampler']) {
  if (!existsSync(path.join(pipeline, stage, 'checkpoints')))
    throw new Error(`${path.join(pipeline, stage)} is missing: run "npm run pipeline:tiny" first.`);
}

const losses = [lossesOf('ours', pipeline, 'temporal')];
for (const name of ['attention-only', 'no-image-pretraining', 'pixel-baseline'].filter(isWanted)) {
  if (name === 'pixel-baseline') train('pixel-image');
  train(name);
  losses.push(lossesOf(name, ablations, name));
}
console.log(
  `\n${table(['held-out loss of the video model', 'loss', 'alpha = 1', 'frames shuffled', 'steps'], losses)}`,
);

const flickers: string[][] = [];
if (isWanted('decoder-image-only')) {
  train('decoder-image-only');
  flickers.push(flickerOf('decoder', decoderFigures(path.join(pipeline, 'decoder'))));
  flickers.push(flickerOf('decoder, image only', decoderFigures(path.join(ablations, 'decoder-image-only'))));
}
if (isWanted('upsampler-image-only')) {
  train('upsampler-image-only');
  await openEngine('auto');
  flickers.push(flickerOf('upsampler', await upsampledFigures(path.join(pipeline, 'upsampler'), 'video')));
  const alone = await upsampledFigures(path.join(ablations, 'upsampler-image-only'), 'image');
  flickers.push(flickerOf('upsampler, image only', alone));
}
if (flickers.length > 0) console.log(`\n${table(['', 'flicker', 'spatial error'], flickers)}`);

function train(name: string): void {
  step(name, [
    'train',
    path.join('configs', 'ablations', `${name}.yaml`),
    '--log',
    'pretty',
    '--engine',
    values.engine,
  ]);
}

function lossesOf(label: string, root: string, name: string): string[] {
  const {last, steps} = heldOut(path.join(root, name));
  return [label, ...['loss', 'lossAlphaOne', 'lossShuffled'].map(key => figure(last, key)), String(steps)];
}

function decoderFigures(run: string): FlickerFigures {
  const {last} = heldOut(run);
  return {flicker: last.flicker ?? Number.NaN, error: last.loss ?? Number.NaN};
}

function flickerOf(label: string, {flicker, error}: FlickerFigures): string[] {
  return [label, flicker.toFixed(5), error.toFixed(5)];
}
