// From what `from` names to what a stage takes of it, once, before its first step. Which stage may start from what is data.
import type {StageConfig, StageName} from '../../src/config/schema.ts';
import {pixelSpace, type UNetConfig} from '../../src/models/index.ts';
import {UserError} from '../../src/platform/user_error.ts';
import {type Frozen, NO_PARENT} from './frozen.ts';
import type {LoadedModels} from './load_models.ts';
import {loadParent} from './load_run.ts';
import {diffusionFor, isUpsampler, trainedNetwork, upsamplingFor} from './networks.ts';
import {type DiffusionSettings, type NetworkName, networkNames, type Parts, partLabels} from './parts.ts';
import {conditionsFor, withInitialText} from './resolve_conditions.ts';
import {measureScaleFactor} from './scale_factor.ts';

/** What a UNet takes: images; clips; clips of which frames may be given. */
type UNetKind = 'image' | 'video' | 'given';

/** What a stage may start from, and what it takes of it. */
interface ParentRule {
  /** Stages of parent runs. */
  readonly stages: readonly StageName[];
  /** Networks the parent must have; a parent run, or an imported folder (diffusers' layout) that has them. */
  readonly needs: readonly NetworkName[];
  /** Networks taken where the parent has them. */
  readonly takes: readonly NetworkName[];
  /** Which kinds of UNet it goes on from; any where absent. */
  readonly unet?: readonly UNetKind[];
}

export const parentRules = {
  autoencoder: {stages: ['autoencoder'], needs: ['autoencoder'], takes: []},
  image: {
    stages: ['autoencoder', 'image'],
    needs: ['autoencoder'],
    takes: ['unet', 'conditions', 'text', 'temporalText'],
    unet: ['image'],
  },
  temporal: {
    stages: ['image', 'temporal'],
    needs: ['autoencoder', 'unet'],
    takes: ['conditions', 'text', 'temporalText'],
    unet: ['image', 'video'],
  },
  decoder: {stages: ['autoencoder', 'decoder'], needs: ['autoencoder'], takes: []},
  prediction: {
    stages: ['temporal', 'prediction'],
    needs: ['autoencoder', 'unet'],
    takes: ['conditions', 'text', 'temporalText'],
    unet: ['video', 'given'],
  },
  interpolation: {
    stages: ['temporal', 'prediction', 'interpolation'],
    needs: ['autoencoder', 'unet'],
    takes: ['conditions', 'text', 'temporalText'],
    unet: ['video', 'given'],
  },
  'upsampler-image': {
    stages: ['autoencoder', 'upsampler-image'],
    needs: [],
    takes: ['autoencoder', 'unet', 'conditions', 'text', 'temporalText'],
    unet: ['image'],
  },
  upsampler: {
    stages: ['upsampler-image', 'upsampler'],
    needs: ['unet'],
    takes: ['autoencoder', 'conditions', 'text', 'temporalText'],
    unet: ['image', 'video'],
  },
} as const satisfies Record<StageName, ParentRule>;

/** A video model without image pre-training starts from what an image model starts from. */
function ruleOf(config: StageConfig): ParentRule {
  return parentRules[config.stage === 'temporal' && config.unet ? 'image' : config.stage];
}

/** What the stage of `config` takes of its parent; undefined for a run that starts from nothing. */
export async function freezeParent(config: StageConfig): Promise<Frozen | undefined> {
  const from = parentOf(config);
  const taken = from === undefined ? await startOfNothing(config) : await takeOf(await loadParent(from), config, from);
  if (!taken) return undefined;
  const {conditions} = taken;
  const frozen = {...taken, conditions: conditions && withInitialText(conditions, config.run.seed)};
  if (trainedNetwork(config, frozen).name !== 'unet' || !frozen.autoencoder || frozen.scaleFactor !== undefined)
    return frozen;
  return {...frozen, scaleFactor: await measureScaleFactor(config, frozen.autoencoder, from!)};
}

/** What `from` names; undefined for a run that starts from nothing, an image model on pixels among them. */
export function parentOf(config: StageConfig): string | undefined {
  const from = 'from' in config ? config.from : undefined;
  return config.stage === 'image' && from === 'pixels' ? undefined : from;
}

