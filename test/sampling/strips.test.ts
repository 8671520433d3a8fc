// Decoding on strips of rows: the numbers of the whole frame, no seam, and no more memory than was stated.
import '@tensorflow/tfjs-backend-wasm';
import {beforeAll, describe, expect, test} from 'vitest';
import {type AutoencoderConfig, AutoencoderKL} from '../../src/models/index.ts';
import {
  chunkStarts,
  decodeInSteps,
  decodeLatents,
  decodeVideo,
  planDecode,
  stripsOf,
} from '../../src/sampling/index.ts';
import * as tf from '../../src/tf.ts';
import {random, shake} from '../models/tiny.ts';

beforeAll(() => tf.setBackend('wasm'));

const image: AutoencoderConfig = {
  channels: [8, 8, 16],
  layersPerBlock: 1,
  latentChannels: 4,
  normGroups: 4,
  midAttention: true,
};
const temporal: AutoencoderConfig = {
  ...image,
  temporalDecoder: {kernel: [3, 1, 1], alpha: {kind: 'learned', init: 0, per: 'layer'}},
};

function built(config: AutoencoderConfig): AutoencoderKL {
  const autoencoder = new AutoencoderKL(config).allocate(2);
  shake(autoencoder.namedWeights(), 0.1);
  return autoencoder;
}

const apart = (a: tf.Tensor, b: tf.Tensor | number) => tf.tidy(() => tf.max(tf.abs(tf.sub(a, b))).dataSync()[0]!);

describe.each([
  ['image decoder', image, 2],
  ['temporal decoder', temporal, 3],
  [
    'temporal decoder with 3x3x3 kernels',
    {...temporal, temporalDecoder: {...temporal.temporalDecoder!, kernel: [3, 3, 3]}},
    3,
  ],
] as const)('%s', (_, config: AutoencoderConfig, frames) => {
  const isTemporal = config.temporalDecoder !== undefined;

  test('strips of any height give the whole frame, everywhere', () => {
    const autoencoder = built(config);
    const raw = random<tf.Rank.R4>(frames, 14, 5, 4);
    const whole = tf.tidy(() =>
      tf.squeeze(
        autoencoder.decode(isTemporal ? (tf.expandDims(raw, 0) as tf.Tensor5D) : (raw as tf.Tensor4D & tf.Tensor5D)),
        isTemporal ? [0] : undefined,
      ),
    );
    const scale = apart(whole, 0);
    expect(scale).toBeGreaterThan(0.1);
    const before = tf.memory().numTensors;
    for (const bytes of [undefined, 1, 20_000, 60_000]) {
      const strips = decodeInSteps(autoencoder, raw, {
        strips: bytes === undefined ? bytes : stripsOf(bytes),
        temporal: isTemporal,
      });
      expect(strips.shape).toEqual(whole.shape);
      expect(apart(strips, whole)).toBeLessThan(1e-5 * Math.max(1, scale));
      strips.dispose();
    }
    expect(tf.memory().numTensors).toBe(before);
    autoencoder.dispose();
  });
});

test('there is no seam: rows differ across the borders of strips as they do elsewhere', async () => {
  const autoencoder = built(image);
  // Constant latents with a little noise: a seam would be the largest step there is.
  const raw = tf.tidy(() => tf.add(tf.mul(random<tf.Rank.R4>(1, 16, 8, 4), 0.05), 0.7)) as tf.Tensor4D;
  const strips = decodeInSteps(autoencoder, raw, {strips: stripsOf(1), temporal: false});
  const jumps = tf.tidy(() => {
    const [, h, w] = strips.shape;
    const step = tf.sub(
      tf.slice(strips, [0, 1, 0, 0], [1, h - 1, w, 3]),
      tf.slice(strips, [0, 0, 0, 0], [1, h - 1, w, 3]),
    );
    return [...tf.mean(tf.abs(step), [0, 2, 3]).dataSync()];
  });
  // Strips of one row of latents: a border at every fourth row of pixels (between rows 4k-1 and 4k).
  const within = jumps.filter((_, y) => y % 4 !== 3 && y > 4 && y < 58);
  const across = jumps.filter((_, y) => y % 4 === 3 && y > 4 && y < 58);
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  // Nearest-neighbour upsampling makes both kinds differ somewhat in an untrained decoder, whole frames too.
  const whole = await autoencoder.decode(raw).array();
  const wholeJumps = jumps.map((_, y) =>
    mean(whole[0]![y]!.flatMap((pixel, x) => pixel.map((value, c) => Math.abs(value - whole[0]![y + 1]![x]![c]!)))),
  );
  const ratio = (values: number[]) =>
    mean(values.filter((_, y) => y % 4 === 3 && y > 4 && y < 58)) /
    mean(values.filter((_, y) => y % 4 !== 3 && y > 4 && y < 58));
  expect(mean(across) / mean(within)).toBeCloseTo(ratio(wholeJumps), 4);
  autoencoder.dispose();
});

