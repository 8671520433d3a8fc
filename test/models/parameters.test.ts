// Full-size models counted without allocating a weight, against the figures of the papers.
import '@tensorflow/tfjs-backend-cpu';
import {expect, test} from 'vitest';
import {
  AutoencoderKL,
  autoencoderPresets,
  countParameters,
  countPart,
  TextEncoder,
  textEncoderPresets,
  UNet,
  unetPresets,
  videoLdmTemporal,
} from '../../src/models/index.ts';
import * as tf from '../../src/tf.ts';

test.each([
  ['sd1', 859_520_964, 649_687_078],
  ['sd2', 865_910_724, 656_076_838],
] as const)('%s with its temporal layers', (name, spatial, temporal) => {
  const before = tf.memory().numTensors;
  const unet = new UNet({...unetPresets[name], temporal: videoLdmTemporal});
  expect(countPart(unet, 'spatial')).toEqual({tensors: 686, parameters: spatial});
  expect(countPart(unet, 'temporal').parameters).toBe(temporal);
  expect(countParameters(new UNet(unetPresets[name])).parameters).toBe(spatial);
  expect(tf.memory().numTensors).toBe(before);
});

// Its structure is checked by the golden file; this keeps the full-size preset from drifting.
test('the x4 upscaler', () => {
  expect(countParameters(new UNet(unetPresets['x4-upscaler'])).parameters).toBe(473_398_020);
});

test('the autoencoder, and what a temporal decoder adds', () => {
  const image = new AutoencoderKL(autoencoderPresets['sd-f8']);
  expect(countParameters(image)).toEqual({tensors: 248, parameters: 83_653_863});
  expect(countParameters(image, ({path}) => path.startsWith('encoder.')).parameters).toBe(34_163_592);
  expect(countParameters(image, ({path}) => path.startsWith('decoder.')).parameters).toBe(49_490_179);
  const temporalDecoder = {kernel: [3, 1, 1], alpha: {kind: 'learned', init: 0, per: 'layer'}} as const;
  const video = new AutoencoderKL({...autoencoderPresets['sd-f8'], temporalDecoder});
  expect(countPart(video, 'spatial').parameters).toBe(83_653_863);
  expect(Math.round(countPart(video, 'temporal').parameters / 1e4)).toBe(1409);
});

test('the path of given frames costs less than the 0.8M the paper leaves for it', () => {
  const with32 = new UNet({...unetPresets.sd1, temporal: {...videoLdmTemporal, given: {inputs: 5}}});
  const added = countPart(with32, 'temporal').parameters - 649_687_078;
  expect(added).toBeGreaterThan(0);
  expect(added).toBeLessThan(800_000);
});

test.each([
  ['clip-vit-l', 196, 123_060_480],
  ['openclip-vit-h', 372, 340_387_840],
] as const)('text encoder %s', (name, tensors, parameters) => {
  expect(countParameters(new TextEncoder(textEncoderPresets[name]))).toEqual({tensors, parameters});
});
