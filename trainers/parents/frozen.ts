// What a run reads and never changes: the parts of its parent, copied into the run's own folder before the first step, so that
// a run needs no other folder to go on. Written and verified as a checkpoint is.
import {type Ancestor, type LoadedState, loadLatest, writeCheckpoint} from '../../checkpoints/index.ts';
import type {Block, WeightSpec} from '../../src/layers/block.ts';
import {type AutoencoderConfig, AutoencoderKL, type UNetConfig} from '../../src/models/index.ts';
import {UserError} from '../../src/platform/user_error.ts';
import * as tf from '../../src/tf.ts';
import {
  type HostConditions,
  type HostModel,
  type HostText,
  type NetworkName,
  networkNames,
  type Parts,
  partLabels,
  type Weights,
} from './parts.ts';

export interface Frozen extends Parts {
  /** Where it came from: a checkpoint's folder, or an imported model's. */
  readonly parent: Ancestor;
  /** What that one came from; absent where an older version froze it. */
  readonly ancestors?: readonly Ancestor[] | undefined;
}

/** What a run with these frozen parts grew out of, its parent first. */
export function lineageOf(frozen: Pick<Frozen, 'parent' | 'ancestors'> | undefined): Ancestor[] {
  if (!frozen || frozen.parent.stage === NO_PARENT.stage) return [];
  return [frozen.parent, ...(frozen.ancestors ?? [])];
}

/** The parent of a run that freezes something and starts from nothing: an image model on pixels. */
export const NO_PARENT: Ancestor = {path: 'none', stage: 'none', step: 0};

/** A tokenizer as JSON has it. */
interface StoredTokenizer {
  vocabulary: [token: string, id: number][];
  merges: readonly string[];
  options: HostText['tokenizerOptions'];
}

/** The settings beside the weights, as `state.json` keeps them: the networks' configurations under their names. */
interface FrozenSettings extends Omit<Frozen, NetworkName> {
  networks: {[Name in NetworkName]?: NonNullable<Parts[Name]>['config'] | undefined};
  tokenizers: {text?: StoredTokenizer | undefined; temporalText?: StoredTokenizer | undefined};
  conditioning?: Pick<HostConditions, 'drop' | 'textTrains'> | undefined;
}

/** Before there were conditions: an autoencoder and at most a UNet, their configurations side by side. */
interface FirstSettings extends Pick<FrozenSettings, 'parent' | 'scaleFactor' | 'diffusion'> {
  autoencoder: AutoencoderConfig;
  unet?: UNetConfig;
}

type StoredSettings = FrozenSettings | FirstSettings;

function currentSettings(stored: StoredSettings): FrozenSettings {
  if ('networks' in stored) return stored;
  const {autoencoder, unet, ...rest} = stored;
  return {...rest, networks: {autoencoder, unet}, tokenizers: {}};
}

/** Files of the networks beside the UNet's, which is the folder's model. */
const companionNames = {
  autoencoder: 'autoencoder',
  conditions: 'conditions',
  text: 'text_encoder',
  temporalText: 'temporal_text_encoder',
} as const satisfies Record<Exclude<NetworkName, 'unet'>, string>;

export async function writeFrozen(folder: string, frozen: Frozen): Promise<void> {
  const {autoencoder, unet, conditions, text, temporalText, ...rest} = frozen;
  const networks = {autoencoder, conditions, text, temporalText};
  const settings: FrozenSettings = {
    ...rest,
    networks: Object.fromEntries(networkNames.map(name => [name, frozen[name]?.config])),
    tokenizers: {text: stored(text), temporalText: stored(temporalText)},
    conditioning: conditions && {drop: conditions.drop, textTrains: conditions.textTrains},
  };
  const companions = Object.entries(companionNames).flatMap(([name, file]) => {
    const network = networks[name as keyof typeof networks];
    return network ? [[file, network.weights] as const] : [];
  });
  const state: LoadedState = {
    stage: 'frozen',
    step: 0,
    weights: unet?.weights ?? new Map(),
    companions: Object.fromEntries(companions),
    optimizers: {},
    data: null,
    metrics: {},
    config: JSON.parse(JSON.stringify(settings)) as LoadedState['config'],
    engine: {},
  };
  await writeCheckpoint(folder, state);
}

