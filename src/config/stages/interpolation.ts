// Configuration of the stage `interpolation`.
import {z} from 'zod';
import {commonShape, diffusionSchema, fromParent, unetTrainSchema} from '../common.ts';
import {contextChannels} from '../models.ts';
import {objectiveSchema} from '../objective.ts';

const share = z.number().min(0).max(1);
const {data} = commonShape;

export const interpolationStage = z.strictObject({
  stage: z.literal('interpolation'),
  ...commonShape,
  train: unetTrainSchema,
  data: data.refine(
    ({frames}) => frames >= 17 && (frames - 1) % 16 === 0,
    'its frames must be 16k + 1 (17, 33, ..): k intervals of key frames interpolated twice',
  ),
  from: fromParent,
  context: z
    .strictObject({
      drop: share.default(0.1).describe('how often no key frame is given: what context guidance moves away from'),
      coarse: share
        .default(0.5)
        .describe('how often the lower of the two frame rates is trained: key frames to 4 times their rate'),
      channels: contextChannels,
    })
    .prefault({}),
  // The paper trains all video models with one noise schedule, so it is inherited; stating another is refused.
  diffusion: diffusionSchema.optional(),
  loss: objectiveSchema,
});
export type InterpolationStageConfig = z.infer<typeof interpolationStage>;
