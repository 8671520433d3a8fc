// A single file of Stable Diffusion: what it holds is told by its keys and shapes.
import {open} from 'node:fs/promises';
import {type Prediction, stableDiffusionSchedule} from '../../diffusion/index.ts';
import {
  type AutoencoderConfig,
  AutoencoderKL,
  autoencoderPresets,
  TextEncoder,
  type TextEncoderConfig,
  textEncoderPresets,
  UNet,
  type UNetConfig,
  unetPresets,
} from '../../models/index.ts';
import {UserError} from '../../platform/user_error.ts';
import {explained} from '../file_errors.ts';
import type {DiffusionSettings} from '../key_maps/scheduler_config.ts';
import type {SingleFileKind} from '../key_maps/single_file.ts';
import {
  autoencoderToDiffusers,
  textEncoderToTransformers,
  unetToDiffusers,
} from '../key_maps/write_diffusers_configs.ts';
import type {WeightSource} from '../load_weights.ts';
import {scheduler, tokenizerFiles} from './small_files.ts';
import {type Found, type ImportOptions, type Open, type Source, textName} from './source.ts';
import {refusePickle, splitSingleFile} from './split_single_file.ts';

export async function fromFile(options: ImportOptions, openFile: Open): Promise<Source> {
  const {source, ema = false, allowUnexpected = false, prediction} = options;
  refusePickle(source, await firstBytes(source));
  const {kind, parts, unexpected} = splitSingleFile(await openFile(source), {ema, allowUnexpected});
  const found: Found[] = [];
  const pathOf = (name: string) => name;
  const {unet, vae, text} = parts;
  if (unet) {
    const config = unetOf(kind);
    found.push({
      part: 'unet',
      model: new UNet(config),
      source: unet,
      pathOf,
      config: unetToDiffusers(config),
      nameOf: pathOf,
    });
  }
  if (vae) {
    const config = autoencoderOf(vae, kind, options.scaleFactor);
    const model = new AutoencoderKL(config);
    found.push({part: 'vae', model, source: vae, pathOf, config: autoencoderToDiffusers(config), nameOf: pathOf});
  }
  if (text) {
    const config = textOf(kind);
    const model = new TextEncoder(config);
    found.push({
      part: 'text_encoder',
      model,
      source: text,
      pathOf,
      config: textEncoderToTransformers(config),
      nameOf: textName,
    });
  }
  const diffusion = unet && diffusionOf(kind, prediction, source);
  return {
    kind: `single file of ${kind.model}`,
    found,
    diffusion,
    unexpected,
    hasTokenizer: options.tokenizer !== undefined,
    files: [
      ...(diffusion ? [scheduler(diffusion)] : []),
      ...(kind.model === 'x4-upscaler' ? [scheduler(upscalerDiffusion, 'low_res_scheduler')] : []),
      ...tokenizerFiles(options.tokenizer, 'tokenizer'),
    ],
  };
}

function unetOf(kind: SingleFileKind): UNetConfig {
  if (!('inChannels' in kind)) throw new Error(`A file of ${kind.model} has no UNet.`);
  return {...unetPresets[kind.model], inChannels: kind.inChannels};
}

function textOf({model}: SingleFileKind): TextEncoderConfig {
  return textEncoderPresets[model === 'sd1' || model === 'clip-vit-l' ? 'clip-vit-l' : 'openclip-vit-h'];
}

/** Told by the shapes in the file: levels, widths, blocks a level. */
function autoencoderOf(
  source: WeightSource,
  {model}: SingleFileKind,
  scaleFactor: number | undefined,
): AutoencoderConfig {
  const widthOf = (level: number) =>
    source.tensors.get(`encoder.down_blocks.${level}.resnets.0.conv1.weight`)?.shape[0];
  const channels: number[] = [];
  for (let width = widthOf(0); width !== undefined && channels.length < 16; width = widthOf(channels.length))
    channels.push(width);
  let layersPerBlock = 1;
  while (source.tensors.has(`encoder.down_blocks.0.resnets.${layersPerBlock}.conv1.weight`)) layersPerBlock++;
  const latentChannels = source.tensors.get('decoder.conv_in.weight')?.shape[1] ?? 4;
  const usual =
    model === 'x4-upscaler' || channels.length === 3 ? autoencoderPresets['x4-f4'] : autoencoderPresets['sd-f8'];
  return {
    channels,
    layersPerBlock,
    latentChannels,
    normGroups: 32,
    midAttention: source.tensors.has('encoder.mid_block.attentions.0.to_q.weight'),
    scaleFactor: scaleFactor ?? usual.scaleFactor,
  };
}

/** The x4 upscaler's own schedule. */
const upscalerDiffusion: DiffusionSettings = {
  schedule: {...stableDiffusionSchedule, betaStart: 1e-4, betaEnd: 0.02},
  prediction: 'v',
};

function diffusionOf(kind: SingleFileKind, prediction: Prediction | undefined, source: string): DiffusionSettings {
  if (kind.model === 'x4-upscaler') return {...upscalerDiffusion, ...(prediction ? {prediction} : {})};
  if (kind.model === 'sd2' && !prediction)
    throw new UserError(
      `${source} is of Stable Diffusion 2.x, whose files do not say what the network predicts: give --prediction v (2.0 and 2.1 at 768 pixels) or eps (the base models at 512).`,
    );
  return {schedule: stableDiffusionSchedule, prediction: prediction ?? 'eps'};
}

async function firstBytes(file: string): Promise<Uint8Array> {
  return explained('read', file, async () => {
    const handle = await open(file, 'r');
    try {
      const {bytesRead, buffer} = await handle.read(new Uint8Array(16), 0, 16, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  });
}
