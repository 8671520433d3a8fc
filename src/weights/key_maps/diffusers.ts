// File names of weights in diffusers folders and in Stable Video Diffusion's, and our paths. Ours are diffusers' own, but for
// SVD's extra segment `spatial_res_block` and the attention names of old files.

const renamed: readonly (readonly [RegExp, string])[] = [
  // SVD puts a spatial residual block one level deeper than an image model has it.
  [/(^|\.)spatial_res_block\./, '$1'],
  // Autoencoders published before mid-2023.
  [/(attentions\.\d+)\.query\./, '$1.to_q.'],
  [/(attentions\.\d+)\.key\./, '$1.to_k.'],
  [/(attentions\.\d+)\.value\./, '$1.to_v.'],
  [/(attentions\.\d+)\.proj_attn\./, '$1.to_out.0.'],
];

/** Our path of a diffusers or SVD weight name. */
export function fromDiffusers(name: string): string {
  return renamed.reduce((path, [pattern, replacement]) => path.replace(pattern, replacement), name);
}

/** SVD's name of a weight of a video model: spatial residual blocks one level deeper, beside their temporal twins. */
export function toSvd(path: string): string {
  return path.replace(/(resnets\.\d+\.)(?!temporal_res_block\.|time_mixer\.)/, '$1spatial_res_block.');
}
