// What the tiny pipeline's models are worth on held-out clips: context guidance, chained prediction, interpolation. The
// figures of docs/sampling.md. Usage: tsx scripts/measure_pipeline.ts [--root runs/pipeline] [--clips 8] [--steps 20]
// [--engine torch] [--sampler dpmpp_2m] [--decoder] [--only guidance,chain,interpolation]
import path from 'node:path';
import {parseArgs} from 'node:util';
import {mergeSampling} from '../src/config/pipeline.ts';
import type {SamplerName} from '../src/diffusion/index.ts';
import {type EngineName, openEngine} from '../src/engine/index.ts';
import {framesToPixels, rawToLatents} from '../src/models/index.ts';
import {table} from '../src/platform/table.ts';
import {
  decodeVideo,
  frameRange,
  INTERPOLATION,
  interpolateFrames,
  type LatentDiffusion,
  predictFrames,
  sampleLatents,
} from '../src/sampling/index.ts';
import * as tf from '../src/tf.ts';
import {loadRun} from '../trainers/index.ts';
import {heldOutBatches} from '../trainers/inputs/data.ts';
import {buildModels, type DiffusionPart} from '../trainers/sampling/build_models.ts';
import {readParts} from '../trainers/sampling/host_parts.ts';

const {values} = parseArgs({
  options: {
    root: {type: 'string', default: 'runs/pipeline'},
    clips: {type: 'string', default: '8'},
    steps: {type: 'string', default: '20'},
    engine: {type: 'string', default: 'auto'},
    decoder: {type: 'boolean', default: false},
    sampler: {type: 'string', default: 'dpmpp_2m'},
    only: {type: 'string', default: 'guidance,chain,interpolation'},
  },
});
const [clips, steps] = [Number(values.clips), Number(values.steps)];
const SPACING = 8;
/** Between key frames: every how many frames of a clip at the highest rate one is taken, and the passes that make those between. */
const passes: readonly {title: string; stride: number; levels: readonly (0 | 1)[]}[] = [
  {title: 'x4: first pass', stride: INTERPOLATION, levels: [0]},
  {title: 'second pass alone', stride: 1, levels: [1]},
  {title: 'x16: both passes', stride: 1, levels: [0, 1]},
];
const run = (name: string) => path.join(values.root, name);
await openEngine(values.engine as EngineName | 'auto');
const parts = {
  keyFrames: run('temporal'),
  ...(values.decoder ? {decoder: run('decoder')} : {}),
  ...(values.only === 'interpolation' ? {} : {prediction: run('prediction')}),
  ...(values.only.includes('interpolation') ? {interpolation: run('interpolation')} : {}),
};
const models = buildModels(await readParts(parts, 'ema'), mergeSampling({}, {}), undefined);
const {autoencoder, scaleFactor, prediction, interpolation} = models;
const common = {sampler: values.sampler as SamplerName, steps, seed: 7} as const;

if (values.only.includes('guidance')) await guidance(prediction!);
if (values.only.includes('chain')) await chain(prediction!);
if (values.only.includes('interpolation')) await between(interpolation!);

/** S = 1: how far the first predicted frame is from the given one, by the scale of context guidance. */
async function guidance({model, clip}: DiffusionPart): Promise<void> {
  const real = await heldOut('prediction');
  const scales = [undefined, 1, 1.5, 2, 3, 4] as const;
  const far = new Map<number | undefined, number>(scales.map(scale => [scale, 0]));
  let own = 0;
  for (const [index, frames] of real.entries()) {
    const latents = encode(frames);
    const first = frameRange(latents, 0, 1);
    const [, , h, w] = first.shape;
    const given = await pixelsOf(first);
    own += distance(await pixelsOf(frameRange(latents, 1, 2)), given);
    for (const scale of scales) {
      const context =
        scale === undefined ? {} : {given: {latents: first, positions: [0]}, guidance: {contextScale: scale}};
      const made = await sampleLatents(model, {
        ...common,
        ...context,
        index,
        part: 'prediction',
        frames: clip,
        latentSize: [h, w],
      });
      far.set(scale, far.get(scale)! + distance(await pixelsOf(frameRange(made as tf.Tensor5D, 1, 2)), given));
    }
  }
  const without = far.get(1)!;
  const rows = scales.map(scale => [
    scale === undefined ? 'no frame given' : scale === 1 ? '1 (given, no guidance)' : String(scale),
    (far.get(scale)! / real.length).toFixed(2),
    `${((1 - far.get(scale)! / without) * 100).toFixed(0)} %`,
  ]);
  rows.push(['the real next frame', (own / real.length).toFixed(2), '']);
  console.log(
    `\nContext guidance, S = 1: first predicted frame against the given one, ${real.length} held-out clips\n`,
  );
  console.log(table(['scale', 'mean difference (of 255)', 'nearer'], rows));
}

