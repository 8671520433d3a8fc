// Configuration of the stage `upsampler`.
import {z} from 'zod';
import {commonShape, diffusionSchema, fromParent, unetTrainSchema} from '../common.ts';
import {temporalSchema} from '../models.ts';
import {patchSchema, upsamplingSchema} from '../upsampling.ts';

export const upsamplerStage = z.strictObject({
  stage: z.literal('upsampler'),
  ...commonShape,
  train: unetTrainSchema,
  from: fromParent,
  temporal: temporalSchema
    .optional()
    .describe(
      "absent: the parent's layers over time where it has some, else the paper's; of the parent's, window may be set anew",
    ),
  upsampling: upsamplingSchema.optional().describe("absent: the parent's"),
  // Inherited, as in the temporal stage; stating another is refused.
  diffusion: diffusionSchema.optional(),
  patch: patchSchema,
});
export type UpsamplerStageConfig = z.infer<typeof upsamplerStage>;
