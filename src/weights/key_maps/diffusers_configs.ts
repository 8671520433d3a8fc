// diffusers' config.json of a UNet or autoencoder -> ours, checked as what it is: a file from elsewhere.
import type {AutoencoderConfig, TextEncoderConfig, UNetConfig} from '../../models/index.ts';
import {UserError} from '../../platform/user_error.ts';

type Json = Readonly<Record<string, unknown>>;

/** A UNet's config.json (UNet2DConditionModel or UNetSpatioTemporalConditionModel). @throws UserError for what is not one. */
export function unetFromDiffusers(config: Json): UNetConfig {
  const channels = numbers(config, 'block_out_channels');
  const downTypes = texts(config, 'down_block_types');
  const video = downTypes.some(type => type.includes('SpatioTemporal'));
  const levels = channels.length;
  // diffusers calls the number of heads attention_head_dim, and kept the name.
  const heads = config.num_attention_heads ?? config.attention_head_dim ?? 8;
  const crossOnly = Array.isArray(config.only_cross_attention) ? config.only_cross_attention.map(Boolean) : undefined;
  const attention = downTypes.map(type => type.startsWith('CrossAttn'));
  const classes = config.num_class_embeds;
  return {
    inChannels: number(config, 'in_channels'),
    outChannels: number(config, 'out_channels'),
    channels,
    layersPerBlock: number(config, 'layers_per_block', 2),
    attention,
    heads: Array.isArray(heads) ? heads.map(Number) : Array<number>(levels).fill(Number(heads)),
    crossAttentionDim: number(config, 'cross_attention_dim'),
    linearProjection: video || config.use_linear_projection === true,
    normGroups: number(config, 'norm_num_groups', 32),
    ...(crossOnly ? {crossOnly} : {}),
    ...(typeof classes === 'number' ? {classEmbedding: classes} : {}),
    ...(video ? videoParts(config, attention) : {}),
  };
}

/** What SVD's UNet has beyond an image model's. */
function videoParts(config: Json, attention: readonly boolean[]): Partial<UNetConfig> {
  const dim = number(config, 'addition_time_embed_dim');
  return {
    addedNumbers: {count: number(config, 'projection_class_embeddings_input_dim') / dim, dim},
    // diffusers builds SVD's stages with attention, and all on the way up, with another epsilon than the original has.
    epsilons: {down: attention.map(attends => (attends ? 1e-6 : 1e-5)), mid: 1e-5, up: attention.map(() => 1e-6)},
    temporal: {conv: true, attention: true, kernel: [3, 1, 1], alpha: {kind: 'learned', init: 0.5, per: 'layer'}},
  };
}

/** An autoencoder's config.json (AutoencoderKL or AutoencoderKLTemporalDecoder). @throws UserError for what is not one. */
export function autoencoderFromDiffusers(config: Json): AutoencoderConfig {
  const temporal = 'num_frames' in config || config._class_name === 'AutoencoderKLTemporalDecoder';
  const scale = config.scaling_factor;
  return {
    channels: numbers(config, 'block_out_channels'),
    layersPerBlock: number(config, 'layers_per_block', 1),
    latentChannels: number(config, 'latent_channels', 4),
    normGroups: number(config, 'norm_num_groups', 32),
    midAttention: config.mid_block_add_attention !== false,
    ...(typeof scale === 'number' ? {scaleFactor: scale} : {}),
    ...(temporal
      ? {
          postQuantConv: false,
          temporalDecoder: {kernel: [3, 1, 1], alpha: {kind: 'learned', init: 0, per: 'layer'}, epsilon: 1e-5},
        }
      : {}),
  };
}

/** A text encoder's config.json (CLIPTextModel). @throws UserError for what is not one. */
export function textEncoderFromTransformers(config: Json): TextEncoderConfig {
  const activation = config.hidden_act ?? 'quick_gelu';
  if (activation !== 'gelu' && activation !== 'quick_gelu') {
    throw new UserError(`config.json: "hidden_act" must be gelu or quick_gelu, got ${JSON.stringify(activation)}.`);
  }
  const end = number(config, 'eos_token_id', 49407);
  return {
    vocabulary: number(config, 'vocab_size', 49408),
    tokens: number(config, 'max_position_embeddings', 77),
    channels: number(config, 'hidden_size'),
    hidden: number(config, 'intermediate_size'),
    layers: number(config, 'num_hidden_layers'),
    heads: number(config, 'num_attention_heads'),
    activation,
    // Published configurations say 2 by an old mistake; the tokenizer's end token is the last of the vocabulary.
    endToken: end === 2 ? number(config, 'vocab_size', 49408) - 1 : end,
  };
}

function number(config: Json, key: string, otherwise?: number): number {
  const value = config[key] ?? otherwise;
  if (typeof value !== 'number' || !Number.isFinite(value))
    throw new UserError(`config.json: "${key}" must be a number, got ${JSON.stringify(config[key])}.`);
  return value;
}

function numbers(config: Json, key: string): number[] {
  const value = config[key];
  if (!Array.isArray(value) || value.length > 16 || !value.every(item => Number.isInteger(item))) {
    throw new UserError(`config.json: "${key}" must be a list of integers, got ${JSON.stringify(value)}.`);
  }
  return value as number[];
}

function texts(config: Json, key: string): string[] {
  const value = config[key];
  if (!Array.isArray(value) || value.length > 16 || !value.every(item => typeof item === 'string')) {
    throw new UserError(`config.json: "${key}" must be a list of names, got ${JSON.stringify(value)}.`);
  }
  return value as string[];
}
