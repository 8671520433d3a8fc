import '@tensorflow/tfjs-backend-cpu';
import {readFileSync} from 'node:fs';
import {beforeAll, describe, expect, test} from 'vitest';
import {
  addNoise,
  classifierFree,
  type Denoise,
  diffusionLoss,
  diffusionLosses,
  lossWeights,
  makeSchedule,
  noiseTensor,
  offsetNoise,
  predictionTarget,
  snr,
  stableDiffusionSchedule,
} from '../../src/diffusion/index.ts';
import {normals} from '../../src/random/index.ts';
import * as tf from '../../src/tf.ts';
import {f32} from '../../src/weights/host_tensor.ts';
import {parseSafetensors} from '../../src/weights/safetensors.ts';

beforeAll(() => tf.setBackend('cpu'));

const {tensors} = parseSafetensors(
  readFileSync(new URL('../golden/open-schedulers.safetensors', import.meta.url)),
  'golden',
);
const golden = (name: string) => f32(tensors.get(`io.${name}`)!);
const schedule = makeSchedule(stableDiffusionSchedule);
const difference = async (a: tf.Tensor, b: ArrayLike<number>) =>
  Math.max(...(await a.data()).map((v, i) => Math.abs(v - b[i]!)));

describe('schedule', () => {
  test('linear and scaled_linear by their definitions', () => {
    const linear = makeSchedule({kind: 'linear', betaStart: 1e-4, betaEnd: 0.02, steps: 3});
    expect(linear.alphasCumprod[2]).toBeCloseTo((1 - 1e-4) * (1 - 0.01005) * (1 - 0.02), 7);
    const scaled = makeSchedule({kind: 'scaled_linear', betaStart: 1e-4, betaEnd: 0.04, steps: 3});
    expect(scaled.alphasCumprod[2]).toBeCloseTo((1 - 1e-4) * (1 - 0.105 ** 2) * (1 - 0.04), 7);
  });
  test('is variance preserving with falling signal', () => {
    for (const zeroTerminalSnr of [false, true]) {
      const {alphas, sigmas} = makeSchedule({...stableDiffusionSchedule, zeroTerminalSnr});
      for (let t = 0; t < 1000; t++) {
        expect(alphas[t]! ** 2 + sigmas[t]! ** 2).toBeCloseTo(1, 12);
        if (t > 0) expect(alphas[t]!).toBeLessThan(alphas[t - 1]!);
      }
    }
  });
  test('zero terminal SNR keeps the first step and leaves no signal in the last', () => {
    const zero = makeSchedule({...stableDiffusionSchedule, zeroTerminalSnr: true});
    expect(zero.alphas[0]).toBeCloseTo(schedule.alphas[0]!, 12);
    expect(zero.alphas[999]).toBe(0);
    expect(snr(zero)[999]).toBe(0);
  });
  test('refuses impossible betas and steps', () => {
    expect(() => makeSchedule({kind: 'linear', betaStart: 0, betaEnd: 0.1})).toThrow('0 < betaStart');
    expect(() => makeSchedule({kind: 'linear', betaStart: 0.2, betaEnd: 0.1})).toThrow('0.2 and 0.1');
    expect(() => makeSchedule({kind: 'linear', betaStart: 0.1, betaEnd: 0.2, steps: 1})).toThrow('2 steps or more');
  });
});

