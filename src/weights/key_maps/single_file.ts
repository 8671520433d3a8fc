// Original single-file checkpoints of Stable Diffusion (one file for UNet, autoencoder and text encoder): which model a file
// holds, told by its keys, and the diffusers name of each key.
import {UserError} from '../../platform/user_error.ts';

/** A weight of one of the models in a file. */
export interface PartName {
  readonly part: 'unet' | 'vae' | 'text';
  /** In diffusers' (transformers') naming. */
  readonly name: string;
}

/** How UNet levels are numbered in the original: levels 0.. with two layers each. */
interface Layout {
  readonly levels: number;
  readonly layers: number;
}
const sd: Layout = {levels: 4, layers: 2};

/** A Stable Diffusion, whole or its UNet alone; an autoencoder alone; a text encoder alone. */
export type SingleFileKind =
  | {
      readonly model: 'sd1' | 'sd2' | 'x4-upscaler';
      /** 9: inpainting; 4, or 7 for the upscaler. */
      readonly inChannels: number;
    }
  | {readonly model: 'vae'}
  | {readonly model: 'clip-vit-l' | 'openclip-vit-h'};

const UNET = 'model.diffusion_model.';
const VAE = 'first_stage_model.';
const CLIP = 'cond_stage_model.transformer.';
const OPEN_CLIP = 'cond_stage_model.model.';

type Shapes = ReadonlyMap<string, {readonly shape: readonly number[]}>;

/** How the keys of a file are named: the prefix that a whole file would have, or diffusers' names of one model. */
export type Naming = {readonly prefix: string} | {readonly diffusers: 'unet' | 'vae' | 'text'};

/** A key that only one naming has, and the naming. The first that is there decides. */
const namings: readonly (readonly [key: string, Naming])[] = [
  [`${UNET}input_blocks.0.0.weight`, {prefix: ''}],
  ['input_blocks.0.0.weight', {prefix: UNET}],
  ['down_blocks.0.resnets.0.conv1.weight', {diffusers: 'unet'}],
  [`${VAE}encoder.conv_in.weight`, {prefix: ''}],
  ['encoder.down.0.block.0.conv1.weight', {prefix: VAE}],
  ['encoder.down_blocks.0.resnets.0.conv1.weight', {diffusers: 'vae'}],
  [`${CLIP}text_model.embeddings.token_embedding.weight`, {prefix: ''}],
  [`${OPEN_CLIP}token_embedding.weight`, {prefix: ''}],
  ['text_model.embeddings.token_embedding.weight', {diffusers: 'text'}],
  ['token_embedding.weight', {prefix: OPEN_CLIP}],
];

/** How a file's keys are named; undefined where it has none of the keys known here. */
export function namingOf(tensors: Shapes): Naming | undefined {
  return namings.find(([key]) => tensors.has(key))?.[1];
}

/** What a single file holds, by its keys under whole-file names or diffusers'; undefined where it is none of the kinds. */
export function recogniseSingleFile(tensors: Shapes): SingleFileKind | undefined {
  const naming = namingOf(tensors);
  if (!naming) return undefined;
  const shapeOf = (original: string, diffusers: string) => {
    if ('diffusers' in naming) return tensors.get(diffusers)?.shape;
    return tensors.get(original.slice(naming.prefix.length))?.shape;
  };
  const inChannels = shapeOf(`${UNET}input_blocks.0.0.weight`, 'conv_in.weight')?.[1];
  const isUNet =
    'prefix' in naming ? naming.prefix !== VAE && naming.prefix !== OPEN_CLIP : naming.diffusers === 'unet';
  if (isUNet && inChannels !== undefined) {
    if (shapeOf(`${UNET}label_emb.weight`, 'class_embedding.weight')) return {model: 'x4-upscaler', inChannels};
    const text = shapeOf(
      `${UNET}input_blocks.2.1.transformer_blocks.0.attn2.to_k.weight`,
      'down_blocks.0.attentions.1.transformer_blocks.0.attn2.to_k.weight',
    )?.at(-1);
    return text === 1024 ? {model: 'sd2', inChannels} : text === 768 ? {model: 'sd1', inChannels} : undefined;
  }
  if (shapeOf(`${VAE}encoder.conv_in.weight`, 'encoder.conv_in.weight')) return {model: 'vae'};
  const width =
    shapeOf(`${CLIP}text_model.embeddings.token_embedding.weight`, 'text_model.embeddings.token_embedding.weight') ??
    shapeOf(`${OPEN_CLIP}token_embedding.weight`, 'text_model.embeddings.token_embedding.weight');
  if (width?.[1] === 768) return {model: 'clip-vit-l'};
  return width?.[1] === 1024 ? {model: 'openclip-vit-h'} : undefined;
}

