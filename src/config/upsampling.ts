// How an upsampler sees the low-resolution video; the same in every stage of one upsampler.
import {z} from 'zod';
import {scheduleShape} from './common.ts';

export const upsamplingSchema = z.strictObject({
  factor: z.int().min(2).max(16).default(4).describe('how many times smaller the low-resolution video is, each side'),
  maxNoiseLevel: z
    .int()
    .min(0)
    .default(350)
    .describe('the noise level of a training clip is drawn from 0 to this (350: the x4 upscaler)'),
  schedule: z
    .strictObject({
      ...scheduleShape,
      betaStart: scheduleShape.betaStart.unwrap().default(1e-4),
      betaEnd: scheduleShape.betaEnd.unwrap().default(0.02),
    })
    .prefault({})
    .describe("of the low-resolution video's noise; defaults are the x4 upscaler's"),
});

/** [height, width] in high-resolution pixels. */
export const patchSchema = z
  .tuple([z.int().min(1).max(8192), z.int().min(1).max(8192)])
  .optional()
  .describe(
    'train on patches of this size; absent: on whole frames. The network is convolutional: it runs on larger ones',
  );
