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
  if (!section) {
    if (conditions) return {conditions};
    return {conditions: text && unet ? ofText(text) : undefined, text: unet ? undefined : text};
  }
  const own = 'unet' in config ? config.unet : undefined;
  const width = widthOf(section, (own ?? unet?.config)?.crossAttentionDim);
  const told = conditions
    ? await again(conditions, section, width)
    : {conditions: await described(section, text, width), added: addedTo({text}, section)};
  if (config.stage === 'temporal' && !own) refuseUntrained(told.added);
  return {conditions: told.conditions, text: undefined};
}

/** What is told by tokens alone has weights of its own, which only a stage that trains the spatial layers too can train. */
function refuseUntrained(added: readonly string[]): void {
  const field = added.find(name => name !== 'fps');
  if (field)
    throw new UserError(
      `conditions.${field} is new to the parent, and this stage trains the layers over time alone: add it in a stage "image" that goes on from the image model, then train the layers over time on that; only conditions.fps can be added here.`,
    );
}

function widthOf({tokenWidth}: ConditionsSection, unets: number | undefined): number | undefined {
  if (tokenWidth !== undefined && unets !== undefined && tokenWidth !== unets)
    throw new UserError(
      `conditions.tokenWidth is ${tokenWidth}, but the UNet attends to tokens of ${unets}: leave it out.`,
    );
  return unets ?? tokenWidth;
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

/** The parent's conditions with those that the section adds, dropped and trained as it says. */
async function again(
  parent: HostConditions,
  section: ConditionsSection,
  width: number | undefined,
): Promise<{conditions: HostConditions; added: readonly string[]}> {
  const {text, labels, boxes} = section;
  const had = parent.config;
  const known = Object.keys(labels?.classes ?? {}).find(name => Object.hasOwn(had.labels ?? {}, name));
  const describedTwice: [string, unknown][] = [
    ['text.from', had.text && text?.from],
    ['text.encoder', had.text && text?.encoder],
    [`labels.classes.${known}`, known],
    ['boxes', had.boxes && boxes],
  ];
  const field = describedTwice.find(([, twice]) => twice !== undefined)?.[0];
  if (field)
    throw new UserError(
      `conditions.${field} is given, but the parent brings its conditions with their weights: leave it out.`,
    );
  if (text && !had.text && !text.from && !text.encoder)
    throw new UserError('conditions.text is given, but the parent has no text encoder.');
  const more = await described({...section, text: had.text ? undefined : text}, undefined, width);
  const all = {...had.labels, ...more.config.labels};
  const config: ConditionsConfig = {
    ...had,
    ...more.config,
    ...(had.text ? {text: had.text} : {}),
    ...(Object.keys(all).length > 0 ? {labels: all} : {}),
    dim: had.dim || more.config.dim,
  };
  const {drop} = parent;
  return {
    conditions: {
      config,
      weights: new Map([...parent.weights, ...more.weights]),
      drop: {
        all: section.drop,
        text: text?.drop ?? drop.text,
        labels: labels?.drop ?? drop.labels,
        boxes: boxes?.drop ?? drop.boxes,
        fps: section.fps?.drop ?? drop.fps,
      },
      textTrains: text?.train ?? (had.text ? parent.textTrains : more.textTrains),
    },
    added: addedTo(had, section),
  };
}

/** The conditions of the section that the parent does not have, as it names them. */
function addedTo(
  had: {readonly [Name in 'text' | 'boxes' | 'fps']?: unknown},
  {text, labels, boxes, fps}: ConditionsSection,
): string[] {
  const given = {text, labels, boxes, fps};
  return Object.entries(given).flatMap(([name, value]) =>
    value !== undefined && (name === 'labels' || !had[name as 'text']) ? [name] : [],
  );
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
      "Labels and boxes enter by cross-attention: set unet.crossAttentionDim, the width of their tokens (conditions.tokenWidth where the UNet is a parent's).",
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
