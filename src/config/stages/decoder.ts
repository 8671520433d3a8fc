// Configuration of the stage `decoder`.
import {z} from 'zod';
import {commonShape, fromParent} from '../common.ts';
import {adversarialShape, imageDiscriminatorSchema, perceptualSchema, videoDiscriminatorSchema} from '../losses.ts';
import {temporalDecoderSchema} from '../models.ts';

export const decoderStage = z.strictObject({
  stage: z.literal('decoder'),
  ...commonShape,
  from: fromParent,
  temporal: temporalDecoderSchema
    .optional()
    .describe("absent: the parent's layers over time, or the published decoder's"),
  trains: z
    .enum(['temporal', 'decoder'])
    .default('temporal')
    .describe('the layers over time alone, or the whole decoder'),
  overTime: z
    .boolean()
    .default(true)
    .describe('false: the control of an experiment, the same decoder without layers over time'),
  loss: z
    .strictObject({
      perceptual: perceptualSchema.optional(),
      flicker: z
        .number()
        .min(0)
        .default(0)
        .describe('weight of the mean absolute change of the error between neighbouring frames; not in the paper'),
      adversarial: z
        .strictObject({
          ...adversarialShape,
          startStep: adversarialShape.startStep.unwrap().default(0),
          video: videoDiscriminatorSchema.optional(),
          image: imageDiscriminatorSchema
            .optional()
            .describe('beside the video discriminator; made reconstructions worse in the paper (FVD 51.01, not 32.94)'),
        })
        .refine(({video, image}) => video || image, 'expected a discriminator: video, image or both')
        .optional(),
    })
    .prefault({}),
});
export type DecoderStageConfig = z.infer<typeof decoderStage>;
