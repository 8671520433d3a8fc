// Tiny models of every component, static and dynamic.
import type {ComponentModel, ComponentOptions} from '../../src/export/index.ts';
import type {WeightSpec} from '../../src/layers/block.ts';
import {normals, streamOf} from '../../src/random/index.ts';
import {tinyTemporal, tinyUNet} from '../models/tiny.ts';

const autoencoder = {channels: [8, 16], layersPerBlock: 1, latentChannels: 4, normGroups: 4, midAttention: true};
const temporalDecoder = {kernel: [3, 1, 1], alpha: {kind: 'learned', init: 0.4, per: 'layer'}} as const;
const text = {
  vocabulary: 50,
  tokens: 7,
  channels: 12,
  hidden: 20,
  layers: 2,
  heads: 2,
  activation: 'quick_gelu',
  endToken: 49,
} as const;
export const conditions = {
  dim: 12,
  text: {encoder: text, tokenizer: {kind: 'words'}},
  labels: {night: {values: [0, 1]}, crowd: {upTo: [2, 8]}},
  boxes: {classes: ['car', 'person'], max: 3},
  fps: true,
} as const;
export const videoUNet = {...tinyUNet, linearProjection: false, temporal: {...tinyTemporal, window: 2}};

/** Values that are nowhere zero, a function of the weight's path. */
export function values({path: name, shape}: WeightSpec): Float32Array {
  const count = shape.reduce((a, b) => a * b, 1);
  return normals({seed: 5, stream: streamOf(name), step: 0}, count).map(
    v => 0.2 * v + (name.includes('norm') ? 0.8 : 0),
  );
}

const dynamicMaps = {dynamic: ['batch', 'height', 'width']} as const;
export const clip = {batch: 1, frames: 3, height: 4, width: 6, tokens: 5};
export const images = {batch: 2, height: 4, width: 6, tokens: 5};

export const components: [string, ComponentModel, ComponentOptions][] = [
  [
    'image UNet',
    {component: 'unet', config: tinyUNet},
    {sizes: images, dynamic: ['batch', 'height', 'width', 'tokens']},
  ],
  ['video UNet', {component: 'unet', config: videoUNet}, {sizes: clip}],
  ['video UNet, dynamic', {component: 'unet', config: videoUNet}, {sizes: clip, ...dynamicMaps}],
  [
    'convolutional video UNet',
    {component: 'unet', config: {...tinyUNet, temporal: {...tinyTemporal, attention: false, kernel: [3, 3, 3]}}},
    {sizes: clip, dynamic: ['frames']},
  ],
  [
    'upsampler',
    {component: 'upsampler', config: {...tinyUNet, inChannels: 7, classEmbedding: 9, crossOnly: [false, true]}},
    {sizes: images},
  ],
  ['encoder', {component: 'encoder', config: autoencoder}, {sizes: {batch: 1, height: 6, width: 8}, ...dynamicMaps}],
  ['decoder', {component: 'decoder', config: autoencoder}, {sizes: {batch: 2, height: 3, width: 5}, ...dynamicMaps}],
  [
    'temporal decoder',
    {component: 'decoder', config: {...autoencoder, temporalDecoder}},
    {sizes: {frames: 3, height: 3, width: 5}, dynamic: ['frames']},
  ],
  ['text encoder', {component: 'text', config: text}, {sizes: {batch: 2}, dynamic: ['batch']}],
  ['conditions', {component: 'conditions', config: conditions}, {sizes: {batch: 2}, dynamic: ['batch']}],
  [
    'UNet with a frame rate and given frames',
    {
      component: 'unet',
      config: {
        ...tinyUNet,
        addedNumbers: {count: 1, dim: 8},
        temporal: {...tinyTemporal, given: {inputs: 5, channels: 4}},
      },
    },
    {sizes: clip},
  ],
];
