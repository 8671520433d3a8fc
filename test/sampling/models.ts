// Models of a few thousand parameters, every weight of which does something.
import {makeSchedule, stableDiffusionSchedule} from '../../src/diffusion/index.ts';
import {UNet, type UNetConfig} from '../../src/models/index.ts';
import type {LatentDiffusion} from '../../src/sampling/index.ts';
import {shake, tinyTemporal, tinyUNet} from '../models/tiny.ts';

const {crossAttentionDim: _, ...withoutText} = tinyUNet;

export function videoModel(changes: Partial<UNetConfig> = {}, given = true): LatentDiffusion {
  const temporal = {...tinyTemporal, ...(given ? {given: {inputs: 5, channels: 4}} : {})};
  const unet = new UNet({...withoutText, temporal, ...changes}).allocate(3);
  shake(unet.namedWeights(), 0.1);
  return {unet, schedule: makeSchedule(stableDiffusionSchedule), prediction: 'v'};
}
