// A folder as diffusers saves it.
import path from 'node:path';
import {stableDiffusionSchedule} from '../../diffusion/index.ts';
import type {Block} from '../../layers/block.ts';
import {AutoencoderKL, TextEncoder, UNet} from '../../models/index.ts';
import {UserError} from '../../platform/user_error.ts';
import {toSvd} from '../key_maps/diffusers.ts';
import {type FolderModel, readModelFolder} from '../model_folder.ts';
import type {PartName} from '../write_model_folder.ts';
import {scheduler, tokenizerFiles} from './small_files.ts';
import {type Found, type ImportOptions, type Open, type Source, textName} from './source.ts';

export async function fromFolder(options: ImportOptions, openFile: Open): Promise<Source> {
  const {source, variant, prediction} = options;
  const folder = await readModelFolder(source, {variant, prediction});
  const {unet, vae, text, temporalText, temporal, tokenizer, temporalTokenizer, diffusion, lowResolution} = folder;
  const found: Found[] = [];
  const add = async (
    part: PartName,
    model: FolderModel<unknown>,
    block: Block,
    nameOf: (path: string) => string = name => name,
  ) => {
    const {file, pathOf} = model;
    const config = {copyOf: path.join(model.folder, 'config.json')};
    found.push({part, model: block, source: await openFile(file), pathOf, config, nameOf});
  };
  if (unet) await add('unet', unet, new UNet(unet.config), unet.config.temporal ? toSvd : undefined);
  if (vae) await add('vae', vae, new AutoencoderKL(vae.config), vae.config.temporalDecoder ? decoderToSvd : undefined);
  if (text) await add('text_encoder', text, new TextEncoder(text.config), textName);
  if (temporalText) await add('temporal_text_encoder', temporalText, new TextEncoder(temporalText.config), textName);
  if (temporal && unet) throw new UserError(`${source} has temporal/ apart: it is a model folder already.`);
  const settings = diffusion ?? (unet && prediction ? {schedule: stableDiffusionSchedule, prediction} : undefined);
  return {
    kind: 'diffusers folder',
    found,
    diffusion: settings,
    hasTokenizer: tokenizer !== undefined || options.tokenizer !== undefined,
    unexpected: [],
    files: [
      ...(settings ? [scheduler(settings)] : []),
      ...(lowResolution ? [scheduler(lowResolution, 'low_res_scheduler')] : []),
      ...tokenizerFiles(options.tokenizer ?? tokenizer?.folder, 'tokenizer'),
      ...tokenizerFiles(temporalTokenizer?.folder, 'temporal_tokenizer'),
    ],
  };
}

/** An autoencoder's path under SVD's name, which only its decoder over time has. */
const decoderToSvd = (name: string) => (name.startsWith('decoder.') ? toSvd(name) : name);