describe('chunks of frames', () => {
  test('cover every frame, the last as long as the others', () => {
    expect(chunkStarts(8, 8, 2)).toEqual([0]);
    expect(chunkStarts(113, 8, 2).at(-1)).toBe(105);
    for (const [count, chunk, overlap] of [
      [20, 8, 2],
      [15, 8, 2],
      [9, 4, 0],
    ] as const) {
      const starts = chunkStarts(count, chunk, overlap);
      const seen = new Set(starts.flatMap(start => Array.from({length: chunk}, (_, i) => start + i)));
      expect(seen.size).toBe(count);
      for (let i = 1; i < starts.length; i++)
        expect(starts[i - 1]! + chunk - starts[i]!).toBeGreaterThanOrEqual(overlap);
    }
  });
  test('an image decoder gives the same frames whatever the chunks and the bound', async () => {
    const autoencoder = built(image);
    const latents = random<tf.Rank.R5>(1, 5, 8, 4, 4);
    const expected = await decodeLatents(autoencoder, latents, 1);
    const before = tf.memory().numTensors;
    const one = {frames: 1, height: 8, width: 4, temporal: false};
    const memory = Math.floor(planDecode(autoencoder, one, Number.POSITIVE_INFINITY).engineBytes * 0.8);
    expect(planDecode(autoencoder, one, memory).stripBytes).toBeGreaterThan(0);
    for (const options of [{framesAtOnce: 2}, {framesAtOnce: 3, overlap: 1}, {memory}]) {
      const {data, shape} = await decodeVideo(autoencoder, latents, {scaleFactor: 1, ...options});
      expect(shape).toEqual([5, 32, 16, 3]);
      const worst = data.reduce((most, value, i) => Math.max(most, Math.abs(value - expected.data[i]!)), 0);
      expect(worst).toBeLessThanOrEqual(1);
    }
    expect(tf.memory().numTensors).toBe(before);
    await expect(decodeVideo(autoencoder, latents, {scaleFactor: 1, memory: 1000})).rejects.toThrow(
      /32x16 takes at least \d+ MiB, but the memory is bound to 1 MiB/,
    );
    autoencoder.dispose();
  });
  test('a temporal decoder mixes overlapping chunks: no jump where a chunk begins', async () => {
    const autoencoder = built(temporal);
    const still = random<tf.Rank.R4>(1, 8, 4, 4);
    const latents = tf.tidy(() => tf.tile(tf.expandDims(still, 1), [1, 10, 1, 1, 1])) as tf.Tensor5D;
    const {data, shape} = await decodeVideo(autoencoder, latents, {scaleFactor: 1, framesAtOnce: 6, overlap: 3});
    const size = shape[1] * shape[2] * 3;
    const jump = (t: number) => {
      let sum = 0;
      for (let i = 0; i < size; i++) sum += Math.abs(data[t * size + i]! - data[(t - 1) * size + i]!);
      return sum / size;
    };
    const jumps = Array.from({length: 9}, (_, i) => jump(i + 1));
    const hard = await decodeVideo(autoencoder, latents, {scaleFactor: 1, framesAtOnce: 5, overlap: 0});
    let cut = 0;
    for (let i = 0; i < size; i++) cut += Math.abs(hard.data[5 * size + i]! - hard.data[4 * size + i]!);
    expect(Math.max(...jumps.slice(3, 7))).toBeLessThan(cut / size);
    autoencoder.dispose();
  });
});
