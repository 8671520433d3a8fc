// The shipped tiny temporal stage on one engine, through the trainers' own recipe, loop and optimiser, but with its data and
// its parent made here: clips drawn from formulas and weights from the seed, so that every engine starts from the same bytes
// and needs no other run. The losses are what engines compare.
import {fileURLToPath} from 'node:url';
import pino from 'pino';
import type {VideoBatch} from '../../datasets/index.ts';
import {loadConfig} from '../../src/config/load.ts';
import type {
  AutoencoderStageConfig,
  ImageStageConfig,
  StageConfig,
  TemporalStageConfig,
} from '../../src/config/schema.ts';
import {type EngineName, openEngine} from '../../src/engine/index.ts';
import type {Block} from '../../src/layers/block.ts';
import {AutoencoderKL, UNet} from '../../src/models/index.ts';
import * as tf from '../../src/tf.ts';
import {runLoop} from '../../trainers/loop.ts';
import {disposeSlots, makeSlots} from '../../trainers/optimizer/optimizer.ts';
import type {Frozen} from '../../trainers/parents/frozen.ts';
import {diffusionFor, imageUNet, newAutoencoder} from '../../trainers/parents/networks.ts';
import type {Weights} from '../../trainers/parents/parts.ts';
import {neverStop} from '../../trainers/run/stop_request.ts';
import {temporalRecipe} from '../../trainers/temporal.ts';

/** What of the shipped configs is changed: a smaller clip for the cpu engine's sake, or nothing. */
export interface Scale {
  /** [clips, frames, height, width] of a batch. */
  batch: readonly [number, number, number, number];
  /** `--set` assignments for autoencoder.yaml and image.yaml. */
  autoencoder?: readonly string[];
  image?: readonly string[];
}

export const scales = {
  /** As the quickstart trains: too slow for the cpu engine. */
  shipped: {batch: [4, 8, 64, 64]},
  /** The shipped networks on one short small clip. */
  clip: {batch: [1, 4, 32, 32]},
  /** Narrow networks on it, seconds on any engine. */
  narrow: {
    batch: [1, 4, 32, 32],
    autoencoder: ['autoencoder.channels=[4,4,8,8]', 'autoencoder.normGroups=4'],
    image: ['unet.channels=[8,16]', 'unet.heads={dim: 8}', 'unet.normGroups=4'],
  },
} as const satisfies Record<string, Scale>;

export interface TemporalLosses {
  /** As `Engine.describe` says. */
  engine: Record<string, string | number>;
  losses: number[];
  /** Wall time from one loss to the next, ms; the first includes the start. */
  milliseconds: number[];
  /** Tensors alive at the second and at the last loss. */
  tensors: [number, number];
  /** Largest change of a temporal weight. */
  moved: number;
  /** The temporal weights at the end, one after the other. */
  weights: number[];
}

/** Trains the temporal layers for `steps` on `name`. */
export async function temporalLosses(name: EngineName, scale: Scale, steps: number): Promise<TemporalLosses> {
  const engine = await openEngine(name);
  const {config, frozen} = experiment(scale, steps);
  const recipe = temporalRecipe({config, frozen, heldOut: []});
  const slots = makeSlots(recipe.trained);
  const before = await Promise.all(slots.map(({variable}) => variable.data()));
  const result: TemporalLosses = {
    engine: engine.describe(),
    losses: [],
    milliseconds: [],
    tensors: [0, 0],
    moved: 0,
    weights: [],
  };
  let last = performance.now();
  await runLoop(
    {
      ...{config, engine, slots, stop: neverStop, data: clips(scale)},
      recipe: {...recipe, heldOut: async () => ({})},
      log: {
        logger: pino({level: 'silent'}),
        metrics(kind, _step, figures) {
          if (kind !== 'train') return;
          const now = performance.now();
          result.losses.push(figures.loss!);
          result.milliseconds.push(now - last);
          last = now;
          if (result.losses.length <= 2) result.tensors[0] = tf.memory().numTensors;
          result.tensors[1] = tf.memory().numTensors;
        },
        async images() {},
        progress() {},
        async close() {},
      },
      save: async () => {},
      preview: async () => {},
    },
    {step: 0, data: undefined, metrics: {}},
  );
  for (const [i, {variable}] of slots.entries()) {
    const after = await variable.data();
    result.moved = Math.max(result.moved, largestDifference(after, before[i]!));
    result.weights.push(...after);
  }
  disposeSlots(slots);
  recipe.dispose();
  return result;
}

