// Small training states whose every value follows from the step, so that a test can tell a whole one from a torn one.
import {expect} from 'vitest';
import type {LoadedState, NamedTensors, StateTensor} from '../../checkpoints/index.ts';
import {normals} from '../../src/random/index.ts';
import type {WeightLayout} from '../../src/weights/layouts.ts';

export function tensor(step: number, stream: number, shape: number[], layout: WeightLayout): StateTensor<Float32Array> {
  const count = shape.reduce((a, b) => a * b, 1);
  return {shape, layout, data: normals({seed: 1, stream, step}, count)};
}

/** A GAN stage's state: two optimisers and a companion. */
export function stateAt(step: number): LoadedState {
  const weights = (stream: number): NamedTensors<Float32Array> =>
    new Map([
      ['conv_in.weight', tensor(step, stream, [3, 3, 4, 8], 'conv2d')],
      ['conv_in.bias', tensor(step, stream + 1, [8], 'vector')],
      ['proj.weight', tensor(step, stream + 2, [8, 6], 'linear')],
      ['text.weight', tensor(step, stream + 3, [5, 8], 'embedding')],
      ['temporal.weight', tensor(step, stream + 4, [3, 1, 1, 8, 8], 'conv3d')],
      ['mix_factor', tensor(step, stream + 5, [], 'scalar')],
    ]);
  const slots = (stream: number) =>
    new Map([...weights(stream)].map(([name, value]) => [`m.${name}`, value] satisfies [string, unknown]));
  return {
    stage: 'decoder',
    step,
    weights: weights(100),
    ema: weights(200),
    companions: {discriminator: weights(300)},
    optimizers: {generator: slots(400), discriminator: slots(500)},
    data: {epoch: 1, position: step * 4},
    metrics: {loss: 1 / (step + 1), nothing: Number.NaN, best: Number.POSITIVE_INFINITY},
    config: {model: {channels: [8, 16]}, train: {steps: 100}},
    engine: {name: 'cpu', threads: 2},
  };
}

/** Sorted, so that the order of names in files does not matter. */
export function comparable(state: LoadedState): unknown {
  const sorted = (tensors: NamedTensors<Float32Array> | undefined) =>
    [...(tensors ?? [])].sort(([a], [b]) => (a < b ? -1 : 1));
  const groups = (named: Readonly<Record<string, NamedTensors<Float32Array>>> | undefined) =>
    Object.fromEntries(Object.entries(named ?? {}).map(([name, tensors]) => [name, sorted(tensors)]));
  return {
    ...state,
    weights: sorted(state.weights),
    ema: sorted(state.ema),
    companions: groups(state.companions),
    optimizers: groups(state.optimizers),
  };
}

export function expectState(loaded: LoadedState | undefined, step: number): void {
  expect(loaded && comparable(loaded)).toEqual(comparable(stateAt(step)));
}
