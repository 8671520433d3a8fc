// Configuration of the stage `autoencoder`.
import {z} from 'zod';
import {commonShape, fromParent} from '../common.ts';
import {adversarialShape, imageDiscriminatorSchema, perceptualSchema} from '../losses.ts';
import {autoencoderSchema} from '../models.ts';

export const autoencoderStage = z.strictObject({
  stage: z.literal('autoencoder'),
  ...commonShape,
  from: fromParent.optional(),
  autoencoder: autoencoderSchema.optional().describe('a new autoencoder; absent where the parent brings one'),
  loss: z
    .strictObject({
      kl: z
        .number()
        .min(0)
        .default(1e-6)
        .describe(
          "weight of the KL divergence, both it and the reconstruction summed over an image (latent-diffusion's)",
        ),
      perceptual: perceptualSchema.optional(),
      adversarial: z
        .strictObject({...adversarialShape, discriminator: imageDiscriminatorSchema.prefault({})})
        .optional(),
    })
    .prefault({}),
});
export type AutoencoderStageConfig = z.infer<typeof autoencoderStage>;
