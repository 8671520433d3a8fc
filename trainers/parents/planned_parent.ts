// The parent of a run that is only planned: what `from` names where it is there, else what would be there once the
// configuration beside this one that makes it was trained, else a published model taken for it. Such parents have no weights.
import {existsSync, readdirSync} from 'node:fs';
import path from 'node:path';
import {loadConfig} from '../../src/config/load.ts';
import type {StageConfig} from '../../src/config/schema.ts';
import {stableDiffusionSchedule} from '../../src/diffusion/index.ts';
import {autoencoderPresets, textEncoderPresets, unetPresets} from '../../src/models/index.ts';
import {UserError} from '../../src/platform/user_error.ts';
import type {Frozen} from './frozen.ts';
import type {LoadedModels} from './load_models.ts';
import {loadParentShapes} from './load_run.ts';
import {partsOfNone, trainedNetwork} from './networks.ts';
import {parentOf, startOfNothing, takeOf} from './parent.ts';
import type {HostModel, HostText} from './parts.ts';

/** Published models whose shapes are known without their files. */
export const assumableModels = ['sd1', 'sd2', 'x4-upscaler'] as const;
export type AssumableModel = (typeof assumableModels)[number];

export interface Plan {
  /** Where the configurations of parents are looked for: the folder of this one. */
  readonly configs: string;
  /** Taken for a parent that is neither there nor planned. */
  readonly assume?: AssumableModel | undefined;
}

export interface PlannedParent {
  readonly frozen: Frozen | undefined;
  /** For people: where the parent is, which configuration will make it, or which model stands in for it. */
  readonly origin: string;
}

/** @throws UserError where the parent is unknown, or the stage cannot start from it. */
export async function planParent(config: StageConfig, plan: Plan): Promise<PlannedParent> {
  const from = parentOf(config);
  if (from === undefined) return {frozen: await startOfNothing(config), origin: 'none: new weights'};
  const {models, origin} = await planModels(from, plan, new Set());
  return {frozen: await takeOf(models, config, from), origin};
}

async function planModels(
  from: string,
  plan: Plan,
  asked: Set<string>,
): Promise<{models: LoadedModels; origin: string}> {
  if (existsSync(from)) return {models: await loadParentShapes(from), origin: from};
  if (asked.has(from)) throw new UserError(`${from} starts from itself: mend the "from" of the configurations.`);
  asked.add(from);
  const maker = configOf(from, plan.configs);
  if (maker) {
    const {config, file} = maker;
    const next = parentOf(config);
    const before = next === undefined ? undefined : await planModels(next, plan, asked);
    const frozen =
      before && next !== undefined ? await takeOf(before.models, config, next) : await startOfNothing(config);
    const parts = frozen ?? partsOfNone(config);
    const {name, config: network} = trainedNetwork(config, parts);
    const models = {
      ...{...parts, path: from, checkpoint: from, step: 0, stage: config.stage},
      [name]: {config: network, weights: new Map()},
    };
    return {models, origin: `${from}, not trained yet, as ${file} describes it`};
  }
  if (plan.assume) return {models: published(plan.assume, from), origin: `${from}, not there: ${plan.assume} assumed`};
  throw new UserError(
    `from: there is nothing at ${from}, and no configuration in ${plan.configs} makes it: train or import it, or name what it will be with --assume ${assumableModels.join('|')}.`,
  );
}

/** The configuration in `folder` whose run is `from`. */
function configOf(from: string, folder: string): {config: StageConfig; file: string} | undefined {
  for (const name of readdirSync(folder).sort()) {
    if (!/\.ya?ml$/.test(name)) continue;
    const file = path.join(folder, name);
    const config = loadConfig(file);
    if (path.normalize(path.join(config.run.root, config.run.name)) === path.normalize(from)) return {config, file};
  }
  return undefined;
}

const unread = <C>(config: C): HostModel<C> => ({config, weights: new Map()});

function textOf(name: keyof typeof textEncoderPresets): HostText {
  // What a tokenizer must have to be one; nothing is tokenized in a plan.
  const vocabulary = new Map([
    ['<|startoftext|>', 49_406],
    ['<|endoftext|>', 49_407],
  ]);
  const tokenizer = {vocabulary, merges: []};
  return {...unread(textEncoderPresets[name]), tokenizer, tokenizerOptions: {padding: 'end'}};
}

function published(name: AssumableModel, from: string): LoadedModels {
  const place = {path: from, checkpoint: from, step: 0, stage: 'imported'};
  const schedule = {...stableDiffusionSchedule};
  switch (name) {
    case 'sd1':
    case 'sd2': {
      const autoencoder = unread(autoencoderPresets['sd-f8']);
      return {
        ...{...place, autoencoder, unet: unread(unetPresets[name]), scaleFactor: autoencoder.config.scaleFactor},
        text: textOf(name === 'sd1' ? 'clip-vit-l' : 'openclip-vit-h'),
        diffusion: {schedule, prediction: 'eps'},
      };
    }
    case 'x4-upscaler': {
      const autoencoder = unread(autoencoderPresets['x4-f4']);
      return {
        ...{...place, autoencoder, unet: unread(unetPresets[name]), scaleFactor: autoencoder.config.scaleFactor},
        text: textOf('openclip-vit-h'),
        // Stable Diffusion's x4-upscaling.yaml.
        diffusion: {schedule: {...schedule, betaStart: 1e-4, betaEnd: 2e-2}, prediction: 'v'},
        lowResolution: {schedule: {...schedule, betaStart: 1e-4, betaEnd: 2e-2}, prediction: 'v'},
      };
    }
    default:
      return name satisfies never;
  }
}