/** What a run without a parent freezes: nothing, but an image model's that its latents are pixels. */
export async function startOfNothing(config: StageConfig): Promise<Frozen | undefined> {
  if (config.stage !== 'image') {
    trainedNetwork(config, {});
    return undefined;
  }
  const autoencoder = {config: pixelSpace, weights: new Map()};
  const taken = {autoencoder, scaleFactor: 1, ...(await conditionsFor(config, {}))};
  trainedNetwork(config, taken);
  return {...taken, parent: NO_PARENT, diffusion: diffusionFor(config, {})};
}

/**
 * The same of a parent that is at hand, but for a scale factor that would have to be measured.
 * @throws UserError where the stage cannot start from it.
 */
export async function takeOf(parent: LoadedModels, config: StageConfig, from: string): Promise<Frozen> {
  const rule: ParentRule = ruleOf(config);
  refuseOtherParent(config.stage, rule, parent, from);
  const wanted = new Set([...rule.needs, ...rule.takes]);
  const networks: Parts = Object.fromEntries(
    networkNames.map(name => [name, wanted.has(name) ? parent[name] : undefined]),
  );
  const {lowResolution, upsampling} = parent;
  // New layers over time are told the text by the spatial layers' encoder.
  const temporalText = networks.unet?.config.temporal && networks.temporalText;
  const seen = networks.unet ? {lowResolution, upsampling} : {};
  const taken: Parts = {...networks, temporalText, ...(await conditionsFor(config, networks)), ...seen};
  const network = trainedNetwork(config, taken);
  const diffusion = diffusionFor(config, {...taken, diffusion: parent.diffusion});
  // The paper trains image and video with one schedule and one target.
  if ('diffusion' in config && config.diffusion && diffusion) refuseOtherDiffusion(config.diffusion, diffusion, from);
  const {checkpoint: path, stage, step} = parent;
  const frozen = {
    ...taken,
    ...(isUpsampler(config) ? {upsampling: upsamplingFor(config, taken)} : {}),
    parent: {path, stage, step},
    ...(parent.lineage && parent.lineage.length > 0 ? {ancestors: parent.lineage} : {}),
    diffusion,
  };
  const {autoencoder} = taken;
  const scaleFactor = parent.scaleFactor ?? autoencoder?.config.scaleFactor;
  if (network.name !== 'unet' || !autoencoder || scaleFactor === undefined) return frozen;
  return {...frozen, scaleFactor};
}

function refuseOtherParent(stage: StageName, rule: ParentRule, parent: LoadedModels, from: string): void {
  const expected = `a run of stage ${rule.stages.map(name => `"${name}"`).join(' or ')}`;
  if (parent.stage !== 'imported' && !rule.stages.some(name => name === parent.stage))
    throw new UserError(
      `from: the stage "${stage}" starts from ${expected}, but ${from} is of stage "${parent.stage}": set "from" to such a run.`,
    );
  const kind = parent.unet && kindOf(parent.unet.config);
  if (rule.unet && kind && !rule.unet.includes(kind))
    throw new UserError(
      `from: the stage "${stage}" goes on from ${rule.unet.map(name => kindLabels[name]).join(' or ')}, but the UNet of ${from} is ${kindLabels[kind]}'s: set "from" to ${expected}.`,
    );
  const missing = rule.needs.find(name => !parent[name]);
  if (missing)
    throw new UserError(
      `from: the stage "${stage}" needs the ${partLabels[missing]} of its parent, but ${from} has none: set "from" to ${expected}, or to an imported model that has one.`,
    );
}

function kindOf({temporal}: UNetConfig): UNetKind {
  return !temporal ? 'image' : temporal.given ? 'given' : 'video';
}

/** How messages call a model of such a UNet. */
const kindLabels = {
  image: 'an image model',
  video: 'a video model',
  given: 'a model of given frames (prediction, interpolation)',
} as const satisfies Record<UNetKind, string>;

function refuseOtherDiffusion(wanted: DiffusionSettings, has: DiffusionSettings, from: string): void {
  const refuse = (field: string, now: unknown, before: unknown) => {
    if (now !== before)
      throw new UserError(
        `diffusion.${field} is ${now}, but the model of ${from} was trained with ${before}: a stage keeps its parent's; leave "diffusion" out.`,
      );
  };
  refuse('prediction', wanted.prediction, has.prediction);
  for (const field of ['kind', 'betaStart', 'betaEnd', 'steps', 'zeroTerminalSnr'] as const) {
    refuse(`schedule.${field}`, wanted.schedule[field], has.schedule[field]);
  }
}
