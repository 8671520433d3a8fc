// Losses of the stages that train an autoencoder: perceptual and adversarial terms, both off where absent.
import {z} from 'zod';
import {optimizerSchema} from './common.ts';

const count = z.int().min(1);

/** LPIPS (Zhang et al. 2018) over VGG-16, whose weights the user brings: none come with this package. */
export const perceptualSchema = z.strictObject({
  weight: z.number().positive().default(1),
  weights: z
    .array(z.string().min(1), {
      error:
        "expected safetensors files that hold torchvision's vgg16 (features.*) and the lpips package's linear layers (lin0.model.1.weight ..); without them leave loss.perceptual out",
    })
    .min(1),
});

export const imageDiscriminatorSchema = z.strictObject({
  channels: count.max(1024).default(64),
  layers: count.max(6).default(3).describe('of stride 2'),
});

export const videoDiscriminatorSchema = z.strictObject({
  channels: count.max(1024).default(64),
  layers: count.max(6).default(3).describe('each halves width and height'),
  temporalLayers: z.int().min(0).max(6).default(2).describe('how many of them, from the first, halve the frames too'),
});

/**
 * The adversarial term; defaults are latent-diffusion's for its KL autoencoders (hinge loss, weight 0.5, Adam with betas
 * 0.5 and 0.9 and no decay, from step 50,001).
 */
export const adversarialShape = {
  weight: z.number().positive().default(0.5),
  adaptive: z
    .boolean()
    .default(true)
    .describe('times the ratio of the gradients of reconstruction and adversary at the last layer'),
  startStep: z.int().min(0).default(50_000).describe('updates before the discriminator takes part'),
  optimizer: optimizerSchema
    .omit({emaDecay: true})
    .extend({
      betas: optimizerSchema.shape.betas.unwrap().default([0.5, 0.9]),
      weightDecay: optimizerSchema.shape.weightDecay.unwrap().default(0),
    })
    .describe("the discriminator's"),
};
export const adversarialSchema = z.strictObject(adversarialShape);