describe('objective', () => {
  const shape = [2, 4, 4, 6];
  const x = () => tf.tensor(golden('x_init'), shape);
  const noise = () => tf.tensor(golden('noise'), shape);
  const t = () => tf.tensor1d([10, 900], 'int32');

  test('noised latents and velocity equal the reference', async () => {
    expect(await difference(addNoise(x(), noise(), t(), schedule), golden('noised'))).toBeLessThan(1e-6);
    expect(await difference(predictionTarget('v', x(), noise(), t(), schedule), golden('velocity'))).toBeLessThan(1e-6);
    expect(await difference(predictionTarget('eps', x(), noise(), t(), schedule), golden('noise'))).toBe(0);
  });

  test('the loss is the mean squared error of the prediction, for video too, and reaches zero', async () => {
    const video = (tensor: tf.Tensor) => tf.reshape(tensor, [2, 2, 4, 2, 6]);
    for (const prediction of ['eps', 'v'] as const) {
      const target = predictionTarget(prediction, video(x()), video(noise()), t(), schedule);
      const common = {latents: video(x()), noise: video(noise()), timesteps: t(), schedule, prediction};
      expect((await diffusionLoss({...common, denoise: () => target}).data())[0]).toBe(0);
      const off = diffusionLosses({...common, denoise: () => tf.add(target, 0.5)});
      expect(off.shape).toEqual([2]);
      expect(await difference(off, [0.25, 0.25])).toBeLessThan(1e-6);
    }
    const seen: Denoise = (noisy, timesteps) => {
      expect(noisy.shape).toEqual(shape);
      expect([...timesteps.dataSync()]).toEqual([10, 900]);
      return tf.zerosLike(noisy);
    };
    const eps = golden('noise');
    const mean = eps.reduce((sum, value) => sum + value * value, 0) / eps.length;
    const loss = diffusionLoss({
      denoise: seen,
      latents: x(),
      noise: noise(),
      timesteps: t(),
      schedule,
      prediction: 'eps',
    });
    expect((await loss.data())[0]).toBeCloseTo(mean, 5);
  });

  test('the gradient is that of finite differences, with and without weights', async () => {
    const latents = noiseTensor({seed: 1, stream: 'synthetic', step: 0}, [2, 3]);
    const eps = noiseTensor({seed: 1, stream: 'noise', step: 0}, [2, 3]);
    for (const weighting of [{kind: 'uniform'}, {kind: 'min_snr', gamma: 5}] as const) {
      const loss = (w: tf.Tensor) =>
        diffusionLoss({
          denoise: noisy => tf.mul(tf.tanh(noisy), w),
          latents,
          noise: eps,
          timesteps: t(),
          schedule,
          prediction: 'v',
          weighting,
        });
      const [at, h] = [0.7, 1e-2];
      const gradient = tf.grad(loss)(tf.scalar(at)).dataSync()[0]!;
      const measured = (loss(tf.scalar(at + h)).dataSync()[0]! - loss(tf.scalar(at - h)).dataSync()[0]!) / (2 * h);
      expect(Math.abs(gradient - measured)).toBeLessThan(1e-4);
    }
  });

  test('min-SNR weights follow their formula, also where no signal is left', async () => {
    const zero = makeSchedule({...stableDiffusionSchedule, zeroTerminalSnr: true});
    for (const s of [schedule, zero]) {
      const eps = lossWeights(s, 'eps', {kind: 'min_snr', gamma: 5});
      const v = lossWeights(s, 'v', {kind: 'min_snr', gamma: 5});
      for (const [i, ratio] of snr(s).entries()) {
        if (ratio > 0) expect(eps[i]).toBeCloseTo(Math.min(ratio, 5) / ratio, 12);
        expect(v[i]).toBeCloseTo(Math.min(ratio, 5) / (ratio + 1), 12);
        expect(Number.isFinite(eps[i]! + v[i]!)).toBe(true);
      }
    }
    const losses = diffusionLosses({
      denoise: noisy => tf.zerosLike(noisy),
      latents: x(),
      noise: tf.ones(shape),
      timesteps: t(),
      schedule,
      prediction: 'eps',
      weighting: {kind: 'min_snr', gamma: 5},
    });
    expect(await difference(losses, [5 / snr(schedule)[10]!, 1])).toBeLessThan(1e-6);
  });

  test('repeated steps leave no tensor behind', () => {
    const [latents, eps, timesteps] = [x(), noise(), t()];
    const step = () =>
      tf.tidy(() => {
        diffusionLoss({
          denoise: noisy => noisy,
          latents,
          noise: eps,
          timesteps,
          schedule,
          prediction: 'v',
          weighting: {kind: 'min_snr', gamma: 3},
        }).dataSync();
      });
    step();
    const before = tf.memory().numTensors;
    for (let i = 0; i < 5; i++) step();
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('noise and guidance', () => {
  test("noise tensors are the generator's bytes", async () => {
    const at = {seed: 8, stream: 'noise', step: 3, offset: 5} as const;
    expect(await noiseTensor(at, [2, 3, 4]).data()).toEqual(normals(at, 24));
  });

  test('offset noise moves each channel of a sample by one number', async () => {
    const offsets = tf.tensor([1, 2, 3, 4], [2, 1, 1, 2]);
    const moved = offsetNoise(tf.zeros([2, 2, 2, 2]), offsets, 0.1);
    expect(await difference(tf.mean(moved, [1, 2]), [0.1, 0.2, 0.3, 0.4])).toBeLessThan(1e-7);
  });

  test('classifier-free guidance is u + s (c - u) and evaluates only what it needs', async () => {
    const calls = {c: 0, u: 0};
    const conditional: Denoise = x => {
      calls.c++;
      return tf.mul(x, 2);
    };
    const unconditional: Denoise = x => {
      calls.u++;
      return tf.mul(x, -1);
    };
    const [x, t] = [tf.tensor1d([1, 3]), tf.tensor1d([5, 5], 'int32')];
    const at = (scale: number) => classifierFree(conditional, unconditional, scale)(x, t).data();
    expect([...(await at(7.5))]).toEqual([-1 + 7.5 * 3, -3 + 7.5 * 9]);
    expect(calls).toEqual({c: 1, u: 1});
    expect([...(await at(1))]).toEqual([2, 6]);
    expect([...(await at(0))]).toEqual([-1, -3]);
    expect(calls).toEqual({c: 2, u: 2});
    expect(() => classifierFree(conditional, unconditional, Number.NaN)).toThrow('guidance scale');
  });
});
