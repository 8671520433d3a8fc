// Configuration of the stage `temporal`.
import {z} from 'zod';
import {commonShape, diffusionSchema, fromParent, unetTrainSchema} from '../common.ts';
import {temporalSchema} from '../models.ts';

export const temporalStage = z.strictObject({
  stage: z.literal('temporal'),
  ...commonShape,
  train: unetTrainSchema,
  from: fromParent,
  temporal: temporalSchema.prefault({}),
  // The paper trains image and video with one noise schedule, so it is inherited; stating another is refused.
  diffusion: diffusionSchema.optional(),
  sees: z.enum(['clip', 'own-frame']).default('clip').describe('own-frame: a control that learns nothing of time'),
});
export type TemporalStageConfig = z.infer<typeof temporalStage>;
