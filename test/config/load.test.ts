// A configuration's mistakes are named with key, line and the nearest valid key.
import {expect, test} from 'vitest';
import {parseConfig} from '../../src/config/load.ts';
import {editDistance, nearest} from '../../src/config/nearest.ts';
import {UserError} from '../../src/platform/user_error.ts';

const good = `stage: image
run: {name: x}
from: runs/parent
data: {train: [a.tar], heldOut: [b.tar], frames: 1, size: [64, 64], batchSize: 4}
unet: {channels: [32, 64], attention: [false, true], heads: {dim: 32}}
optimizer: {learningRate: 1e-4}
train:
  steps: 10
`;
const refusal = (text: string, overrides: string[] = []): string => {
  try {
    parseConfig(text, 'x.yaml', overrides);
  } catch (error) {
    if (error instanceof UserError) return error.message;
    throw error;
  }
  return 'accepted';
};

test('defaults are filled in, numbers are numbers', () => {
  const config = parseConfig(good, 'x.yaml');
  expect(config.stage).toBe('image');
  expect(config.optimizer.learningRate).toBe(1e-4);
  expect(config.optimizer.betas).toEqual([0.9, 0.999]);
  expect(config.run.root).toBe('runs');
});

test('data may be a mixture of sources and buckets', () => {
  const data = 'train: [a.tar, {shards: [b.tar, c.tar], weight: 3, kind: images, fps: [2, 8]}]';
  const config = parseConfig(good.replace('train: [a.tar]', data), 'x.yaml', ['data.buckets=[{frames: 8}, {}]']);
  expect(config.data.train[1]).toEqual({shards: ['b.tar', 'c.tar'], weight: 3, kind: 'images', fps: [2, 8]});
  expect(config.data.buckets).toEqual([{frames: 8}, {}]);
});

test('overrides replace values by dotted key', () => {
  expect(parseConfig(good, 'x.yaml', ['train.steps=25', 'optimizer.clipNorm=0.5']).train.steps).toBe(25);
  expect(refusal(good, ['train.steps'])).toMatch(/--set train.steps: expected KEY=VALUE/);
  expect(refusal(good, ['train.steps.deep=1'])).toMatch(/train.steps is a single value/);
});

test.each([
  [good.replace('steps:', 'stpes:'), 'x.yaml:8: unknown key "train.stpes": did you mean "steps"?'],
  [good.replace('batchSize: 4', 'batchSize: 0'), 'x.yaml:4: "data.batchSize" is 0'],
  [good.replace('from: runs/parent\n', ''), '"from" is missing'],
  [good.replace('learningRate: 1e-4', 'learningRate: fast'), 'x.yaml:6: "optimizer.learningRate" is "fast"'],
  [good.replace('stage: image', 'stage: imgae'), '"stage" must be one of autoencoder, image, temporal'],
  [good.replace('{name: x}', '{name: ../x}'), 'letters, digits'],
  [good.replace('{name: x}', '{name: x'), 'is not valid YAML'],
  [
    good.replace('train: [a.tar]', 'train: [{shards: a.tar, wieght: 2}]'),
    'x.yaml:4: unknown key "data.train.0.wieght": did you mean "weight"?',
  ],
  [good.replace('train: [a.tar]', 'train: [{shards: a.tar, weight: 0}]'), '"data.train.0.weight" is 0'],
  [good.replace('train: [a.tar]', 'train: [7]'), '"data.train.0" is 7'],
  [good.replace('batchSize: 4', 'batchSize: 4, buckets: [{sise: [8, 8]}]'), 'did you mean "size"?'],
  ['', '"stage" must be one of'],
  ['- 1', '"stage" must be one of'],
])('a mistake is named: %#', (text, expected) => expect(refusal(text)).toContain(expected));

test('nearest words', () => {
  expect(editDistance('steps', 'stpes')).toBe(1);
  expect(nearest('batch_size', ['batchSize', 'frames'])).toBe('batchSize');
  expect(nearest('zzzzzz', ['batchSize', 'frames'])).toBeUndefined();
});
