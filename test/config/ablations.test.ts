// An ablation is its pipeline stage with what it ablates changed, and nothing else: as many steps on the same clips with the same
// optimiser and target.
import {readFileSync} from 'node:fs';
import path from 'node:path';
import {expect, test} from 'vitest';
import {parse} from 'yaml';

const configs = path.resolve(import.meta.dirname, '../../configs');
type Tree = {readonly [key: string]: Tree | unknown};
const read = (name: string) => parse(readFileSync(path.join(configs, `${name}.yaml`), 'utf8')) as Tree;
const isTree = (value: unknown): value is Tree => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Dotted keys in which two configurations differ, but for where the run lies and how often it is looked at. */
function differences(one: Tree, other: Tree, at = ''): string[] {
  return [...new Set([...Object.keys(one), ...Object.keys(other)])].sort().flatMap(key => {
    const name = `${at}${key}`;
    if (['run', 'checkpoint', 'heldOut'].includes(name)) return [];
    const [a, b] = [one[key], other[key]];
    if (isTree(a) && isTree(b)) return differences(a, b, `${name}.`);
    return JSON.stringify(a) === JSON.stringify(b) ? [] : [name];
  });
}

test.each([
  ['attention-only', 'temporal', ['temporal']],
  [
    'no-image-pretraining',
    'temporal',
    ['diffusion', 'from', 'optimizer.learningRate', 'train.steps', 'trains', 'unet'],
  ],
  ['pixel-image', 'image', ['data.size', 'from', 'unet.inChannels', 'unet.outChannels']],
  ['pixel-baseline', 'temporal', ['data.size', 'from']],
  ['decoder-image-only', 'decoder', ['overTime']],
  ['upsampler-image-only', 'controls/upsampler', []],
])('%s is %s but for what it ablates', (ablation, stage, changed) => {
  expect(differences(read(`ablations/${ablation}`), read(`pipeline/${stage}`))).toEqual(changed);
});

test('without image pre-training, UNet, target and optimiser are the image stage’s, and the steps those of both stages', () => {
  const [own, image, temporal] = ['ablations/no-image-pretraining', 'pipeline/image', 'pipeline/temporal'].map(read);
  for (const key of ['unet', 'diffusion', 'optimizer']) expect(own![key]).toEqual(image![key]);
  const steps = ({train}: Tree) => (train as {steps: number}).steps;
  expect(steps(own!)).toBe(steps(image!) + steps(temporal!));
});
