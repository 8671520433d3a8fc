// Configuration of the stage `image`.
import {z} from 'zod';
import {commonShape, diffusionSchema, fromRun} from '../common.ts';
import {unetSchema} from '../models.ts';

export const imageStage = z.strictObject({
  stage: z.literal('image'),
  ...commonShape,
  from: fromRun,
  unet: unetSchema,
  diffusion: diffusionSchema.prefault({}),
});
export type ImageStageConfig = z.infer<typeof imageStage>;
