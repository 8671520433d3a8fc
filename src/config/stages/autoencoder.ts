// Configuration of the stage `autoencoder`.
import {z} from 'zod';
import {commonShape} from '../common.ts';
import {autoencoderSchema} from '../models.ts';

export const autoencoderStage = z.strictObject({
  stage: z.literal('autoencoder'),
  ...commonShape,
  autoencoder: autoencoderSchema,
  loss: z.strictObject({kl: z.number().min(0).default(1e-6)}).prefault({}),
});
export type AutoencoderStageConfig = z.infer<typeof autoencoderStage>;
