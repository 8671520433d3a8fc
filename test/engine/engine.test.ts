// The engine interface on cpu and wasm: choice, gradients equal to TensorFlow.js's own, updates in place, nothing leaked, the
// same bytes from the same inputs.
import {spawnSync} from 'node:child_process';
import {mkdirSync, rmSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {beforeAll, describe, expect, test} from 'vitest';
import {alone} from '../../src/engine/group.ts';
import {type Engine, type EngineName, engineTable, openEngine} from '../../src/engine/index.ts';
import * as ops from '../../src/ops/index.ts';
import {UserError} from '../../src/platform/user_error.ts';
import {normals} from '../../src/random/index.ts';
import * as tf from '../../src/tf.ts';
import {difference, randomTensor, values} from '../ops/support.ts';

// First in this file: the module is loaded once per process.
test('opening wasm leaves no listener for uncaught errors behind', async () => {
  const before = ['uncaughtException', 'unhandledRejection'].map(event => process.listenerCount(event));
  await openEngine('wasm');
  expect(['uncaughtException', 'unhandledRejection'].map(event => process.listenerCount(event))).toEqual(before);
});

test('auto says why it passed over the engines before the one it took', async () => {
  const engine = await openEngine('auto', {precision: 'fp32'});
  const order = ['torch', 'node-gpu', 'wasm', 'cpu'];
  expect(engine.passedOver.map(({engine}) => engine)).toEqual(order.slice(0, order.indexOf(engine.name)));
  for (const {why} of engine.passedOver) expect(why).toMatch(/not available|did not load/);
  expect(engine.describe()).toMatchObject({engine: engine.name, threads: engine.threads});
});

test('auto passes over a torch build from other sources, and says what to run', () => {
  const build = path.join('packages', 'tfjs-backend-torch', 'build', `stale-auto-${process.pid}`);
  mkdirSync(build, {recursive: true});
  try {
    writeFileSync(path.join(build, 'tfjs_torch.node'), '');
    writeFileSync(path.join(build, 'build.json'), '{"version": "0.0.1", "device": "cpu", "sources": "other"}');
    const program = `const {openEngine} = await import('./src/engine/index.ts');
      console.log(JSON.stringify((await openEngine('auto')).passedOver));`;
    const {stdout} = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
      env: {...process.env, TFJS_TORCH_BUILD: path.basename(build)},
      encoding: 'utf8',
    });
    const [{engine, why}] = JSON.parse(stdout.split('\n').find(line => line.startsWith('['))!);
    expect([engine, why]).toEqual([
      'torch',
      expect.stringMatching(/built from other sources: run "npm run build:torch"/),
    ]);
  } finally {
    rmSync(build, {recursive: true, force: true});
  }
});

test('wasm refuses bf16 with a sentence', async () => {
  await expect(openEngine('wasm', {precision: 'bf16'})).rejects.toThrow(UserError);
});

test('engines other than torch train in one process: with a place among several they refuse, and auto says so', async () => {
  const place = {rank: 0, worldSize: 2, localRank: 0, localWorldSize: 2, address: '127.0.0.1', port: 1};
  const refusal = 'The wasm engine trains in one process: a group of 2 needs the torch engine.';
  await expect(openEngine('wasm', {place})).rejects.toThrow(refusal);
  await expect(openEngine('auto', {place: {...place, rank: 7}})).rejects.toThrow(refusal);
  expect((await openEngine('wasm', {place: {...place, worldSize: 1}})).group).toBe(alone);
});

test('the table has a row for each engine, and a reason where one is not available', async () => {
  const table = await engineTable();
  expect(table.map(row => row.engine)).toEqual(['torch', 'node-gpu', 'wasm', 'cpu']);
  expect(table.find(row => row.engine === 'wasm')?.available).toBe(true);
  for (const row of table.filter(row => !row.available)) expect([row.why, row.install]).not.toContain(undefined);
});

/** A small network over video with every kind of weight; sizes are no multiples of four where they can be otherwise. */
function network() {
  const shapes = {
    conv: [3, 3, 3, 8],
    gamma: [8],
    beta: [8],
    temporal: [3, 1, 1, 8, 8],
    mix: [1],
    linear: [8, 5],
    bias: [5],
  };
  const variables = Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [name, tf.variable(randomTensor(shape, 0.3))]),
  ) as Record<keyof typeof shapes, tf.Variable>;
  const x = randomTensor([6, 5, 7, 3]);
  const target = randomTensor([6, 5, 7, 5]);
  const loss = () => {
    const h = ops.groupNorm(ops.conv2d(x, variables.conv), variables.gamma, variables.beta, {
      groups: 2,
      epsilon: 1e-5,
      silu: true,
    });
    const clips = tf.reshape(h, [2, 3, 5, 7, 8]);
    const mixed = ops.alphaMix(clips, ops.temporalConv(clips, variables.temporal), variables.mix);
    const y = ops.linear(tf.reshape(mixed, [6, 5, 7, 8]), variables.linear, variables.bias);
    return tf.mean(tf.squaredDifference(y, target)) as tf.Scalar;
  };
  return {variables, list: Object.values(variables), loss, x, target};
}

