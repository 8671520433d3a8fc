// Folders of models as published ones are laid out, small enough for tests.
import {mkdirSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import type {Block, WeightSpec} from '../../src/layers/block.ts';
import {AutoencoderKL, TextEncoder, UNet} from '../../src/models/index.ts';
import {normals} from '../../src/random/index.ts';
import {elements, type HostTensor, hostF32, toFloatDtype} from '../../src/weights/host_tensor.ts';
import {
  autoencoderFromDiffusers,
  textEncoderFromTransformers,
  unetFromDiffusers,
} from '../../src/weights/key_maps/diffusers_configs.ts';
import {torchShape} from '../../src/weights/layouts.ts';
import {writeSafetensors} from '../../src/weights/safetensors.ts';

export const smallUNetJson = {
  _class_name: 'UNet2DConditionModel',
  in_channels: 4,
  out_channels: 4,
  block_out_channels: [8, 16],
  down_block_types: ['DownBlock2D', 'CrossAttnDownBlock2D'],
  up_block_types: ['CrossAttnUpBlock2D', 'UpBlock2D'],
  layers_per_block: 1,
  cross_attention_dim: 8,
  attention_head_dim: [1, 2],
  use_linear_projection: true,
  norm_num_groups: 4,
} as const;

export const smallVaeJson = {
  _class_name: 'AutoencoderKL',
  in_channels: 3,
  out_channels: 3,
  down_block_types: ['DownEncoderBlock2D', 'DownEncoderBlock2D'],
  latent_channels: 4,
  layers_per_block: 1,
  block_out_channels: [8, 8],
  norm_num_groups: 4,
  scaling_factor: 0.5,
} as const;

export const smallTextJson = {
  architectures: ['CLIPTextModel'],
  vocab_size: 516,
  hidden_size: 8,
  intermediate_size: 16,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  max_position_embeddings: 77,
  hidden_act: 'gelu',
  eos_token_id: 515,
} as const;

export const smallSchedulerJson = {
  _class_name: 'PNDMScheduler',
  beta_schedule: 'scaled_linear',
  beta_start: 0.00085,
  beta_end: 0.012,
  num_train_timesteps: 1000,
  prediction_type: 'v_prediction',
} as const;

export const specsOf = {
  unet: (json: object = smallUNetJson) => new UNet(unetFromDiffusers({...json})).weightSpecs(),
  vae: (json: object = smallVaeJson) => new AutoencoderKL(autoencoderFromDiffusers({...json})).weightSpecs(),
  text: (json: object = smallTextJson) => new TextEncoder(textEncoderFromTransformers({...json})).weightSpecs(),
} satisfies Record<string, (json?: object) => ReturnType<Block['weightSpecs']>>;

/** Random values for each weight under the names given. */
export function randomTensors(
  specs: readonly WeightSpec[],
  {
    seed = 3,
    dtype = 'F16',
    nameOf = (name: string) => name,
  }: {
    seed?: number;
    dtype?: 'F16' | 'F32';
    nameOf?: (path: string) => string;
  } = {},
): Map<string, HostTensor> {
  return new Map(
    specs.map((spec, i) => {
      const shape = torchShape(spec.shape, spec.layout);
      const values = normals({seed, stream: 'init', step: i}, elements(shape)).map(value => value / 8);
      return [nameOf(spec.path), toFloatDtype(hostF32(shape, values), dtype)] as const;
    }),
  );
}

/** A tokenizer of single bytes. */
export function writeTokenizer(folder: string): void {
  mkdirSync(folder, {recursive: true});
  const printable = Array.from({length: 94}, (_, i) => String.fromCharCode(33 + i));
  const vocabulary = [...printable, ...printable.map(character => `${character}</w>`)];
  const tokens: Record<string, number> = Object.fromEntries(vocabulary.map((token, i) => [token, i]));
  writeFileSync(
    path.join(folder, 'vocab.json'),
    JSON.stringify({...tokens, '<|startoftext|>': 514, '<|endoftext|>': 515}),
  );
  writeFileSync(path.join(folder, 'merges.txt'), '#version: 0.2\n');
}

/** A whole folder: unet, vae, text_encoder, tokenizer, scheduler. */
export async function writeModelFolder(folder: string, options: {seed?: number} = {}): Promise<string> {
  const part = async (name: string, json: object, file: string, tensors: Map<string, HostTensor>) => {
    const place = path.join(folder, name);
    mkdirSync(place, {recursive: true});
    writeFileSync(path.join(place, 'config.json'), JSON.stringify(json));
    await writeSafetensors(path.join(place, file), tensors, {metadata: {format: 'pt'}});
  };
  await part('unet', smallUNetJson, 'diffusion_pytorch_model.safetensors', randomTensors(specsOf.unet(), options));
  await part('vae', smallVaeJson, 'diffusion_pytorch_model.safetensors', randomTensors(specsOf.vae(), options));
  const nameOf = (name: string) => `text_model.${name}`;
  await part('text_encoder', smallTextJson, 'model.safetensors', randomTensors(specsOf.text(), {...options, nameOf}));
  writeTokenizer(path.join(folder, 'tokenizer'));
  mkdirSync(path.join(folder, 'scheduler'), {recursive: true});
  writeFileSync(path.join(folder, 'scheduler', 'scheduler_config.json'), JSON.stringify(smallSchedulerJson));
  return folder;
}
