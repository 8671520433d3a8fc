// Configuration of the stage `upsampler-image`.
import {z} from 'zod';
import {commonShape, diffusionSchema, fromParent, unetTrainSchema} from '../common.ts';
import {conditionsSchema} from '../conditions.ts';
import {upsamplerUNetSchema} from '../models.ts';
import {patchSchema, upsamplingSchema} from '../upsampling.ts';

export const upsamplerImageStage = z.strictObject({
  stage: z.literal('upsampler-image'),
  ...commonShape,
  train: unetTrainSchema,
  from: fromParent
    .optional()
    .describe('an autoencoder (works on its latents), an upsampler; absent: a new one on pixels'),
  unet: upsamplerUNetSchema.optional().describe('a new UNet; absent where the parent brings one'),
  upsampling: upsamplingSchema.optional().describe("absent: the parent's, or the x4 upscaler's"),
  conditions: conditionsSchema.optional().describe("absent: the parent's, or none"),
  diffusion: diffusionSchema.optional().describe("of a new UNet (absent: its defaults); a parent's UNet keeps its own"),
  patch: patchSchema,
});
export type UpsamplerImageStageConfig = z.infer<typeof upsamplerImageStage>;
