import {describe, expect, test} from 'vitest';
import {type ConfigRule, compareConfigs, describeChange, refuseChanges} from '../../checkpoints/index.ts';

const saved = {
  run: {name: 'a'},
  model: {channels: [32, 64], temporal: {window: 8}},
  schedule: {kind: 'linear', betaStart: 0.1},
  data: {train: ['a.tar'], batchSize: 4},
  train: {steps: 100},
};
const rules: ConfigRule[] = [
  {path: 'model.temporal.window', change: 'allowed'},
  {path: 'model.**', change: 'refused', why: 'the weights would not fit'},
  {path: 'data.*', change: 'allowed'},
  {path: 'train.steps', change: 'allowed'},
  {path: 'preview.**', change: 'allowed'},
];

describe('compareConfigs', () => {
  test('equal configurations have no change, whatever the order of their keys', () => {
    const reordered = Object.fromEntries(
      Object.entries({...saved, schedule: {betaStart: 0.1, kind: 'linear'}}).reverse(),
    );
    expect(compareConfigs(saved, reordered, rules)).toEqual({allowed: [], refused: []});
  });

  test('what may change is listed, what may not is refused by its name', () => {
    const now = {
      ...saved,
      model: {channels: [32, 96], temporal: {window: 16}},
      data: {train: ['a.tar', 'b.tar'], batchSize: 8},
      train: {steps: 200},
      preview: {every: 10},
    };
    const comparison = compareConfigs(saved, now, rules);
    expect(comparison.allowed.map(describeChange)).toEqual([
      'model.temporal.window: 8 -> 16',
      'data.train: ["a.tar"] -> ["a.tar","b.tar"]',
      'data.batchSize: 4 -> 8',
      'train.steps: 100 -> 200',
      'preview.every: (absent) -> 10',
    ]);
    expect(comparison.refused).toEqual([
      {path: 'model.channels', saved: [32, 64], now: [32, 96], why: 'the weights would not fit'},
    ]);
    expect(() => refuseChanges(comparison, 'runs/a')).toThrow(
      'runs/a cannot be resumed with another model.channels: [32,64] -> [32,96] (the weights would not fit): restore this field, or train into another run folder.',
    );
  });

  test('a field without a rule may not change; absent and present differ', () => {
    const {schedule: _, ...rest} = saved;
    const gone = compareConfigs(saved, rest, rules).refused.map(change => change.path);
    expect(gone).toEqual(['schedule.kind', 'schedule.betaStart']);
    expect(compareConfigs({a: null}, {a: {b: 1}}, []).refused.length).toBe(1);
    expect(compareConfigs({a: 1}, {a: '1'}, []).refused.length).toBe(1);
    expect(compareConfigs({a: {}}, {a: {}}, []).refused).toEqual([]);
    expect(compareConfigs({}, {constructor: 1}, []).refused.map(describeChange)).toEqual([
      'constructor: (absent) -> 1',
    ]);
    expect(() => refuseChanges({allowed: [], refused: []}, 'runs/a')).not.toThrow();
  });

  test('patterns match whole paths', () => {
    const only = (path: string) => compareConfigs({a: {b: 1}}, {a: {b: 2}}, [{path, change: 'allowed'}]).allowed.length;
    expect(['a.b', 'a.*', 'a.**', '**', '*.b'].map(only)).toEqual([1, 1, 1, 1, 1]);
    expect(['a', '*', 'a.b.*', 'b', 'a.c'].map(only)).toEqual([0, 0, 0, 0, 0]);
  });
});
