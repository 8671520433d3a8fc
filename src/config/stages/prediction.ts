// Configuration of the stage `prediction`.
import {z} from 'zod';
import {commonShape, diffusionSchema, fromParent, unetTrainSchema} from '../common.ts';
import {contextChannels} from '../models.ts';
import {objectiveSchema} from '../objective.ts';

const share = z.number().min(0).max(1);

export const predictionStage = z.strictObject({
  stage: z.literal('prediction'),
  ...commonShape,
  train: unetTrainSchema,
  from: fromParent,
  context: z
    .strictObject({
      given: z
        .tuple([share, share, share])
        .default([0.2, 0.4, 0.4])
        .refine(shares => Math.abs(shares[0] + shares[1] + shares[2] - 1) < 1e-6, 'the three must add up to 1')
        .describe('how often S = 0, 1, 2 first frames are given; 0 is what context guidance moves away from'),
      channels: contextChannels,
    })
    .prefault({}),
  // The paper trains all video models with one noise schedule, so it is inherited; stating another is refused.
  diffusion: diffusionSchema.optional(),
  loss: objectiveSchema,
});
export type PredictionStageConfig = z.infer<typeof predictionStage>;
