// The training steps that are timed, and the folder of files from which both sides of a comparison load the same numbers.
import {existsSync} from 'node:fs';
import {mkdir, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {initialValues} from '../../src/layers/initializers.ts';
import {type AutoencoderConfig, AutoencoderKL, UNet, videoLdmTemporal} from '../../src/models/index.ts';
import type {UNetConfig} from '../../src/models/unet_config.ts';
import {normals, streamOf, uniforms} from '../../src/random/index.ts';
import {hostF32} from '../../src/weights/host_tensor.ts';
import {torchShape, toTorch} from '../../src/weights/layouts.ts';
import {type TensorSource, writeSafetensors} from '../../src/weights/safetensors.ts';

/** Videos, frames, and the latents' height and width. */
export interface BatchSize {
  B: number;
  T: number;
  h: number;
  w: number;
}
/** A UNet trains its temporal layers where it has some, else all of it; an autoencoder trains whole. */
export type Network = {unet: UNetConfig} | {autoencoder: AutoencoderConfig};
export type Case = Network & {
  size: SizeName;
  batch: BatchSize;
  contextTokens: number;
  optimizer: {learningRate: number; beta1: number; beta2: number; epsilon: number; weightDecay: number};
};
export type SizeName = keyof typeof sizes;

/** UNets of Stable Diffusion 2's shape with Video LDM's temporal layers; `sd` is the real one (865.9M + 656M parameters). */
export const sizes = {
  tiny: {unet: unet([1, 2, 4, 4], 32, 16, 64), batch: {B: 1, T: 4, h: 16, w: 16}},
  small: {unet: unet([1, 2, 2, 2], 128, 64, 512), batch: {B: 1, T: 8, h: 32, w: 64}},
  /** What configs/tiny trains, on 64x64 pixels: the autoencoder, the image model, and its temporal layers. */
  autoencoder: {autoencoder: tinyAutoencoder(), batch: {B: 8, T: 1, h: 64, w: 64}},
  image: {unet: tinyUNet(), batch: {B: 32, T: 1, h: 8, w: 8}},
  temporal: {unet: {...tinyUNet(), temporal: videoLdmTemporal}, batch: {B: 4, T: 8, h: 8, w: 8}},
  sd: {unet: unet([1, 2, 4, 4], 320, 64, 1024), batch: {B: 1, T: 8, h: 32, w: 64}},
} as const satisfies Record<string, Network & {batch: BatchSize}>;

function unet(multipliers: number[], width: number, headDim: number, crossAttentionDim: number): UNetConfig {
  return {
    inChannels: 4,
    outChannels: 4,
    channels: multipliers.map(factor => factor * width),
    layersPerBlock: 2,
    attention: [true, true, true, false],
    heads: {dim: headDim},
    crossAttentionDim,
    linearProjection: true,
    normGroups: 32,
    temporal: videoLdmTemporal,
  };
}

function tinyAutoencoder(): AutoencoderConfig {
  return {channels: [8, 16, 32, 64], layersPerBlock: 1, latentChannels: 4, normGroups: 8, midAttention: false};
}

function tinyUNet(): UNetConfig {
  return {
    inChannels: 4,
    outChannels: 4,
    channels: [64, 64],
    layersPerBlock: 1,
    attention: [false, true],
    heads: {dim: 32},
    linearProjection: true,
    normGroups: 8,
  };
}

export function caseOf(size: SizeName, batch: Partial<BatchSize> = {}): Case {
  const optimizer = {learningRate: 1e-4, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01};
  const chosen: Network & {batch: BatchSize} = sizes[size];
  return {...chosen, size, batch: {...chosen.batch, ...batch}, contextTokens: 77, optimizer};
}

/** The file of a case's folder that holds its weights: the same for every batch of a size. */
export const weightsIn = (folder: string): string => path.join(folder, 'weights.safetensors');

/**
 * Writes case.json, weights.safetensors (torch's layout, diffusers' names) and batch.safetensors into `folder`. Weights that
 * are there already are kept.
 */
export async function writeCase(folder: string, chosen: Case): Promise<void> {
  await mkdir(folder, {recursive: true});
  await writeFile(path.join(folder, 'case.json'), JSON.stringify(chosen));
  if (!existsSync(weightsIn(folder))) await writeSafetensors(weightsIn(folder), weightsOf(chosen));
  await writeSafetensors(path.join(folder, 'batch.safetensors'), Object.entries(batchOf(chosen)));
}

function weightsOf(chosen: Case): Map<string, TensorSource> {
  const weights = new Map<string, TensorSource>();
  const network = 'unet' in chosen ? new UNet(chosen.unet) : new AutoencoderKL(chosen.autoencoder);
  for (const {path: name, shape, layout, init} of network.weightSpecs()) {
    // Layers that start at zero get ordinary weights: arithmetic on zeros may run faster, and hides mistakes.
    const fanIn = shape.slice(0, -1).reduce((product, extent) => product * extent, 1);
    const start = init.kind === 'zeros' && layout !== 'vector' ? ({kind: 'fanIn', fanIn} as const) : init;
    const data = () => {
      const values =
        start.kind === 'fanIn'
          ? repeatedNumbers(name, shape, start.fanIn)
          : toTorch(initialValues(start, shape, {seed: 1, path: name}), shape, layout);
      return hostF32(torchShape(shape, layout), values).data;
    };
    weights.set(name, {dtype: 'F32', shape: torchShape(shape, layout), data});
  }
  return weights;
}

let drawn: Float32Array | undefined;
/**
 * Uniform in +-1/sqrt(fanIn), like initial weights, but from one list of numbers that every weight begins at a place of its own:
 * drawing the 1.5 billion of `sd` takes minutes. A prime length, so that no two rows of a matrix are the same.
 */
function repeatedNumbers(name: string, shape: readonly number[], fanIn: number): Float32Array {
  drawn ??= uniforms({seed: 1, stream: 3001, step: 0}, 1_000_003);
  const values = new Float32Array(shape.reduce((product, extent) => product * extent, 1));
  const bound = 1 / Math.sqrt(fanIn);
  for (let i = 0, at = streamOf(name) % drawn.length; i < values.length; i++) {
    values[i] = (2 * drawn[at]! - 1) * bound;
    if (++at === drawn.length) at = 0;
  }
  return values;
}

function batchOf(chosen: Case): Record<string, TensorSource> {
  const {B, T, h, w} = chosen.batch;
  const drawn = (shape: number[], step: number) => {
    const count = shape.reduce((a, b) => a * b, 1);
    return hostF32(shape, normals({seed: 1, stream: 3000, step}, count));
  };
  if ('autoencoder' in chosen) {
    const {channels, latentChannels} = chosen.autoencoder;
    const factor = 2 ** (channels.length - 1);
    return {pixels: drawn([B, h, w, 3], 0), noise: drawn([B, h / factor, w / factor, latentChannels], 1)};
  }
  const {inChannels, crossAttentionDim = 0, temporal} = chosen.unet;
  const latents = temporal ? [B, T, h, w, inChannels] : [B * T, h, w, inChannels];
  const timesteps = Float32Array.from({length: B}, (_, i) => (500 + 123 * i) % 1000);
  return {
    latents: drawn(latents, 0),
    target: drawn(latents, 1),
    ...(crossAttentionDim ? {context: drawn([B, chosen.contextTokens, crossAttentionDim], 2)} : {}),
    timesteps: hostF32([B], timesteps),
  };
}
