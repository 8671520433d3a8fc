import {expect, test} from 'vitest';
import {emaDecayAt, learningRateAt} from '../../trainers/optimizer/learning_rate.ts';

const config = {learningRate: 1, warmupSteps: 4, schedule: 'cosine'} as const;

test('linear warm-up reaches the rate, cosine ends near zero', () => {
  const rates = Array.from({length: 20}, (_, step) => learningRateAt(config, step, 20));
  expect(rates.slice(0, 5)).toEqual([0.2, 0.4, 0.6, 0.8, 1]);
  expect(rates.at(12)).toBeCloseTo(0.5, 6);
  expect(rates.at(-1)).toBeLessThan(0.02);
  for (let i = 5; i < 20; i++) expect(rates[i]!).toBeLessThan(rates[i - 1]!);
});

test('a constant schedule stays where the warm-up ended', () => {
  expect(learningRateAt({...config, schedule: 'constant'}, 19, 20)).toBe(1);
});

test('the EMA decay ramps up to its value', () => {
  expect(emaDecayAt(0.999, 0)).toBe(0.1);
  expect(emaDecayAt(0.999, 100)).toBeCloseTo(101 / 110, 12);
  expect(emaDecayAt(0.9, 1e6)).toBe(0.9);
});
