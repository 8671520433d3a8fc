import '@tensorflow/tfjs-backend-cpu';
import {readFileSync} from 'node:fs';
import {beforeAll, describe, expect, test} from 'vitest';
import {
  type Denoise,
  makeSchedule,
  type Prediction,
  type SamplerName,
  samplers,
  samplingNoise,
  stableDiffusionSchedule,
} from '../../src/diffusion/index.ts';
import * as tf from '../../src/tf.ts';
import {f32} from '../../src/weights/host_tensor.ts';
import {parseSafetensors} from '../../src/weights/safetensors.ts';

beforeAll(() => tf.setBackend('cpu'));

const {tensors, metadata} = parseSafetensors(
  readFileSync(new URL('../golden/open-schedulers.safetensors', import.meta.url)),
  'golden',
);
const golden = (name: string) => f32(tensors.get(`io.${name}`)!);
const schedule = makeSchedule(stableDiffusionSchedule);
const names = ['ddim', 'euler', 'dpmpp_2m'] as const satisfies SamplerName[];
const predictions = ['eps', 'v'] as const satisfies Prediction[];
const everyCase = names.flatMap(name => predictions.map(prediction => [name, prediction] as const));

/** The golden file's model: 0.9 tanh(x) + 0.05 t / 1000. */
const analytic: Denoise = (x, t) =>
  tf.add(tf.mul(tf.tanh(x), 0.9), tf.mul(tf.reshape(tf.cast(t, 'float32'), [-1, 1, 1, 1]), 0.05 / 1000));

describe('equal to the reference implementation', () => {
  const theirs = {ddim: 'ddim', euler: 'euler', dpmpp_2m: 'dpmpp2m', eps: 'epsilon', v: 'v_prediction'} as const;
  test('the golden file holds the model and schedule used here', () => {
    const config = JSON.parse(metadata.config!);
    expect(config.model).toBe('eps(x,t) = 0.9*tanh(x_scaled) + 0.05*t/1000');
    expect(config).toMatchObject({beta_start: 0.00085, beta_end: 0.012, beta_schedule: 'scaled_linear', steps: 8});
    for (const [t, product] of golden('alphas_cumprod').entries()) {
      expect(Math.fround(schedule.alphasCumprod[t]!)).toBe(product);
    }
  });
  test.each(everyCase)('%s, %s', async (name, prediction) => {
    const timesteps: number[] = [];
    const noise = tf.tensor(golden('x_init'), [2, 4, 4, 6]);
    const result = await samplers[name]({
      denoise: analytic,
      schedule,
      prediction,
      noise,
      steps: 8,
      onStep: ({timestep}) => void timesteps.push(timestep),
    });
    const key = `${theirs[name]}.${theirs[prediction]}`;
    expect(timesteps).toEqual([...golden(`${key}.timesteps`)]);
    const wanted = golden(`${key}.final`);
    const errors = (await result.data()).map((value, i) => Math.abs(value - wanted[i]!));
    expect(Math.max(...errors)).toBeLessThan(1e-5);
  });
});

// diffusers 0.30.3 on PyTorch 1.13 with the settings that give the numbers of the other file.
describe('equal to the reference implementation for other step counts', () => {
  const theirs = {ddim: 'ddim', euler: 'euler', dpmpp_2m: 'dpmpp2m', eps: 'epsilon', v: 'v_prediction'} as const;
  const file = parseSafetensors(
    readFileSync(new URL('../golden/schedulers-step-counts.safetensors', import.meta.url)),
    'golden',
  );
  const io = (name: string) => f32(file.tensors.get(`io.${name}`)!);
  const counts = JSON.parse(file.metadata.config!).steps as number[];
  test.each(everyCase)('%s, %s', async (name, prediction) => {
    expect(counts.length).toBeGreaterThan(5);
    for (const steps of counts) {
      const timesteps: number[] = [];
      const result = await samplers[name]({
        denoise: analytic,
        schedule,
        prediction,
        noise: tf.tensor(io('x_init'), [2, 4, 4, 6]),
        steps,
        onStep: ({timestep}) => void timesteps.push(timestep),
      });
      const key = `${theirs[name]}.${theirs[prediction]}.${steps}`;
      expect(timesteps).toEqual([...io(`${key}.timesteps`)]);
      const wanted = io(`${key}.final`);
      // Relative to the largest value: guessed noise of 0.9 tanh makes eps states grow with 1 / alpha.
      const largest = Math.max(1, ...wanted.map(Math.abs));
      const errors = (await result.data()).map((value, i) => Math.abs(value - wanted[i]!) / largest);
      expect(Math.max(...errors), key).toBeLessThan(1e-5);
    }
  });
});