/** The part and diffusers name of a key, whatever its naming; undefined for what is no weight of the models read here. */
export function partOfKey(key: string, naming: Naming): PartName | undefined {
  if ('prefix' in naming) return isBeside(key) ? undefined : fromSingleFile(naming.prefix + key);
  if (isTrainingState(key) || isBeside(key)) return undefined;
  return {part: naming.diffusers, name: key.replace(/^text_model\./, '')};
}

/** What lies beside a model in its file: the image half of CLIP, an autoencoder's discriminator. */
function isBeside(key: string): boolean {
  return /^(vision_model\.|visual\.|visual_projection\.|text_projection\.weight$|logit_scale$|loss\.|model_ema\.|first_stage_model\.loss\.)/.test(
    key,
  );
}

/** Keys that are no weights: training state, buffers, and (unless asked for) averaged copies. */
export function isTrainingState(key: string): boolean {
  return (
    /^(model_ema\.|betas$|alphas_cumprod|sqrt_|log_one_minus|posterior_|logvar$|lvlb_weights$|global_step$|epoch$|pytorch-lightning|optimizer_|lr_schedulers|callbacks|loops|low_scale_model\.)/.test(
      key,
    ) || /(^|\.)position_ids$/.test(key)
  );
}

/** The key of a UNet weight's average: all dots removed after the prefix. */
export function emaKey(unetKey: string): string {
  return `model_ema.${unetKey.replace(/^model\./, '').replaceAll('.', '')}`;
}

/** The part and diffusers name of a key, or undefined for training state. @throws UserError for a key of no known form. */
export function fromSingleFile(key: string): PartName | undefined {
  if (isTrainingState(key)) return undefined;
  if (key.startsWith(UNET)) return {part: 'unet', name: unetName(key.slice(UNET.length))};
  if (key.startsWith(VAE)) return {part: 'vae', name: vaeName(key.slice(VAE.length))};
  if (key.startsWith(CLIP)) return {part: 'text', name: key.slice(CLIP.length).replace(/^text_model\./, '')};
  if (key.startsWith(OPEN_CLIP)) {
    const name = openClipName(key.slice(OPEN_CLIP.length));
    return name === undefined ? undefined : {part: 'text', name};
  }
  throw new UserError(`The key "${key}" is none of a Stable Diffusion file.`);
}

const resnetNames = [
  ['in_layers.0.', 'norm1.'],
  ['in_layers.2.', 'conv1.'],
  ['emb_layers.1.', 'time_emb_proj.'],
  ['out_layers.0.', 'norm2.'],
  ['out_layers.3.', 'conv2.'],
  ['skip_connection.', 'conv_shortcut.'],
] as const;

const unetEnds = [
  ['time_embed.0.', 'time_embedding.linear_1.'],
  ['time_embed.2.', 'time_embedding.linear_2.'],
  ['label_emb.', 'class_embedding.'],
  ['input_blocks.0.0.', 'conv_in.'],
  ['out.0.', 'conv_norm_out.'],
  ['out.2.', 'conv_out.'],
] as const;

/** model.diffusion_model.* -> diffusers. */
export function unetName(key: string, {levels, layers}: Layout = sd): string {
  for (const [from, to] of unetEnds) if (key.startsWith(from)) return to + key.slice(from.length);
  const found = /^(input_blocks|middle_block|output_blocks)\.(\d+)\.(.*)$/.exec(key);
  if (!found) throw new UserError(`The UNet key "${key}" is none of Stable Diffusion's.`);
  const [, side, number, rest = ''] = found;
  const n = Number(number);
  if (side === 'middle_block')
    return n === 1 ? `mid_block.attentions.0.${rest}` : `mid_block.resnets.${n / 2}.${resnetName(rest)}`;
  const inner = rest.slice(rest.indexOf('.') + 1);
  const at = Number(rest.slice(0, rest.indexOf('.')));
  if (side === 'input_blocks') {
    const level = Math.floor((n - 1) / (layers + 1));
    const layer = (n - 1) % (layers + 1);
    if (level >= levels) throw new UserError(`The UNet key "${key}" belongs to level ${level}, of ${levels}.`);
    if (layer === layers) return `down_blocks.${level}.downsamplers.0.conv.${inner.replace(/^op\./, '')}`;
    return at === 0
      ? `down_blocks.${level}.resnets.${layer}.${resnetName(inner)}`
      : `down_blocks.${level}.attentions.${layer}.${inner}`;
  }
  const level = Math.floor(n / (layers + 1));
  const layer = n % (layers + 1);
  if (level >= levels) throw new UserError(`The UNet key "${key}" belongs to level ${level}, of ${levels}.`);
  if (at === 0) return `up_blocks.${level}.resnets.${layer}.${resnetName(inner)}`;
  // The upsampler comes after the attention where there is one, else takes its place.
  if (inner.startsWith('conv.')) return `up_blocks.${level}.upsamplers.0.${inner}`;
  return `up_blocks.${level}.attentions.${layer}.${inner}`;
}

