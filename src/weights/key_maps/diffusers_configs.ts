// diffusers' config.json of a UNet or autoencoder -> ours, checked as what it is: a file from elsewhere.
import type {AutoencoderConfig, TextEncoderConfig, UNetConfig} from '../../models/index.ts';
import {UserError} from '../../platform/user_error.ts';

type Json = Readonly<Record<string, unknown>>;

/** A configuration and the name of its file. */
interface Labelled {
  readonly config: Json;
  readonly label: string;
}

/** What a UNet's configuration may say beside what is read, each with the only value that is known here. */
const unetFixed: Json = {
  act_fn: 'silu',
  addition_embed_type: null,
  center_input_sample: false,
  class_embed_type: null,
  conv_in_kernel: 3,
  conv_out_kernel: 3,
  downsample_padding: 1,
  dual_cross_attention: false,
  encoder_hid_dim: null,
  flip_sin_to_cos: true,
  freq_shift: 0,
  mid_block_type: 'UNetMidBlock2DCrossAttn',
  norm_eps: 1e-5,
  resnet_time_scale_shift: 'default',
  time_embedding_type: 'positional',
  transformer_layers_per_block: 1,
};

/** @throws UserError for the first key that asks for what is not built here. */
function refuseUnknown({config, label}: Labelled, fixed: Json): void {
  for (const [key, only] of Object.entries(fixed)) {
    const value = config[key];
    // Older files leave out, or write null for, what newer ones name.
    if (value !== undefined && value !== null && value !== only)
      throw new UserError(
        `${label}: "${key}" is ${JSON.stringify(value)}; only ${JSON.stringify(only)} is known here.`,
      );
  }
}

/** A UNet's config.json (UNet2DConditionModel or UNetSpatioTemporalConditionModel). @throws UserError for what is not one. */
export function unetFromDiffusers(json: Json, label = 'config.json'): UNetConfig {
  const config = {config: json, label};
  refuseUnknown(config, unetFixed);
  const channels = numbers(config, 'block_out_channels');
  const downTypes = texts(config, 'down_block_types');
  const video = downTypes.some(type => type.includes('SpatioTemporal'));
  const levels = channels.length;
  // diffusers calls the number of heads attention_head_dim, and kept the name.
  const heads = json.num_attention_heads ?? json.attention_head_dim ?? 8;
  const crossOnly = Array.isArray(json.only_cross_attention) ? json.only_cross_attention.map(Boolean) : undefined;
  const attention = downTypes.map(type => type.startsWith('CrossAttn'));
  const classes = json.num_class_embeds;
  return {
    inChannels: number(config, 'in_channels'),
    outChannels: number(config, 'out_channels'),
    channels,
    layersPerBlock: number(config, 'layers_per_block', 2),
    attention,
    heads: Array.isArray(heads) ? heads.map(Number) : Array<number>(levels).fill(Number(heads)),
    crossAttentionDim: number(config, 'cross_attention_dim'),
    linearProjection: video || json.use_linear_projection === true,
    normGroups: number(config, 'norm_num_groups', 32),
    ...(crossOnly ? {crossOnly} : {}),
    ...(typeof classes === 'number' ? {classEmbedding: classes} : {}),
    ...(video ? videoParts(config, attention) : {}),
  };
}

/** What SVD's UNet has beyond an image model's. */
function videoParts(config: Labelled, attention: readonly boolean[]): Partial<UNetConfig> {
  const dim = number(config, 'addition_time_embed_dim');
  return {
    addedNumbers: {count: number(config, 'projection_class_embeddings_input_dim') / dim, dim},
    // diffusers builds SVD's stages with attention, and all on the way up, with another epsilon than the original has.
    epsilons: {down: attention.map(attends => (attends ? 1e-6 : 1e-5)), mid: 1e-5, up: attention.map(() => 1e-6)},
    temporal: {conv: true, attention: true, kernel: [3, 1, 1], alpha: {kind: 'learned', init: 0.5, per: 'layer'}},
  };
}

/** An autoencoder's config.json (AutoencoderKL or AutoencoderKLTemporalDecoder). @throws UserError for what is not one. */
export function autoencoderFromDiffusers(json: Json, label = 'config.json'): AutoencoderConfig {
  const config = {config: json, label};
  refuseUnknown(config, {act_fn: 'silu'});
  const temporal = 'num_frames' in json || json._class_name === 'AutoencoderKLTemporalDecoder';
  const scale = json.scaling_factor;
  return {
    channels: numbers(config, 'block_out_channels'),
    layersPerBlock: number(config, 'layers_per_block', 1),
    latentChannels: number(config, 'latent_channels', 4),
    normGroups: number(config, 'norm_num_groups', 32),
    midAttention: json.mid_block_add_attention !== false,
    // diffusers' own default, which older files leave out.
    scaleFactor: typeof scale === 'number' && scale > 0 ? scale : 0.18215,
    ...(temporal
      ? {
          postQuantConv: false,
          temporalDecoder: {kernel: [3, 1, 1], alpha: {kind: 'learned', init: 0, per: 'layer'}, epsilon: 1e-5},
        }
      : {}),
  };
}

/** A text encoder's config.json (CLIPTextModel). @throws UserError for what is not one. */
export function textEncoderFromTransformers(json: Json, label = 'config.json'): TextEncoderConfig {
  const config = {config: json, label};
  const activation = json.hidden_act ?? 'quick_gelu';
  if (activation !== 'gelu' && activation !== 'quick_gelu') {
    throw new UserError(`${label}: "hidden_act" must be gelu or quick_gelu, got ${JSON.stringify(activation)}.`);
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

function number({config, label}: Labelled, key: string, otherwise?: number): number {
  const value = config[key] ?? otherwise;
  if (typeof value !== 'number' || !Number.isFinite(value))
    throw new UserError(`${label}: "${key}" must be a number, got ${JSON.stringify(config[key])}.`);
  return value;
}

function numbers({config, label}: Labelled, key: string): number[] {
  const value = config[key];
  if (!Array.isArray(value) || value.length > 16 || !value.every(item => Number.isInteger(item))) {
    throw new UserError(`${label}: "${key}" must be a list of integers, got ${JSON.stringify(value)}.`);
  }
  return value as number[];
}

function texts({config, label}: Labelled, key: string): string[] {
  const value = config[key];
  if (!Array.isArray(value) || value.length > 16 || !value.every(item => typeof item === 'string')) {
    throw new UserError(`${label}: "${key}" must be a list of names, got ${JSON.stringify(value)}.`);
  }
  return value as string[];
}
