// A phase of the training step: its update is that of the mean gradients, to the byte, whatever the shapes of the micro-batches;
// and each shape, micro-step and update is captured once.
import {beforeAll, expect, test} from 'vitest';
import {alone, type Engine, openEngine} from '../../src/engine/index.ts';
import * as tf from '../../src/tf.ts';
import {meanGradients} from '../../trainers/optimizer/accumulate.ts';
import {disposeSlots, makeSlots, type Slot, update, updateOptions} from '../../trainers/optimizer/optimizer.ts';
import {openPhase} from '../../trainers/step/phase.ts';

const config = {
  learningRate: 0.05,
  betas: [0.9, 0.99] as [number, number],
  epsilon: 1e-8,
  weightDecay: 0.01,
  clipNorm: 0.5,
  warmupSteps: 2,
  schedule: 'cosine' as const,
  emaDecay: 0.9,
};
const STEPS = 4;
let engine: Engine;
beforeAll(async () => {
  engine = await openEngine('wasm');
});

type Inputs = {x: tf.Tensor2D};
/** Rows of a micro-batch, of two lengths in turn: two buckets. */
const rowsOf = (step: number, microBatch: number): Inputs => {
  const [rows, columns] = [2 + ((step + microBatch) % 2), 3];
  return {x: tf.tidy(() => tf.sin(tf.reshape(tf.range(step, step + rows * columns), [rows, columns])))};
};

function network() {
  const [w, b] = [
    [3, 4],
    [4, 1],
  ].map(shape => tf.tidy(() => tf.variable(tf.cos(tf.reshape(tf.range(0, shape[0]! * shape[1]!), shape)))));
  const spec = {path: 'w', shape: [], init: {kind: 'zeros'}, layout: 'linear', part: 'spatial'} as const;
  const slots = makeSlots([w!, b!].map(variable => ({spec, variable})));
  const loss = ({x}: Inputs) =>
    tf.mean(tf.square(tf.sub(tf.matMul(tf.tanh(tf.matMul(x, w as tf.Tensor2D)), b as tf.Tensor2D), 1))) as tf.Scalar;
  const dispose = () => {
    disposeSlots(slots);
    tf.dispose([w!, b!]);
  };
  return {slots, loss, dispose};
}

const stateOf = (slots: readonly Slot[]) =>
  slots.flatMap(({variable, m, v, ema}) => [variable, m, v, ema].map(x => [...x.dataSync()]));

test.each([
  [1, 2],
  [3, 5],
])('%i micro-batches a step', async (accumulate, functions) => {
  const before = tf.memory().numTensors;
  const [ours, expected] = [network(), network()];
  let captured = 0;
  const capture: Engine['capture'] = step => {
    captured++;
    return engine.capture(step);
  };
  const spoiled = tf.tidy(() => tf.variable(tf.scalar(0), false));
  const phase = openPhase(
    {valueAndGrads: engine.valueAndGrads, capture, accumulate, group: alone, spoiled},
    ours.slots,
    ours.loss,
  );
  for (let step = 0; step < STEPS; step++) {
    const microBatches = Array.from({length: accumulate}, (_, i) => rowsOf(step, i));
    const options = updateOptions(config, {step, steps: STEPS});
    const figures = phase.run(microBatches, options);
    const variables = expected.slots.map(({variable}) => variable);
    const {loss, gradients} = await meanGradients(engine, variables, microBatches, expected.loss);
    const norm = update(expected.slots, gradients, options);
    const [...losses] = figures.dataSync();
    expect(losses.pop()).toBe(norm.dataSync()[0]);
    expect(losses).toHaveLength(accumulate);
    expect(losses.reduce((sum, each) => sum + each / accumulate, 0)).toBe(loss);
    tf.dispose([figures, gradients, norm, microBatches]);
  }
  expect(stateOf(ours.slots)).toEqual(stateOf(expected.slots));
  expect(captured).toBe(functions);
  phase.dispose();
  spoiled.dispose();
  for (const one of [ours, expected]) one.dispose();
  expect(tf.memory().numTensors).toBe(before);
});
