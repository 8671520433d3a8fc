// The diffusion loss of every stage that trains a UNet.
import {z} from 'zod';

export const objectiveSchema = z
  .strictObject({
    weighting: z
      .enum(['uniform', 'min-snr'])
      .default('uniform')
      .describe('of timesteps; min-snr: Hang et al. 2023, held-out losses stay unweighted'),
    minSnrGamma: z.number().positive().default(5),
    offsetNoise: z
      .number()
      .min(0)
      .max(1)
      .default(0)
      .describe('strength of the noise that a clip shares per channel (0.1 is usual); 0 is none'),
  })
  .prefault({});
export type ObjectiveSection = z.infer<typeof objectiveSchema>;
