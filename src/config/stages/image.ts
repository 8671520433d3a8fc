// Configuration of the stage `image`.
import {z} from 'zod';
import {commonShape, diffusionSchema, fromRun} from '../common.ts';
import {unetSchema} from '../models.ts';

export const imageStage = z.strictObject({
  stage: z.literal('image'),
  ...commonShape,
  from: fromRun,
  unet: unetSchema.optional().describe("absent: goes on from the parent's UNet (an image run or imported models)"),
  diffusion: diffusionSchema.optional().describe("absent: the parent UNet's, or eps with Stable Diffusion's schedule"),
});
export type ImageStageConfig = z.infer<typeof imageStage>;
