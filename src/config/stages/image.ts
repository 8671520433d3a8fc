// Configuration of the stage `image`.
import {z} from 'zod';
import {commonShape, diffusionSchema, fromParent, unetTrainSchema} from '../common.ts';
import {conditionsSchema} from '../conditions.ts';
import {unetSchema} from '../models.ts';
import {objectiveSchema} from '../objective.ts';

export const imageStage = z.strictObject({
  stage: z.literal('image'),
  ...commonShape,
  train: unetTrainSchema,
  from: fromParent.describe('a parent, or "pixels": a new model in pixel space, without an autoencoder'),
  unet: unetSchema.optional().describe('a new UNet; absent where the parent brings one'),
  conditions: conditionsSchema.optional().describe("absent: the parent's, or an unconditional model"),
  diffusion: diffusionSchema.optional().describe("of a new UNet (absent: its defaults); a parent's UNet keeps its own"),
  loss: objectiveSchema,
});
export type ImageStageConfig = z.infer<typeof imageStage>;