describe.each<EngineName>(['cpu', 'wasm'])('%s', name => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await openEngine(name);
  });

  test('valueAndGrads gives the bytes of tf.variableGrads, for all variables and for some', () => {
    const {variables, list, loss} = network();
    const wanted = tf.variableGrads(loss, list);
    for (const chosen of [list, [variables.temporal, variables.mix], [variables.conv]]) {
      const {value, grads} = engine.valueAndGrads(loss, chosen);
      expect(values(value)).toEqual(values(wanted.value));
      for (const [i, variable] of chosen.entries()) {
        expect(values(grads[i]!)).toEqual(values(wanted.grads[variable.name]!));
      }
    }
  });

  test('a variable the loss does not depend on has a gradient of zeros', () => {
    const {list, loss} = network();
    const other = tf.variable(randomTensor([3]));
    expect(values(engine.valueAndGrads(loss, [...list, other]).grads.at(-1)!)).toEqual([0, 0, 0]);
    expect(() => engine.valueAndGrads(loss, [other])).toThrow(/does not depend/);
    expect(tf.engine().state.gradientDepth).toBe(0);
  });

  test('frozen weights save nothing: fewer tensors are alive at the end of the loss', () => {
    const {variables, list, loss} = network();
    const alive = (chosen: tf.Variable[]) => {
      let count = 0;
      const {value, grads} = engine.valueAndGrads(() => {
        const value = loss();
        count = tf.memory().numTensors;
        return value;
      }, chosen);
      tf.dispose([value, grads]);
      return count;
    };
    expect(alive([variables.bias])).toBeLessThan(alive(list));
  });

  test('operations that a gradient knows by shape alone hold nothing: residual sums, joins, reshapes', () => {
    const variable = tf.variable(tf.ones([64, 8]));
    const heldAfter = (operation: (x: tf.Tensor) => tf.Tensor) => {
      let bytes = 0;
      const {value, grads} = engine.valueAndGrads(() => {
        const scaled = tf.mul(variable, 2);
        const before = tf.memory().numBytes;
        const y = tf.tidy(() => operation(tf.add(scaled, 1)));
        bytes = tf.memory().numBytes - before - 4 * y.size;
        return tf.sum(y) as tf.Scalar;
      }, [variable]);
      expect(tf.unique(tf.reshape(grads[0]!, [-1])).values.size).toBe(1);
      tf.dispose([value, ...grads]);
      return bytes;
    };
    expect(heldAfter(x => tf.add(tf.add(x, x), tf.sub(x, 1)))).toBe(0);
    expect(heldAfter(x => tf.concat([tf.reshape(x, [8, 64]), tf.reshape(x, [8, 64])]))).toBe(0);
    expect(heldAfter(x => tf.mean(tf.expandDims(x), 0))).toBe(0);
    expect(heldAfter(x => tf.square(x))).toBeGreaterThan(0);
    variable.dispose();
  });

  test('adamWStep follows the formula, keeps parameters under a norm that is not finite, leaks nothing', () => {
    const shapes = [[5, 3], [8], [1]];
    const host = shapes.map(shape => normals({seed: 1, stream: 1000, step: 99}, tf.util.sizeFromShape(shape)));
    const variables = shapes.map((shape, i) => tf.variable(tf.tensor(host[i]!, shape)));
    const zeros = () => shapes.map(shape => tf.variable(tf.zeros(shape)));
    const [m, v, ema] = [zeros(), zeros(), shapes.map((shape, i) => tf.variable(tf.tensor(host[i]!, shape)))];
    const options = {
      learningRate: 0.1,
      beta1: 0.9,
      beta2: 0.99,
      epsilon: 1e-8,
      weightDecay: 0.1,
      clipNorm: 1,
      emaDecay: 0.9,
    };
    const state = shapes.map((_, i) => ({
      w: Array.from(host[i]!),
      m: host[i]!.map(() => 0),
      v: host[i]!.map(() => 0),
      e: Array.from(host[i]!),
    }));
    let tensors = 0;
    for (let step = 1; step <= 3; step++) {
      const gradients = shapes.map((shape, i) =>
        tf.tensor(
          host[i]!.map(x => x * step + 0.5),
          shape,
        ),
      );
      const slots = variables.map((variable, i) => ({
        variable,
        gradient: gradients[i]!,
        m: m[i]!,
        v: v[i]!,
        ema: ema[i]!,
        decay: i !== 1,
      }));
      const before = tf.memory().numTensors;
      const norm = ops.adamWStep(slots, {...options, step, gradScale: 0.5});
      const length = Math.sqrt(gradients.flatMap(values).reduce((sum, g) => sum + (g * 0.5) ** 2, 0));
      expect(norm.dataSync()[0]).toBeCloseTo(length, 4);
      norm.dispose();
      tensors = tf.memory().numTensors - before;
      for (const [i, s] of state.entries()) {
        for (const [j, g0] of values(gradients[i]!).entries()) {
          const g = (g0 * 0.5) / Math.max(1, length + 1e-6);
          s.m[j] = 0.9 * s.m[j]! + 0.1 * g;
          s.v[j] = 0.99 * s.v[j]! + 0.01 * g * g;
          const move = (0.1 * s.m[j]!) / (1 - 0.9 ** step) / (Math.sqrt(s.v[j]! / (1 - 0.99 ** step)) + 1e-8);
          s.w[j] = s.w[j]! * (i === 1 ? 1 : 0.99) - move;
          s.e[j] = 0.9 * s.e[j]! + 0.1 * s.w[j]!;
        }
      }
      expect(tensors).toBe(0);
      gradients.forEach(gradient => {
        gradient.dispose();
      });
    }
    for (const [i, s] of state.entries()) {
      expect(difference(variables[i]!, tf.tensor(s.w, shapes[i]!))).toBeLessThan(1e-5);
      expect(difference(ema[i]!, tf.tensor(s.e, shapes[i]!))).toBeLessThan(1e-5);
    }
    const before = variables.map(values);
    const bad = variables.map((variable, i) => ({
      variable,
      gradient: tf.fill(shapes[i]!, Number.NaN),
      m: m[i]!,
      v: v[i]!,
      ema: ema[i]!,
    }));
    expect(ops.adamWStep(bad, {...options, step: 4}).dataSync()[0]).toBeNaN();
    expect(variables.map(values)).toEqual(before);
  });

  test('training lowers the loss, uses the updated weights and leaks nothing', () => {
    const {list, loss} = network();
    const start = list.map((variable, i) => {
      const fixed = normals({seed: 5, stream: 1000, step: i}, variable.size);
      variable.assign(
        tf.tensor(
          fixed.map(x => 0.3 * x),
          variable.shape,
        ),
      );
      return {variable, m: tf.variable(tf.zerosLike(variable)), v: tf.variable(tf.zerosLike(variable))};
    });
    const options = {learningRate: 0.02, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0};
    const losses: number[] = [];
    const tensors: number[] = [];
    for (let step = 1; step <= 20; step++) {
      const {value, grads} = engine.valueAndGrads(loss, list);
      const norm = ops.adamWStep(
        start.map((slot, i) => ({...slot, gradient: grads[i]!})),
        {...options, step},
      );
      losses.push(value.dataSync()[0]!);
      tf.dispose([value, grads, norm]);
      tensors.push(tf.memory().numTensors);
    }
    // A fresh copy of the weights must give the loss that the variables themselves give: no stale packed filter.
    const direct = loss().dataSync()[0]!;
    for (const variable of list) variable.assign(tf.tensor(variable.dataSync().slice(), variable.shape));
    expect(loss().dataSync()[0]).toBe(direct);
    expect(losses.at(-1)).toBeLessThan(losses[0]!);
    expect(tensors.at(-1)).toBe(tensors[4]);
  });

  test('equal inputs give equal bytes', () => {
    const {list, loss} = network();
    const [first, second] = [engine.valueAndGrads(loss, list), engine.valueAndGrads(loss, list)];
    expect(values(first.value)).toEqual(values(second.value));
    expect(first.grads.map(values)).toEqual(second.grads.map(values));
  });

  test('philoxNormal and framesToPixels give the host’s numbers', () => {
    const at = {seed: 3, stream: 'noise', step: 4, offset: 5} as const;
    expect(values(ops.philoxNormal([2, 3], at))).toEqual(Array.from(normals(at, 6)));
    expect(values(ops.framesToPixels(Uint8Array.of(0, 255, 51), [3]))).toEqual([-1, 1, Math.fround(51 / 127.5 - 1)]);
    expect(() => ops.framesToPixels(new Uint8Array(2), [3])).toThrow(/2 bytes/);
  });
});

test('wasm: unsortedSegmentSum and a gradient of gather', async () => {
  await openEngine('wasm');
  const table = tf.tensor2d([[1, 2, 3], [4, 5, 6]]); // biome-ignore format: a row a line says no more
  const gradient = tf.grad((x: tf.Tensor) => tf.sum(tf.gather(x, tf.tensor1d([1, 0, 1], 'int32'))))(table);
  expect(values(gradient)).toEqual([1, 1, 1, 2, 2, 2]);
  const sums = tf.unsortedSegmentSum(table, tf.tensor1d([2, 5], 'int32'), 3);
  expect(values(sums)).toEqual([0, 0, 0, 0, 0, 0, 1, 2, 3]);
});
