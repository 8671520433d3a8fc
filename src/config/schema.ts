// The configuration of every stage: one strict schema each, closed over the stage's name.
import {z} from 'zod';
import {commonShape, diffusionSchema} from './common.ts';
import {autoencoderSchema, temporalSchema, unetSchema} from './models.ts';

const fromRun = z.string().min(1).describe('folder of the parent run, or of one of its checkpoints');

export const stageSchemas = {
  autoencoder: z.strictObject({
    stage: z.literal('autoencoder'),
    ...commonShape,
    autoencoder: autoencoderSchema,
    loss: z.strictObject({kl: z.number().min(0).default(1e-6)}).prefault({}),
  }),
  image: z.strictObject({
    stage: z.literal('image'),
    ...commonShape,
    from: fromRun,
    unet: unetSchema,
    diffusion: diffusionSchema.prefault({}),
  }),
  temporal: z.strictObject({
    stage: z.literal('temporal'),
    ...commonShape,
    from: fromRun,
    temporal: temporalSchema.prefault({}),
    // The paper trains image and video with one noise schedule, so it is inherited; stating another is refused.
    diffusion: diffusionSchema.optional(),
    sees: z.enum(['clip', 'own-frame']).default('clip').describe('own-frame: a control that learns nothing of time'),
  }),
} satisfies Record<string, z.ZodType>;

export type StageName = keyof typeof stageSchemas;
export const stageNames = Object.keys(stageSchemas) as StageName[];

export type AutoencoderStageConfig = z.infer<typeof stageSchemas.autoencoder>;
export type ImageStageConfig = z.infer<typeof stageSchemas.image>;
export type TemporalStageConfig = z.infer<typeof stageSchemas.temporal>;
export type StageConfig = AutoencoderStageConfig | ImageStageConfig | TemporalStageConfig;
/** What the shared loop needs of any stage's configuration. */
export type CommonConfig = Pick<StageConfig, keyof typeof commonShape | 'stage'>;
