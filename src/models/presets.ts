// The published networks, by name: Stable Diffusion's UNets and autoencoders, and the temporal layers of Video LDM. The
// numbers of parameters in their tests are those of the papers.
import type {AutoencoderConfig} from './autoencoder.ts';
import type {TemporalConfig, UNetConfig} from './unet_config.ts';

const sd = {
  inChannels: 4,
  outChannels: 4,
  channels: [320, 640, 1280, 1280],
  layersPerBlock: 2,
  attention: [true, true, true, false],
  normGroups: 32,
} as const;

/** UNets by name. */
export const unetPresets = {
  /** Stable Diffusion 1.x: 8 heads everywhere, 1x1 convolutions around transformers, CLIP ViT-L text. */
  sd1: {...sd, heads: {count: 8}, crossAttentionDim: 768, linearProjection: false},
  /** Stable Diffusion 2.x: heads of 64 channels, linear projections, OpenCLIP ViT-H text. */
  sd2: {...sd, heads: {dim: 64}, crossAttentionDim: 1024, linearProjection: true},
  /** The x4 upscaler: latents joined with the low-resolution RGB, its noise level as a class, text-only attention on three levels. */
  'x4-upscaler': {
    ...sd,
    inChannels: 7,
    channels: [256, 512, 512, 1024],
    attention: [false, true, true, true],
    heads: {count: 8},
    crossAttentionDim: 1024,
    crossOnly: [true, true, true, false],
    linearProjection: true,
    classEmbedding: 1000,
  },
} as const satisfies Record<string, UNetConfig>;

/** Temporal layers as counted in the paper (656M on SD 2.x, 649M on SD 1.x). */
export const videoLdmTemporal = {
  conv: true,
  attention: true,
  kernel: [3, 1, 1],
  alpha: {kind: 'learned', init: 0.5, per: 'layer'},
} as const satisfies TemporalConfig;

/** Autoencoders by name. */
export const autoencoderPresets = {
  /** Stable Diffusion 1.x and 2.x: 8 times smaller. */
  'sd-f8': {
    channels: [128, 256, 512, 512],
    layersPerBlock: 2,
    latentChannels: 4,
    normGroups: 32,
    midAttention: true,
    scaleFactor: 0.18215,
  },
  /** The x4 upscaler's: 4 times smaller. */
  'x4-f4': {
    channels: [128, 256, 512],
    layersPerBlock: 2,
    latentChannels: 4,
    normGroups: 32,
    midAttention: true,
    scaleFactor: 0.08333,
  },
} as const satisfies Record<string, AutoencoderConfig>;