function resnetName(rest: string): string {
  for (const [from, to] of resnetNames) if (rest.startsWith(from)) return to + rest.slice(from.length);
  throw new UserError(`The residual block key "${rest}" is none of Stable Diffusion's.`);
}

/** How many levels the autoencoder of a file has: its decoder counts them from the coarsest in the original. */
export function vaeLevels(keys: Iterable<string>): number {
  let levels = 0;
  for (const key of keys) {
    const level = /(?:^|\.)(?:encoder\.down|decoder\.up)\.(\d+)\./.exec(key)?.[1];
    if (level !== undefined) levels = Math.max(levels, Number(level) + 1);
  }
  return levels;
}

/** first_stage_model.* -> diffusers, `levels` of them. */
export function vaeName(key: string, levels = 4): string {
  return key
    .replace(/^encoder\.down\.(\d+)\.block\./, 'encoder.down_blocks.$1.resnets.')
    .replace(/^encoder\.down\.(\d+)\.downsample\./, 'encoder.down_blocks.$1.downsamplers.0.')
    .replace(/^decoder\.up\.(\d+)\.block\./, (_, i: string) => `decoder.up_blocks.${levels - 1 - Number(i)}.resnets.`)
    .replace(
      /^decoder\.up\.(\d+)\.upsample\./,
      (_, i: string) => `decoder.up_blocks.${levels - 1 - Number(i)}.upsamplers.0.`,
    )
    .replace(/\.mid\.block_(\d)\./, (_, i: string) => `.mid_block.resnets.${Number(i) - 1}.`)
    .replace('.mid.attn_1.norm.', '.mid_block.attentions.0.group_norm.')
    .replace('.mid.attn_1.proj_out.', '.mid_block.attentions.0.to_out.0.')
    .replace(/\.mid\.attn_1\.([qkv])\./, '.mid_block.attentions.0.to_$1.')
    .replace('.nin_shortcut.', '.conv_shortcut.')
    .replace('.norm_out.', '.conv_norm_out.');
}

const openClipNames = [
  [/^positional_embedding$/, 'embeddings.position_embedding.weight'],
  [/^token_embedding\./, 'embeddings.token_embedding.'],
  [/^ln_final\./, 'final_layer_norm.'],
  [/^transformer\.resblocks\.(\d+)\.ln_([12])\./, 'encoder.layers.$1.layer_norm$2.'],
  [/^transformer\.resblocks\.(\d+)\.attn\.out_proj\./, 'encoder.layers.$1.self_attn.out_proj.'],
  [/^transformer\.resblocks\.(\d+)\.mlp\.c_fc\./, 'encoder.layers.$1.mlp.fc1.'],
  [/^transformer\.resblocks\.(\d+)\.mlp\.c_proj\./, 'encoder.layers.$1.mlp.fc2.'],
  // Queries, keys and values in one: split by `splitInProjection`.
  [/^transformer\.resblocks\.(\d+)\.attn\.in_proj_(weight|bias)$/, 'encoder.layers.$1.self_attn.in_proj.$2'],
] as const;

/** cond_stage_model.model.* -> transformers, without `text_model.`; undefined for what Stable Diffusion 2.x does not use. */
export function openClipName(key: string): string | undefined {
  // The last of 24 layers and the projection: SD 2.x takes the layer before.
  if (
    /^transformer\.resblocks\.23\./.test(key) ||
    key === 'text_projection' ||
    key === 'logit_scale' ||
    key === 'attn_mask'
  )
    return undefined;
  for (const [pattern, to] of openClipNames) if (pattern.test(key)) return key.replace(pattern, to);
  throw new UserError(`The text encoder key "${key}" is none of OpenCLIP's.`);
}

/** The q, k and v of a joint projection's name: each takes a third of its rows. */
export function splitInProjection(name: string): readonly [string, string, string] | undefined {
  if (!name.includes('.in_proj.')) return undefined;
  const part = (letter: string) => name.replace('.in_proj.', `.${letter}_proj.`);
  return [part('q'), part('k'), part('v')];
}