/** Ten windows one after the other: pixel statistics and motion of each. */
async function chain({model, clip}: DiffusionPart): Promise<void> {
  const real = await heldOut('prediction');
  const windows = 10;
  const frames = clip + (windows - 1) * (clip - 2);
  for (const scale of [1, 2]) {
    const figures = Array.from({length: windows}, () => ({mean: 0, deviation: 0, motion: 0}));
    let motion = 0;
    for (const [index, clipOf] of real.entries()) {
      const latents = encode(clipOf);
      const whole = await pixelsOf(latents);
      motion += motionOf(whole, clipOf.shape[1]);
      const video = await predictFrames(model, frameRange(latents, 0, 1), {
        ...common,
        index,
        frames,
        clip,
        guidance: {contextScale: scale},
      });
      const pixels = await pixelsOf(video);
      const size = pixels.length / frames;
      for (const [w, figure] of figures.entries()) {
        const from = w === 0 ? 0 : clip + (w - 1) * (clip - 2);
        const to = clip + w * (clip - 2);
        const part = pixels.subarray(from * size, to * size);
        const mean = average(part);
        figure.mean += mean / real.length;
        figure.deviation += Math.sqrt(average(part.map(value => (value - mean) ** 2))) / real.length;
        figure.motion += motionOf(part, to - from) / real.length;
      }
    }
    const first = figures[0]!;
    const rows = figures.map(({mean, deviation, motion: moved}, w) => [
      String(w + 1),
      `${mean.toFixed(1)} (${percent(mean / first.mean)})`,
      `${deviation.toFixed(1)} (${percent(deviation / first.deviation)})`,
      `${moved.toFixed(2)} (${((moved * real.length) / motion).toFixed(2)} of real)`,
    ]);
    console.log(
      `\n${windows} windows in a chain, ${frames} frames, context guidance ${scale}, mean of ${real.length} videos\n`,
    );
    console.log(table(['window', 'mean', 'deviation', 'change per frame'], rows));
  }
}

/** Frames between key frames of real clips: the model's, made as `sample` makes them, against a linear blend. */
async function between({model, clip}: DiffusionPart): Promise<void> {
  const real = await heldOut('interpolation');
  const rows: string[][] = [];
  for (const {title, stride, levels} of passes) {
    const frames = INTERPOLATION ** levels.length + 1;
    const own = Array.from({length: frames}, (_, t) => t * stride);
    const errors = {model: 0, mean: 0, blend: 0, latentBlend: 0, autoencoder: 0};
    for (const [index, whole] of real.entries()) {
      const truth = select(whole, own);
      const latents = encode(truth);
      const keys = tf.gather(latents, [0, frames - 1], 1) as tf.Tensor5D;
      const drawn: Float32Array[] = [];
      for (let n = 0; n < 4; n++)
        drawn.push(await pixelsOf(await interpolated(model, keys, clip, levels, 100 * n + index)));
      const target = Float32Array.from(truth.data);
      const mean = target.map((_, i) => drawn.reduce((sum, one) => sum + one[i]!, 0) / drawn.length);
      const mixed = tf.tidy(() =>
        tf.concat(
          own.map((_, t) => mixOf(keys, t / (frames - 1))),
          1,
        ),
      ) as tf.Tensor5D;
      errors.model += betweenError(drawn[0]!, target, frames);
      errors.mean += betweenError(mean, target, frames);
      errors.autoencoder += betweenError(await pixelsOf(latents), target, frames);
      errors.latentBlend += betweenError(await pixelsOf(mixed), target, frames);
      errors.blend += betweenError(blend(target, frames), target, frames);
    }
    const figure = (sum: number) => Math.sqrt(sum / real.length).toFixed(2);
    rows.push([
      title,
      (((frames - 1) * stride) / (real[0]?.fps ?? Number.NaN)).toFixed(2),
      String(frames - 2),
      figure(errors.model),
      figure(errors.mean),
      figure(errors.latentBlend),
      figure(errors.blend),
      figure(errors.autoencoder),
    ]);
  }
  console.log(`\nFrames between two key frames of ${real.length} held-out clips: root mean squared error (of 255)\n`);
  const head = [
    '',
    'key frames, s apart',
    'between',
    'model',
    'mean of 4 samples',
    'blend of latents',
    'blend of pixels',
  ];
  console.log(table([...head, 'autoencoder alone'], rows));
}