/** The shipped configuration and a parent of untrained weights. */
function experiment(scale: Scale, steps: number): {config: TemporalStageConfig; frozen: Frozen} {
  const [batch, frames, height, width] = scale.batch;
  const set = [
    ...[`data.frames=${frames}`, `data.size=[${height},${width}]`, `data.batchSize=${batch}`],
    ...[`train.steps=${steps}`, 'log.every=1', `heldOut.every=${steps + 1}`, `checkpoint.every=${steps + 1}`],
  ];
  const config = configOf('temporal', set);
  const autoencoder = configOf('autoencoder', scale.autoencoder);
  const image = configOf('image', scale.image);
  const networks = {autoencoder: newAutoencoder(autoencoder, {}), unet: imageUNet(image, {})};
  const parent = {path: 'untrained', stage: 'image', step: 0};
  const frozen: Frozen = {
    parent,
    autoencoder: {
      config: networks.autoencoder,
      weights: weightsOf(new AutoencoderKL(networks.autoencoder), autoencoder.run.seed),
    },
    scaleFactor: 1,
    unet: {config: networks.unet, weights: weightsOf(new UNet(networks.unet), image.run.seed)},
    diffusion: diffusionFor(image, {}),
  };
  return {config, frozen};
}

interface Configs {
  autoencoder: AutoencoderStageConfig;
  image: ImageStageConfig;
  temporal: TemporalStageConfig;
}

function configOf<S extends keyof Configs>(stage: S, set: readonly string[] = []): Configs[S] {
  const file = fileURLToPath(new URL(`../../configs/tiny/${stage}.yaml`, import.meta.url));
  const config: StageConfig = loadConfig(file, set);
  if (config.stage !== stage) throw new Error(`${file} is of stage ${config.stage}.`);
  return config as Configs[S];
}

/** A model's initial values, and nothing left on the engine. */
function weightsOf(model: Block, seed: number): Weights {
  const variables = model.allocate(seed).namedWeights();
  const weights = new Map(
    model.weightSpecs().map(({path, shape, layout}) => {
      const data = Float32Array.from(variables.get(path)!.dataSync());
      return [path, {shape, layout, data}];
    }),
  );
  model.dispose();
  return weights;
}

/** Batches without end: waves that move by a different amount in each clip. */
async function* clips(scale: Scale): AsyncGenerator<VideoBatch> {
  const [count, frames, height, width] = scale.batch;
  for (let index = 0; ; index++) {
    const bytes = new Uint8Array(count * frames * height * width * 3);
    let at = 0;
    for (let clip = 0; clip < count; clip++)
      for (let t = 0; t < frames; t++)
        for (let y = 0; y < height; y++)
          for (let x = 0; x < width; x++)
            for (let c = 0; c < 3; c++)
              bytes[at++] = 127.5 + 120 * Math.sin(0.3 * (x + c) + 0.2 * y + (1 + clip) * 0.4 * t + index);
    yield {
      kind: 'clips',
      frames: bytes,
      shape: [count, frames, height, width, 3],
      keys: Array.from({length: count}, (_, clip) => `${index}-${clip}`),
      captions: Array.from({length: count}, () => undefined),
      fps: Array.from({length: count}, () => 8),
      labels: Array.from({length: count}, () => ({})),
      boxes: Array.from({length: count}, () => []),
      metadata: Array.from({length: count}, () => ({})),
      position: index,
      waitedMs: 0,
    };
  }
}

/** The largest difference between two lists of numbers; NaN where one of them holds a NaN. */
export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw new Error(`Lists of ${a.length} and ${b.length} numbers cannot be compared.`);
  let largest = 0;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i]! - b[i]!));
  return largest;
}

/** The middle value, or the lower of the two in the middle. */
export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)]!;
}
