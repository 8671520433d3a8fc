// From the section `conditions` of a configuration, and what the parent brings, to what a model is conditioned on.
import type {ConditionsSection} from '../../src/config/conditions.ts';
import type {StageConfig} from '../../src/config/schema.ts';
import {ConditionEncoder, type ConditionsConfig, type LabelConfig, type UNetConfig} from '../../src/models/index.ts';
import {UserError} from '../../src/platform/user_error.ts';
import {loadTextEncoder} from './load_models.ts';
import type {DropRates, HostConditions, HostText, Parts} from './parts.ts';

/** How often all conditions are left out where nothing is configured (10 %, as latent diffusion's text is). */
const USUAL_DROP: DropRates = {all: 0.1, text: 0, labels: 0, boxes: 0, fps: 0};

/**
 * The conditions of a stage's model: its parent's, or as an image stage configures them. A text encoder that the parent
 * brings becomes part of them.
 * @throws UserError where a section describes again what the parent brings, or where widths do not fit.
 */
export async function conditionsFor(config: StageConfig, parent: Parts): Promise<Pick<Parts, 'conditions' | 'text'>> {
  const section = 'conditions' in config ? config.conditions : undefined;
  const {conditions, text, unet} = parent;
  if (conditions) return {conditions: section ? again(conditions, section) : conditions};
  if (!section) return {conditions: text && unet ? ofText(text) : undefined, text: unet ? undefined : text};
  const own = 'unet' in config ? config.unet : undefined;
  return {conditions: await described(section, text, (own ?? unet?.config)?.crossAttentionDim), text: undefined};
}

/**
 * A text encoder from nothing that is not to train is frozen with its initial weights, so that later stages read them. Those
 * that do train are in the run's checkpoints.
 */
export function withInitialText(conditions: HostConditions, seed: number): HostConditions {
  const {config, weights, textTrains} = conditions;
  const isText = (path: string) => path.startsWith(TEXT_PREFIX);
  if (!config.text || textTrains || [...weights.keys()].some(isText)) return conditions;
  const encoder = new ConditionEncoder(config).allocate(seed, 'conditions');
  const variables = encoder.namedWeights();
  const initial = encoder.weightSpecs().flatMap(({path, shape, layout}) => {
    const variable = variables.get(path);
    return isText(path) && variable
      ? [[path, {shape, layout, data: variable.dataSync<'float32'>().slice()}] as const]
      : [];
  });
  encoder.dispose();
  return {...conditions, weights: new Map([...weights, ...initial])};
}

/** The UNet of an image model with what its conditions need. @throws UserError for cross-attention to nothing. */
export function conditionedUNet(unet: UNetConfig, conditions: ConditionsConfig | undefined): UNetConfig {
  const hasTokens = conditions && (conditions.text || conditions.labels || conditions.boxes);
  if (unet.crossAttentionDim !== undefined && !hasTokens) {
    throw new UserError(
      'The UNet has unet.crossAttentionDim, but there is no text, label or box to attend to: add "conditions", or leave it out.',
    );
  }
  return {
    ...unet,
    ...(hasTokens ? {crossAttentionDim: conditions.dim} : {}),
    ...(conditions?.fps && !unet.addedNumbers ? {addedNumbers: {count: 1, dim: unet.channels[0]!}} : {}),
  };
}

/** Conditions of text alone, by a text encoder that is given. */
export function ofText(text: HostText): HostConditions {
  const {config, weights} = givenText(text);
  return {config: {dim: text.config.channels, text: config}, weights, drop: USUAL_DROP, textTrains: false};
}

/** The text encoder of conditions, as a model folder has one; undefined where words are hashed or there is none. */
export function textOf({config, weights}: HostConditions): HostText | undefined {
  if (config.text?.tokenizer.kind !== 'bpe') return undefined;
  const {encoder, tokenizer} = config.text;
  const {vocabulary, merges, padding} = tokenizer;
  const own = [...weights].flatMap(([path, values]) =>
    path.startsWith(TEXT_PREFIX) ? [[path.slice(TEXT_PREFIX.length), values] as const] : [],
  );
  return {
    config: encoder,
    weights: new Map(own),
    tokenizer: {
      vocabulary: new Map(vocabulary.flatMap((token, id) => (token === '' ? [] : [[token, id] as const]))),
      merges,
    },
    tokenizerOptions: {padding},
  };
}

