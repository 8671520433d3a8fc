// Configuration of the stage `autoencoder`.
import {z} from 'zod';
import {commonShape, fromParent} from '../common.ts';
import {autoencoderSchema} from '../models.ts';

export const autoencoderStage = z.strictObject({
  stage: z.literal('autoencoder'),
  ...commonShape,
  from: fromParent.optional(),
  autoencoder: autoencoderSchema.optional().describe('a new autoencoder; absent where the parent brings one'),
  loss: z.strictObject({kl: z.number().min(0).default(1e-6)}).prefault({}),
});
export type AutoencoderStageConfig = z.infer<typeof autoencoderStage>;
