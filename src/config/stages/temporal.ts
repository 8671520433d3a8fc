// Configuration of the stage `temporal`.
import {z} from 'zod';
import {commonShape, diffusionSchema, fromParent, unetTrainSchema} from '../common.ts';
import {conditionsSchema} from '../conditions.ts';
import {temporalSchema, unetSchema} from '../models.ts';
import {objectiveSchema} from '../objective.ts';

export const temporalStage = z.strictObject({
  stage: z.literal('temporal'),
  ...commonShape,
  train: unetTrainSchema,
  from: fromParent,
  temporal: temporalSchema
    .optional()
    .describe(
      "absent: the parent's layers over time where it has some, else the paper's; of the parent's, window may be set anew",
    ),
  trains: z
    .enum(['temporal', 'all'])
    .default('temporal')
    .describe('all: the spatial layers too; still images among the data then train them, with alpha = 1'),
  unet: unetSchema.optional().describe('a new UNet, with trains: all: a video model without image pre-training'),
  conditions: conditionsSchema.optional().describe("of a new UNet; a parent's UNet keeps its own"),
  // The paper trains image and video with one noise schedule, so it is inherited; stating another is refused.
  diffusion: diffusionSchema.optional(),
  sees: z.enum(['clip', 'own-frame']).default('clip').describe('own-frame: a control that learns nothing of time'),
  loss: objectiveSchema,
});
export type TemporalStageConfig = z.infer<typeof temporalStage>;
