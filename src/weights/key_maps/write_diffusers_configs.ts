// Our configurations -> diffusers' config.json, for models that diffusers can express.
import {type AutoencoderConfig, headsAt, type TextEncoderConfig, type UNetConfig} from '../../models/index.ts';
import {UserError} from '../../platform/user_error.ts';
import type {Json} from '../json_file.ts';

/** An image model's UNet as a UNet2DConditionModel. @throws UserError for one that diffusers has no word for. */
export function unetToDiffusers(config: UNetConfig): Json {
  const {channels, attention, crossAttentionDim, crossOnly, classEmbedding, addedNumbers, epsilons} = config;
  if (crossAttentionDim === undefined)
    throw new UserError(
      'A UNet without attention to text cannot be written as diffusers has it: its own always has some.',
    );
  if (addedNumbers || epsilons)
    throw new UserError("A UNet with added numbers or other norm epsilons cannot be written as diffusers' image UNet.");
  const heads = channels.map((_, level) => headsAt(config, level));
  const up = channels.map((_, i) => channels.length - 1 - i);
  return {
    _class_name: 'UNet2DConditionModel',
    act_fn: 'silu',
    // The number of heads, by diffusers' misnomer.
    attention_head_dim: heads.every(count => count === heads[0]) ? heads[0] : heads,
    block_out_channels: channels,
    center_input_sample: false,
    cross_attention_dim: crossAttentionDim,
    down_block_types: attention.map(attends => (attends ? 'CrossAttnDownBlock2D' : 'DownBlock2D')),
    downsample_padding: 1,
    flip_sin_to_cos: true,
    freq_shift: 0,
    in_channels: config.inChannels,
    layers_per_block: config.layersPerBlock,
    mid_block_scale_factor: 1,
    norm_eps: 1e-5,
    norm_num_groups: config.normGroups,
    num_class_embeds: classEmbedding ?? null,
    only_cross_attention: crossOnly ?? false,
    out_channels: config.outChannels,
    up_block_types: up.map(level => (attention[level] ? 'CrossAttnUpBlock2D' : 'UpBlock2D')),
    use_linear_projection: config.linearProjection,
  };
}

/** An autoencoder as AutoencoderKL. @throws UserError for one with layers over time. */
export function autoencoderToDiffusers(config: AutoencoderConfig, scaleFactor = config.scaleFactor): Json {
  if (config.temporalDecoder)
    throw new UserError('An autoencoder with layers over time cannot be written as AutoencoderKL.');
  return {
    _class_name: 'AutoencoderKL',
    act_fn: 'silu',
    block_out_channels: config.channels,
    down_block_types: config.channels.map(() => 'DownEncoderBlock2D'),
    in_channels: 3,
    latent_channels: config.latentChannels,
    layers_per_block: config.layersPerBlock,
    mid_block_add_attention: config.midAttention,
    norm_num_groups: config.normGroups,
    out_channels: 3,
    ...(scaleFactor === undefined ? {} : {scaling_factor: scaleFactor}),
    up_block_types: config.channels.map(() => 'UpDecoderBlock2D'),
  };
}

/** A text encoder as transformers' CLIPTextModel. */
export function textEncoderToTransformers(config: TextEncoderConfig): Json {
  return {
    architectures: ['CLIPTextModel'],
    bos_token_id: config.endToken - 1,
    eos_token_id: config.endToken,
    hidden_act: config.activation,
    hidden_size: config.channels,
    intermediate_size: config.hidden,
    layer_norm_eps: 1e-5,
    max_position_embeddings: config.tokens,
    model_type: 'clip_text_model',
    num_attention_heads: config.heads,
    num_hidden_layers: config.layers,
    projection_dim: config.channels,
    vocab_size: config.vocabulary,
  };
}