const TEXT_PREFIX = 'text_encoder.';

/** The parent's conditions, dropped and trained as the section says. */
function again(parent: HostConditions, {text, labels, boxes, fps, ...rest}: ConditionsSection): HostConditions {
  const described = text?.from ? 'text.from' : text?.encoder ? 'text.encoder' : undefined;
  const field = described ?? (labels ? 'labels' : boxes ? 'boxes' : fps ? 'fps' : undefined);
  if (field)
    throw new UserError(
      `conditions.${field} is given, but the parent brings its conditions with their weights: leave it out.`,
    );
  if (text && !parent.config.text) throw new UserError('conditions.text is given, but the parent has no text encoder.');
  return {...parent, drop: dropRates({...rest, text}), textTrains: text?.train ?? parent.textTrains};
}

async function described(
  section: ConditionsSection,
  parents: HostText | undefined,
  width: number | undefined,
): Promise<HostConditions> {
  const {text, labels, boxes, fps} = section;
  const given = text?.from ? await loadTextEncoder(text.from) : text?.encoder ? undefined : parents;
  if (text && !given && !text.encoder)
    throw new UserError('conditions.text has neither "from" nor "encoder", and the parent brings no text encoder.');
  const found = given
    ? givenText(given)
    : text?.encoder
      ? {config: ownText(text.encoder), weights: new Map()}
      : undefined;
  const dim = width ?? found?.config.encoder.channels;
  if (dim === undefined && (labels || boxes))
    throw new UserError(
      'Labels and boxes enter by cross-attention: set unet.crossAttentionDim, the width of their tokens.',
    );
  return {
    config: {
      dim: dim ?? 0,
      ...(found ? {text: found.config} : {}),
      ...(labels ? {labels: labels.classes as Record<string, LabelConfig>} : {}),
      ...(boxes ? {boxes: {classes: boxes.classes, max: boxes.max}} : {}),
      ...(fps ? {fps: true} : {}),
    },
    weights: found?.weights ?? new Map(),
    drop: dropRates(section),
    textTrains: text?.train ?? !given,
  };
}

function dropRates({drop, text, labels, boxes, fps}: Partial<ConditionsSection> & {drop: number}): DropRates {
  return {
    all: drop,
    text: text?.drop ?? 0,
    labels: labels?.drop ?? 0,
    boxes: boxes?.drop ?? 0,
    fps: fps?.drop ?? 0,
  };
}

type Text = NonNullable<ConditionsConfig['text']>;

/** A text encoder that came with its tokenizer, as conditions. */
export function givenText({config, weights, tokenizer, tokenizerOptions}: HostText): {
  config: Text;
  weights: HostConditions['weights'];
} {
  const vocabulary: string[] = [];
  for (const [token, id] of tokenizer.vocabulary) vocabulary[id] = token;
  const {padding = 'end'} = tokenizerOptions;
  return {
    config: {
      encoder: config,
      tokenizer: {
        kind: 'bpe',
        vocabulary: Array.from(vocabulary, token => token ?? ''),
        merges: tokenizer.merges,
        padding,
      },
    },
    weights: new Map([...weights].map(([path, values]) => [TEXT_PREFIX + path, values])),
  };
}

/** A small text encoder of hashed words. */
function ownText({
  channels,
  layers,
  heads,
  tokens,
  vocabulary,
}: NonNullable<NonNullable<ConditionsSection['text']>['encoder']>): Text {
  const sizes = {vocabulary, tokens, channels, hidden: 4 * channels, layers, heads, activation: 'gelu'} as const;
  return {encoder: {...sizes, endToken: vocabulary - 1}, tokenizer: {kind: 'words'}};
}
