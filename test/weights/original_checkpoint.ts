// What the original single files of Stable Diffusion hold, by names and shapes: built from the models' own counts, with names
// that do not come from the key maps under test.
import {
  AutoencoderKL,
  autoencoderPresets,
  TextEncoder,
  textEncoderPresets,
  UNet,
  unetPresets,
} from '../../src/models/index.ts';
import {torchShape} from '../../src/weights/layouts.ts';
import {originalTextName, originalUNetName, originalVaeName} from './original_names.ts';

export type Entry = readonly [string, readonly number[]];

/** Names and shapes (in torch's order) of a whole original single file, full size. */
export function originalCheckpoint(kind: 'sd1' | 'sd2' | 'x4-upscaler'): Entry[] {
  const unet = new UNet(unetPresets[kind]);
  const levels = kind === 'x4-upscaler' ? 3 : 4;
  const vae = new AutoencoderKL(kind === 'x4-upscaler' ? autoencoderPresets['x4-f4'] : autoencoderPresets['sd-f8']);
  const text = new TextEncoder(textEncoderPresets[kind === 'sd1' ? 'clip-vit-l' : 'openclip-vit-h']);
  const shape = (spec: {shape: readonly number[]; layout: Parameters<typeof torchShape>[1]}) =>
    torchShape(spec.shape, spec.layout);
  const entries: Entry[] = unet
    .weightSpecs()
    .map(
      spec =>
        [`model.diffusion_model.${originalUNetName(spec.path, unetPresets[kind].attention)}`, shape(spec)] as const,
    );
  for (const spec of vae.weightSpecs()) {
    const name = originalVaeName(spec.path, levels);
    // The original writes its attention as 1x1 convolutions.
    const conv = /attn_1\.(q|k|v|proj_out)\.weight/.test(name);
    entries.push([`first_stage_model.${name}`, conv ? [...shape(spec), 1, 1] : shape(spec)]);
  }
  for (const spec of text.weightSpecs()) {
    if (kind === 'sd1') entries.push([`cond_stage_model.transformer.text_model.${spec.path}`, shape(spec)]);
    else if (/q_proj/.test(spec.path)) {
      const name = spec.path
        .replace('encoder.layers', 'transformer.resblocks')
        .replace('self_attn.q_proj.', 'attn.in_proj_');
      const [rows = 0, ...rest] = shape(spec);
      entries.push([`cond_stage_model.model.${name}`, [3 * rows, ...rest]]);
    } else if (!/[kv]_proj/.test(spec.path))
      entries.push([`cond_stage_model.model.${originalTextName(spec.path)}`, shape(spec)]);
  }
  // What files carry besides.
  entries.push(
    ['betas', [1000]],
    ['alphas_cumprod', [1000]],
    ['cond_stage_model.transformer.text_model.embeddings.position_ids', [1, 77]],
  );
  if (kind !== 'sd1')
    entries.push(
      ['cond_stage_model.model.text_projection', [1024, 1024]],
      ['cond_stage_model.model.transformer.resblocks.23.ln_1.bias', [1024]],
    );
  return entries;
}
