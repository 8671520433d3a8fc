// What a later stage starts from and what is sampled, wherever it lies: a run of this project, or a folder of published
// models (`video-ldm import` writes one; any diffusers folder is one).
import {existsSync} from 'node:fs';
import type {Ancestor} from '../../checkpoints/index.ts';
import type {Block, WeightSpec} from '../../src/layers/block.ts';
import {
  AutoencoderKL,
  readTokenizer,
  type TemporalConfig,
  TextEncoder,
  UNet,
  type UNetConfig,
} from '../../src/models/index.ts';
import {UserError} from '../../src/platform/user_error.ts';
import {readWeights} from '../../src/weights/load_weights.ts';
import {type FolderModel, isModelFolder, type ModelFolder, readModelFolder} from '../../src/weights/model_folder.ts';
import {withSafetensors} from '../../src/weights/safetensors.ts';
import type {HostModel, HostText, Parts} from './parts.ts';

/** Models that belong together, as a run or a model folder holds them. */
export interface LoadedModels extends Parts {
  readonly path: string;
  /** The checkpoint that the weights are of; the folder itself for published models. */
  readonly checkpoint: string;
  readonly step: number;
  /** The stage that trained them last; `imported` for a model folder. */
  readonly stage: string;
  /** What they grew out of, nearest first; absent where nobody wrote it down. */
  readonly lineage?: readonly Ancestor[] | undefined;
}

/**
 * The models of a model folder, every key accounted for.
 * @throws UserError where it has a UNet without a schedule, a text encoder without a tokenizer, or weights that do not fit.
 */
export async function loadModelFolder(folder: string, {values = true}: {values?: boolean} = {}): Promise<LoadedModels> {
  const {unet, temporal, vae, text, tokenizer, temporalText, temporalTokenizer, diffusion, lowResolution} =
    await readModelFolder(folder);
  if (unet && !diffusion)
    throw new UserError(
      `${folder} has no scheduler/scheduler_config.json, without which its noise schedule and target are unknown: import it with --prediction eps or v.`,
    );
  const autoencoder = vae && (await hostModel(vae, new AutoencoderKL(vae.config), {values}));
  const [spatialText, ownText] = [
    await hostText(folder, text, tokenizer, 'tokenizer', values),
    await hostText(folder, temporalText, temporalTokenizer, 'temporal_tokenizer', values),
  ];
  const scaleFactor = vae?.config.scaleFactor;
  return {
    path: folder,
    checkpoint: folder,
    step: 0,
    stage: 'imported',
    autoencoder,
    unet: unet && (await hostUNet(unet, temporal, values)),
    diffusion,
    lowResolution,
    scaleFactor,
    text: spatialText,
    temporalText: ownText,
  };
}

/** The text encoder of a model folder alone. @throws UserError where it has none. */
export async function loadTextEncoder(folder: string): Promise<HostText> {
  const {text, tokenizer} = await readModelFolder(folder);
  const found = await hostText(folder, text, tokenizer, 'tokenizer');
  if (!found) throw new UserError(`${folder} has no text encoder (text_encoder/): name a model folder that has one.`);
  return found;
}

async function hostText(
  folder: string,
  model: ModelFolder['text'],
  files: ModelFolder['tokenizer'],
  place: string,
  values = true,
): Promise<HostText | undefined> {
  if (!model) return undefined;
  if (!files)
    throw new UserError(`${folder} has a text encoder but no ${place}/: put its vocab.json and merges.txt there.`);
  return {
    ...(await hostModel(model, new TextEncoder(model.config), {values})),
    tokenizer: readTokenizer(files.folder),
    tokenizerOptions: files.options,
  };
}

/** The UNet with the layers over time of a file of their own, where there is one. */
async function hostUNet(
  unet: FolderModel<UNetConfig>,
  temporal: FolderModel<TemporalConfig> | undefined,
  values: boolean,
): Promise<HostModel<UNetConfig>> {
  if (!temporal) return hostModel(unet, new UNet(unet.config), {values});
  const config = {...unet.config, temporal: temporal.config};
  const model = new UNet(config);
  const spatial = await hostModel(unet, model, {values, wanted: ({part}) => part === 'spatial'});
  const over = await hostModel(temporal, model, {values, wanted: ({part}) => part === 'temporal'});
  return {config, weights: new Map([...spatial.weights, ...over.weights])};
}

async function hostModel<Config>(
  {config, file, pathOf}: Pick<FolderModel<Config>, 'config' | 'file' | 'pathOf'>,
  model: Block,
  {wanted, values}: {wanted?: (spec: WeightSpec) => boolean; values: boolean},
): Promise<HostModel<Config>> {
  const options = {pathOf, values, ...(wanted ? {wanted} : {})};
  return {config, weights: await withSafetensors(file, open => readWeights(model.weightSpecs(), open, options))};
}

/** Whether `from` names published models rather than a run. */
export function namesModelFolder(where: string): boolean {
  return !existsSync(`${where}/checkpoints`) && !existsSync(`${where}/state.json`) && isModelFolder(where);
}