/** What `writeFrozen` wrote; undefined where nothing was. @throws UserError where it is damaged. */
export async function readFrozen(
  folder: string,
  {values = true}: {values?: boolean} = {},
): Promise<Frozen | undefined> {
  const found = await loadLatest(folder, {values});
  if (!found) return undefined;
  const {weights, companions, config} = found.state;
  // Its hash was checked: this is what writeFrozen put there.
  const {networks, tokenizers, conditioning, ...settings} = currentSettings(config as object as StoredSettings);
  const beside = (name: keyof typeof companionNames) => companions?.[companionNames[name]] ?? new Map();
  const text = (name: 'text' | 'temporalText'): HostText | undefined => {
    const [own, tokenizer] = [networks[name], tokenizers[name]];
    if (!own || !tokenizer) return undefined;
    const {vocabulary, merges, options: tokenizerOptions} = tokenizer;
    const files = {vocabulary: new Map(vocabulary), merges};
    return {config: own, weights: beside(name), tokenizer: files, tokenizerOptions};
  };
  return {
    ...settings,
    autoencoder: networks.autoencoder && {config: networks.autoencoder, weights: beside('autoencoder')},
    unet: networks.unet && {config: networks.unet, weights},
    conditions: networks.conditions &&
      conditioning && {config: networks.conditions, weights: beside('conditions'), ...conditioning},
    text: text('text'),
    temporalText: text('temporalText'),
  };
}

function stored(text: HostText | undefined): StoredTokenizer | undefined {
  if (!text) return undefined;
  const {vocabulary, merges} = text.tokenizer;
  return {vocabulary: [...vocabulary], merges, options: text.tokenizerOptions};
}

/** The parts that a recipe reads. @throws UserError where its parent had none of one. */
export function needFrozen<Name extends keyof Parts>(
  frozen: Parts | undefined,
  ...names: Name[]
): {readonly [N in Name]: NonNullable<Parts[N]>} {
  const missing = names.find(name => frozen?.[name] === undefined);
  if (missing) throw new UserError(`This stage has no ${partLabels[missing]}: set "from" to a parent that has one.`);
  return frozen as {readonly [N in Name]: NonNullable<Parts[N]>};
}

/** The frozen autoencoder, allocated. */
export function buildAutoencoder({
  autoencoder: {config, weights},
}: {
  readonly autoencoder: HostModel<AutoencoderConfig>;
}): AutoencoderKL {
  const autoencoder = new AutoencoderKL(config);
  autoencoder.trainable = false;
  return allocateExactly(autoencoder, weights, 'autoencoder').storeFrozen();
}

/**
 * A network of new weights, or one that grows out of its parent's: what is spatial comes from there, layers over time and what
 * `mayBeNew` names may be new.
 */
export function growFrom<B extends Block>(
  network: B,
  parent: HostModel<unknown> | undefined,
  label: string,
  seed: number,
  mayBeNew: (spec: WeightSpec) => boolean = ({part}) => part === 'temporal',
): B {
  network.allocate(seed);
  if (!parent) return network;
  const {weights} = parent;
  return allocateExactly(network, weights, label, spec => !mayBeNew(spec) || weights.has(spec.path));
}

/**
 * Gives a model the weights of a file: all that `wanted` names, no more and no fewer.
 * @throws UserError listing what is missing, unexpected or of another shape.
 */
export function allocateExactly<B extends Block>(
  model: B,
  weights: Weights,
  label: string,
  wanted: (spec: WeightSpec) => boolean = () => true,
): B {
  const specs = model.weightSpecs().filter(wanted);
  const paths = new Set(specs.map(spec => spec.path));
  const problems = [
    ...specs.filter(({path}) => !weights.has(path)).map(({path}) => `${path} is missing`),
    ...[...weights.keys()].filter(path => !paths.has(path)).map(path => `${path} is not expected`),
    ...specs.flatMap(({path, shape}) => {
      const found = weights.get(path)?.shape;
      return found && found.join() !== shape.join() ? [`${path} is [${found}], expected [${shape}]`] : [];
    }),
  ];
  if (problems.length > 0) {
    const more = problems.length > 3 ? ` and ${problems.length - 3} more` : '';
    throw new UserError(
      `The weights of the ${label} do not fit its configuration: ${problems.slice(0, 3).join('; ')}${more}.`,
    );
  }
  return model.allocateFrom(({path}) => {
    const found = weights.get(path);
    return found && tf.tensor(found.data, [...found.shape], 'float32');
  });
}
