// What both sides of the comparison train: a small UNet with text and temporal layers, its start, and the batches, noise and
// timesteps of every step. All of it follows from one seed, so that a recorded trajectory needs no inputs beside it.
import type {UNetConfig} from '../../src/models/index.ts';
import {videoLdmTemporal} from '../../src/models/presets.ts';
import {integers, normals} from '../../src/random/index.ts';

export const parityStages = ['image', 'temporal'] as const;
export type ParityStage = (typeof parityStages)[number];

export const steps = 50;
const seed = 11;

/** [B,T,h,w,C] of one micro-batch; `image` sees its frames as B x T images. */
export const clip = [2, 4, 8, 8, 4] as const;
/** Text: [B,M,D]. */
export const text = [2, 5, 8] as const;

export const diffusion = {
  schedule: {kind: 'scaled_linear', betaStart: 0.00085, betaEnd: 0.012, steps: 1000, zeroTerminalSnr: false},
  prediction: 'eps',
} as const;

export const optimizer = {
  learningRate: 2e-3,
  betas: [0.9, 0.999] as [number, number],
  epsilon: 1e-8,
  weightDecay: 0.1,
  warmupSteps: 5,
  schedule: 'cosine' as const,
  emaDecay: 0.9,
};

/** Between the norms of a stage's steps: clipping is on in some and off in others. */
export const clipNorm: Record<ParityStage, number> = {image: 0.7, temporal: 0.06};

/** Micro-batches per update: the image stage accumulates. */
export const accumulate: Record<ParityStage, number> = {image: 2, temporal: 1};

export function unetConfig(stage: ParityStage): UNetConfig {
  return {
    inChannels: 4,
    outChannels: 4,
    channels: [16, 24],
    layersPerBlock: 1,
    attention: [true, true],
    heads: {dim: 8},
    crossAttentionDim: 8,
    linearProjection: true,
    normGroups: 8,
    ...(stage === 'temporal' ? {temporal: videoLdmTemporal} : {}),
  };
}

/** Values by name, row-major. */
export interface StepInputs {
  latents: {shape: number[]; data: Float32Array};
  noise: {shape: number[]; data: Float32Array};
  context: {shape: number[]; data: Float32Array};
  timesteps: Int32Array;
}

/** Inputs of a micro-batch: clips whose frames share most of their content, so that there is something to learn over time. */
export function inputsOf(stage: ParityStage, step: number, microBatch: number): StepInputs {
  const [b, t, h, w, c] = clip;
  const frame = h * w * c;
  const at = (place: number, stream: 'synthetic' | 'noise' | 'timesteps' = 'synthetic') => ({
    seed,
    stream,
    step: step * 2 + microBatch,
    offset: place * 2 ** 20,
  });
  const shared = normals(at(0), b * frame);
  const latents = normals(at(1), b * t * frame).map((own, i) => {
    const [video, place] = [Math.floor(i / (t * frame)), i % frame];
    return 0.9 * shared[video * frame + place]! + 0.3 * own;
  });
  const images = stage === 'image';
  const samples = images ? b * t : b;
  const perSample = images ? [1, h, w, c] : [t, h, w, c];
  const noise = normals(at(0, 'noise'), latents.length);
  const [, m, d] = text;
  return {
    latents: {shape: [samples, ...perSample], data: latents},
    noise: {shape: [samples, ...perSample], data: noise},
    context: {shape: [samples, m, d], data: normals(at(2), samples * m * d)},
    timesteps: integers(at(0, 'timesteps'), samples, diffusion.schedule.steps),
  };
}

/** Seed of the initial weights. */
export const weightSeed = seed;