/** The passes one after the other: what the first made is given to the second. */
async function interpolated(
  model: LatentDiffusion,
  keys: tf.Tensor5D,
  clip: number,
  levels: readonly (0 | 1)[],
  index: number,
): Promise<tf.Tensor5D> {
  let made = keys;
  for (const level of levels) {
    const classLabels = tf.tensor1d([level], 'int32');
    const before = made;
    made = await interpolateFrames(model, before, {
      ...common,
      index,
      clip,
      level,
      guidance: {conditions: {classLabels}},
    });
    tf.dispose([classLabels, ...(before === keys ? [] : [before])]);
  }
  return made;
}

interface Clip {
  readonly data: Uint8Array;
  readonly shape: readonly [number, number, number, number, number];
  readonly fps: number;
}

/** Every `SPACING`th clip, since neighbouring ones overlap. */
async function heldOut(stage: string): Promise<Clip[]> {
  const {config} = await loadRun(run(stage));
  const batches = await heldOutBatches({...config, heldOut: {...config.heldOut, clips: clips * SPACING}});
  return batches
    .filter((_, index) => index % SPACING === 0)
    .map(({frames, shape, fps}) => ({data: frames as Uint8Array, shape, fps: fps[0] ?? Number.NaN}));
}

function select({data, fps, shape: [, t, h, w]}: Clip, frames: readonly number[]): Clip {
  const size = data.length / t;
  const chosen = new Uint8Array(frames.length * size);
  for (const [n, frame] of frames.entries()) chosen.set(data.subarray(frame * size, (frame + 1) * size), n * size);
  return {data: chosen, shape: [1, frames.length, h, w, 3], fps};
}

function encode({data, shape: [, t, h, w]}: Clip): tf.Tensor5D {
  return tf.tidy(() => {
    const pixels = framesToPixels(data, [t, h, w, 3]) as tf.Tensor4D;
    return tf.expandDims(rawToLatents(autoencoder.encode(pixels).mean, scaleFactor), 0) as tf.Tensor5D;
  });
}

async function pixelsOf(latents: tf.Tensor5D): Promise<Float32Array> {
  return Float32Array.from((await decodeVideo(autoencoder, latents, {scaleFactor})).data);
}

function mixOf(keys: tf.Tensor5D, share: number): tf.Tensor5D {
  return tf.add(tf.mul(frameRange(keys, 0, 1), 1 - share), tf.mul(frameRange(keys, 1, 2), share));
}

function blend(target: Float32Array, frames: number): Float32Array {
  const size = target.length / frames;
  return target.map((_, i) => {
    const share = Math.floor(i / size) / (frames - 1);
    return target[i % size]! * (1 - share) + target[(frames - 1) * size + (i % size)]! * share;
  });
}

/** Mean squared error of the frames between the first and the last. */
function betweenError(a: Float32Array, b: Float32Array, frames: number): number {
  const size = a.length / frames;
  return average(a.subarray(size, a.length - size).map((value, i) => (value - b[size + i]!) ** 2));
}

function distance(a: Float32Array, b: Float32Array): number {
  return average(a.map((value, i) => Math.abs(value - b[i]!)));
}

function motionOf(pixels: Float32Array, frames: number): number {
  const size = pixels.length / frames;
  return distance(pixels.subarray(size), pixels.subarray(0, pixels.length - size));
}

function average(numbers: Float32Array): number {
  let sum = 0;
  for (const value of numbers) sum += value;
  return sum / numbers.length;
}

function percent(ratio: number): string {
  return `${ratio >= 1 ? '+' : ''}${((ratio - 1) * 100).toFixed(0)} %`;
}