describe('solves the probability-flow ODE', () => {
  // Data N(0, 0.5^2): the exact eps is sigma x / d(t)^2 with d^2 = 0.25 alpha^2 + sigma^2, and the flow scales x by d.
  const deviation = (t: number) => Math.sqrt(0.25 * schedule.alphasCumprod[t]! + schedule.sigmas[t]! ** 2);
  const exact =
    (prediction: Prediction): Denoise =>
    (x, t) => {
      const at = t.dataSync()[0]!;
      const [alpha, sigma] = [schedule.alphas[at]!, schedule.sigmas[at]!];
      const eps = sigma / deviation(at) ** 2;
      // v = alpha eps - sigma x0 with x0 = (x - sigma eps) / alpha.
      return tf.mul(x, prediction === 'eps' ? eps : alpha * eps - (sigma * (1 - sigma * eps)) / alpha);
    };
  const errorOf = async (name: SamplerName, prediction: Prediction, steps: number) => {
    const visited: number[] = [];
    const result = await samplers[name]({
      denoise: exact(prediction),
      schedule,
      prediction,
      noise: tf.ones([1, 1]),
      steps,
      onStep: ({timestep}) => void visited.push(timestep),
    });
    expect(new Set(visited).size).toBe(steps);
    // DDIM ends at timestep 0; Euler and DPM-Solver++ end with one step of first order, which outputs x0(x).
    const last = visited.at(-1)!;
    const lastStep = name === 'dpmpp_2m' ? (schedule.alphas[last]! * 0.25) / deviation(last) ** 2 : 1;
    const end = name === 'ddim' ? deviation(0) : name === 'euler' ? 0.5 : deviation(last);
    return Math.abs((await result.data())[0]! / lastStep / (end / deviation(visited[0]!)) - 1);
  };
  test.each(everyCase)('%s, %s: the error falls with the steps as the method promises', async (name, prediction) => {
    const errors: number[] = [];
    for (const steps of [8, 16, 32, 64, 999]) errors.push(await errorOf(name, prediction, steps));
    if (name === 'dpmpp_2m') {
      // Second order: here under a tenth of the first-order methods' error with as many steps.
      const first = [0.23, 0.13, 0.072, 0.038, 0.0058];
      for (const [i, error] of errors.entries()) expect(error).toBeLessThan(first[i]! / 10);
    } else {
      // First order: doubling the steps halves the error.
      for (let i = 1; i < 4; i++) expect(errors[i - 1]! / errors[i]!).toBeGreaterThan(1.75);
      expect(errors[4]!).toBeLessThan(6e-3);
    }
  });
  test.each(everyCase)('%s, %s: one step and all steps run', async (name, prediction) => {
    expect(await errorOf(name, prediction, 1)).toBeLessThan(1);
    expect(await errorOf(name, prediction, 1000)).toBeLessThan(6e-3);
  });
});

describe('every sampler', () => {
  const inputs = (overrides: object = {}) => ({
    denoise: analytic,
    schedule,
    prediction: 'eps' as const,
    noise: samplingNoise(3, 0, 2, [2, 2, 3]),
    steps: 5,
    ...overrides,
  });
  test.each(names)('%s gives the same bytes again, in any batch, and leaves no tensor behind', async name => {
    const {noise, ...rest} = inputs();
    const second = samplingNoise(3, 1, 1, [2, 2, 3]);
    const before = tf.memory().numTensors;
    const a = await samplers[name]({...rest, noise});
    expect(tf.memory().numTensors).toBe(before + 1);
    const b = await samplers[name]({...rest, noise});
    const alone = await samplers[name]({...rest, noise: second});
    expect(await b.data()).toEqual(await a.data());
    expect(await alone.data()).toEqual((await a.data()).slice(12));
  });
  test.each(names)('%s stops when told, leaving no tensor behind', async name => {
    const control = new AbortController();
    const given = inputs({signal: control.signal, onStep: ({step}: {step: number}) => step === 2 && control.abort()});
    const before = tf.memory().numTensors;
    await expect(samplers[name](given)).rejects.toThrow('aborted');
    expect(tf.memory().numTensors).toBe(before);
    const broken = inputs({denoise: () => tf.ones([3, 3])});
    const after = tf.memory().numTensors;
    await expect(samplers[name](broken)).rejects.toThrow();
    expect(tf.memory().numTensors).toBe(after);
  });
  test.each(names)('%s refuses impossible step counts', async name => {
    for (const steps of [0, 1001, 2.5]) {
      await expect((async () => samplers[name](inputs({steps})))()).rejects.toThrow(
        `1 to 1000 steps (the schedule's), got ${steps}`,
      );
    }
  });
  test.each(names)('%s begins at the last timestep of a schedule without final signal, predicting v', async name => {
    const zero = makeSchedule({...stableDiffusionSchedule, zeroTerminalSnr: true});
    const seen: number[] = [];
    const result = await samplers[name](
      inputs({schedule: zero, prediction: 'v', onStep: ({timestep}: {timestep: number}) => void seen.push(timestep)}),
    );
    expect(seen[0]).toBe(999);
    expect(seen.length).toBe(5);
    for (const value of await result.data()) expect(Math.abs(value)).toBeLessThan(10);
  });
  test.each(names)('%s finds the data of a schedule with several steps that hold no signal', async name => {
    const noisy = makeSchedule({kind: 'linear', betaStart: 0.001, betaEnd: 0.1, zeroTerminalSnr: true});
    // All data is 0.5: eps = (x - alpha 0.5) / sigma, v = alpha eps - sigma 0.5.
    const denoise: Denoise = (x, t) => {
      const at = t.dataSync()[0]!;
      const [alpha, sigma] = [noisy.alphas[at]!, noisy.sigmas[at]!];
      return tf.sub(tf.mul(tf.sub(x, alpha * 0.5), alpha / sigma), sigma * 0.5);
    };
    const result = await samplers[name](inputs({schedule: noisy, prediction: 'v', steps: 6, denoise}));
    // DDIM ends at timestep 0, where a thirtieth of the noise is left.
    for (const value of await result.data()) expect(Math.abs(value - 0.5)).toBeLessThan(name === 'ddim' ? 0.1 : 1e-3);
  });
  test('ddim refuses to begin without signal when eps is predicted', () => {
    const zero = makeSchedule({...stableDiffusionSchedule, zeroTerminalSnr: true});
    return expect((async () => samplers.ddim(inputs({schedule: zero})))()).rejects.toThrow('must predict v');
  });
});
