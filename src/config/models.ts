// Configurations of the networks, as written in YAML; the types are those the models are built from.
import {z} from 'zod';

const count = z.int().min(1);

export const autoencoderSchema = z.strictObject({
  channels: z.array(count.max(4096)).min(1).max(8).describe('per level; each level but the last halves the size'),
  layersPerBlock: count.max(8).default(2),
  latentChannels: count.max(64).default(4),
  normGroups: count.default(32),
  midAttention: z.boolean().default(true),
  scaleFactor: z
    .number()
    .positive()
    .optional()
    .describe('latents = rawLatents x this; measured at the image stage when absent'),
});

const kernelSchema = z
  .union([z.tuple([z.literal(3), z.literal(1), z.literal(1)]), z.tuple([z.literal(3), z.literal(3), z.literal(3)])])
  .default([3, 1, 1]);

const alphaShape = {
  kind: z.enum(['learned', 'fixed']).default('learned'),
  init: z.number().default(0.5).describe('parameter whose sigmoid is alpha (learned), or alpha itself (fixed)'),
  per: z.enum(['layer', 'frame']).default('layer'),
};

/** Layers over time in a UNet. */
export const temporalSchema = z.strictObject({
  conv: z.boolean().default(true),
  attention: z.boolean().default(true),
  kernel: kernelSchema,
  alpha: z.strictObject(alphaShape).prefault({}),
  window: count.optional().describe('largest distance in frames that attention sees'),
});

export type TemporalSection = z.infer<typeof temporalSchema>;

/** Layers over time in the autoencoder's decoder; alpha multiplies the branch over time there, and starts at 0.5. */
export const temporalDecoderSchema = z.strictObject({
  kernel: kernelSchema,
  alpha: z.strictObject({...alphaShape, init: z.number().default(0).describe('see temporal.alpha.init')}).prefault({}),
});
/** Of the path of given frames; 0.67M parameters on Stable Diffusion. */
export const DEFAULT_CONTEXT_CHANNELS = 32;
export const contextChannels = count
  .max(4096)
  .optional()
  .describe("width of the features of given frames; absent: the parent's, or 32");

export const unetSchema = z.strictObject({
  inChannels: count.max(64).default(4),
  outChannels: count.max(64).default(4),
  channels: z.array(count.max(8192)).min(1).max(8),
  layersPerBlock: count.max(8).default(2),
  attention: z.array(z.boolean()).describe('per level'),
  heads: z.union([z.strictObject({count}), z.strictObject({dim: count}), z.array(count)]),
  crossAttentionDim: count.optional(),
  linearProjection: z.boolean().default(true),
  normGroups: count.default(32),
});

/** An upsampler's: its channels in and out follow from what it works on, its classes from the noise levels. */
export const upsamplerUNetSchema = unetSchema.omit({inChannels: true, outChannels: true}).extend({
  crossOnly: z.array(z.boolean()).optional().describe('per level: attends to text alone, as in the x4 upscaler'),
});
