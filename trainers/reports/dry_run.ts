// `train --dry-run`: everything that a run would start with, and nothing trained: resolved configuration, networks and their
// parameters, memory needs, the first batch as a contact sheet.
import {existsSync, mkdirSync} from 'node:fs';
import path from 'node:path';
import {stringify} from 'yaml';
import {batches, type VideoBatch, writeContactSheet} from '../../datasets/index.ts';
import type {StageConfig} from '../../src/config/schema.ts';
import type {Block} from '../../src/layers/block.ts';
import {
  AutoencoderKL,
  ConditionEncoder,
  countParameters,
  PatchDiscriminator,
  TextEncoder,
  UNet,
  VideoDiscriminator,
} from '../../src/models/index.ts';
import {table} from '../../src/platform/table.ts';
import {trainingData} from '../inputs/data.ts';
import type {Frozen} from '../parents/frozen.ts';
import {trainedNetwork} from '../parents/networks.ts';
import type {Parts} from '../parents/parts.ts';
import {type Plan, planParent} from '../parents/planned_parent.ts';
import {trainedPart} from '../parents/trained_part.ts';
import {estimateMemory, type MemoryEstimate} from './estimate_memory.ts';

export interface DryRunOptions extends Plan {
  /** Read the first batch; without it no shard is opened. Default true. */
  data?: boolean;
  /** Processes that will train together; default 1. */
  ranks?: number;
}

/** What a run of `config` would start with, for people. @throws UserError for what would stop it at its start. */
export async function dryRun(config: StageConfig, options: DryRunOptions): Promise<string> {
  const {frozen, origin} = await planParent(config, options);
  const networks = plannedNetworks(config, frozen ?? {});
  const {ranks = 1} = options;
  const sections = [
    ['Configuration', stringify(config).trimEnd()],
    ['Parent', origin],
    ...layersOverTime(config, frozen ?? {}),
    ['Networks', parametersTable(networks)],
    ['Memory', await memoryNeeds(config, networks, {frozen, ranks})],
    ...(ranks === 1 ? [] : [['Samples a step', samplesAStep(config, ranks)]]),
    ...(options.data === false ? [] : [['First batch', await firstBatch(config, frozen)]]),
  ];
  return sections.map(([title, text]) => `== ${title}\n${text}`).join('\n\n');
}

function samplesAStep({data, train}: StageConfig, ranks: number): string {
  const sizes = [...new Set(data.buckets?.map(({batchSize}) => batchSize ?? data.batchSize) ?? [data.batchSize])];
  const each = (size: number) =>
    `batchSize ${size} x accumulate ${train.accumulate} x ${ranks} ranks = ${size * train.accumulate * ranks}`;
  return sizes.map(each).join('\n');
}

/** As the parent has them or as configured: the configuration alone need not say. */
function layersOverTime(config: StageConfig, frozen: Parts): [string, string][] {
  const network = trainedNetwork(config, frozen);
  const layers = network.name === 'unet' ? network.config.temporal : network.config.temporalDecoder;
  return layers ? [['Layers over time', stringify(layers).trimEnd()]] : [];
}

/** The networks of a configuration with their parameters, and the memory its stage will need; no shard is opened. */
export async function inspectConfig(config: StageConfig, plan: Plan): Promise<string> {
  const {frozen, origin} = await planParent(config, plan);
  const networks = plannedNetworks(config, frozen ?? {});
  const memory = await memoryNeeds(config, networks, {frozen, ranks: 1});
  return [`stage ${config.stage}, from ${origin}`, parametersTable(networks), memory].join('\n\n');
}

export interface PlannedNetwork {
  readonly name: string;
  readonly parameters: number;
  readonly trained: number;
  readonly trainedTensors: number;
  /** Whether an average of what trains is kept. */
  readonly averaged: boolean;
}

/** The networks of a stage, none of them allocated. */
export function plannedNetworks(config: StageConfig, frozen: Parts): PlannedNetwork[] {
  const network = trainedNetwork(config, frozen);
  const trains = trainedPart(config);
  const own = network.name === 'unet' ? new UNet(network.config) : new AutoencoderKL(network.config);
  const count = (name: string, model: Block, trained: typeof trains): PlannedNetwork => {
    const {parameters, tensors} = countParameters(model, trained);
    const all = countParameters(model).parameters;
    return {name, parameters: all, trained: parameters, trainedTensors: tensors, averaged: true};
  };
  const still = () => false;
  const {autoencoder, conditions, text, temporalText} = frozen;
  const beside: [string, Block | undefined, typeof trains][] = [
    ['autoencoder', network.name === 'unet' && autoencoder ? new AutoencoderKL(autoencoder.config) : undefined, still],
    [
      'conditions',
      conditions && new ConditionEncoder(conditions.config),
      ({path: name}) =>
        (config.stage === 'image' || config.stage === 'upsampler-image') &&
        (conditions?.textTrains === true || !name.startsWith('text_encoder.')),
    ],
    ['text encoder', text && new TextEncoder(text.config), still],
    ["temporal layers' text encoder", temporalText && new TextEncoder(temporalText.config), still],
  ];
  return [
    count(network.name, own, trains),
    ...beside.flatMap(([name, model, trained]) => (model ? [count(name, model, trained)] : [])),
    ...adversaries(config).map(([name, model]) => ({...count(name, model, () => true), averaged: false})),
  ];
}

function adversaries(config: StageConfig): [string, Block][] {
  if (config.stage !== 'autoencoder' && config.stage !== 'decoder') return [];
  const {adversarial} = config.loss;
  if (!adversarial) return [];
  const {image, video} =
    'discriminator' in adversarial ? {image: adversarial.discriminator, video: undefined} : adversarial;
  const found: [string, Block][] = [];
  if (video) found.push(['video discriminator', new VideoDiscriminator(video)]);
  if (image) found.push(['image discriminator', new PatchDiscriminator(image)]);
  return found;
}

const number = (value: number) => value.toLocaleString('en');
const size = (bytes: number) =>
  bytes < 2 ** 30 ? `${(bytes / 2 ** 20).toFixed(1)} MiB` : `${(bytes / 2 ** 30).toFixed(2)} GiB`;

function parametersTable(networks: readonly PlannedNetwork[]): string {
  return table(
    ['network', 'parameters', 'trained', 'tensors trained'],
    networks.map(({name, parameters, trained, trainedTensors}) => [
      name,
      number(parameters),
      number(trained),
      number(trainedTensors),
    ]),
  );
}

/** Bytes on the engine and in main memory that do not depend on the batch; weights and moments are fp32 in every precision. */
export function stateBytes(networks: readonly PlannedNetwork[]): Record<string, number> {
  const sum = (of: (network: PlannedNetwork) => number) => 4 * networks.reduce((total, one) => total + of(one), 0);
  const trained = sum(network => network.trained);
  const averaged = sum(network => (network.averaged ? network.trained : 0));
  return {
    weights: sum(network => network.parameters),
    gradients: trained,
    'first and second moments': 2 * trained,
    'averaged weights': averaged,
    'main memory: snapshot of a checkpoint being written': 3 * trained + averaged,
  };
}

/** Micro-batches of a step are alike but for their inputs: two tell what many need. The user's LPIPS may not be there yet. */
async function memoryNeeds(
  config: StageConfig,
  networks: readonly PlannedNetwork[],
  {frozen, ranks}: {frozen: Frozen | undefined; ranks: number},
): Promise<string> {
  const planned = {
    ...config,
    train: {...config.train, accumulate: Math.min(2, config.train.accumulate)},
  } as StageConfig;
  const {loss} =
    planned.stage === 'autoencoder' || planned.stage === 'decoder' ? planned : {loss: {perceptual: undefined}};
  const missing = loss.perceptual?.weights.find(file => !existsSync(file));
  if (missing === undefined) return memoryTable(networks, await estimateMemory(planned, frozen, ranks));
  const without = {...planned, loss: {...loss, perceptual: undefined}} as StageConfig;
  const memory = memoryTable(networks, await estimateMemory(without, frozen, ranks));
  return `${memory}\nLPIPS is not in it: ${missing} is not there.`;
}

function memoryTable(networks: readonly PlannedNetwork[], {activations, peak}: MemoryEstimate): string {
  const parts = Object.entries(stateBytes(networks));
  const onEngine = parts.filter(([name]) => !name.startsWith('main memory'));
  return [
    table(
      ['what', 'fp32'],
      [
        ...parts,
        ['on the engine, before activations', onEngine.reduce((sum, [, bytes]) => sum + bytes, 0)] as const,
        ['activations and what kernels hold, at the most', activations] as const,
        ['on the engine, peak of a step', peak] as const,
      ].map(([name, bytes]) => [name, size(bytes)]),
    ),
    'Activations grow with batchSize x frames x size.',
  ].join('\n');
}

async function firstBatch(config: StageConfig, frozen: Frozen | undefined): Promise<string> {
  const data = batches(trainingData(config, frozen), {seed: config.run.seed});
  try {
    const next = await data.next();
    if (next.done) return 'The shards hold no batch.';
    const {keys, captions, fps, shape, kind} = next.value;
    const rows = keys.map((key, i) => [key, String(fps[i] ?? ''), captions[i]?.slice(0, 60) ?? '']);
    return [
      `${kind}, [${shape}] [batch, frames, height, width, channels]`,
      table(['key', 'fps', 'caption'], rows),
      await contactSheetOf(next.value, path.join(config.run.root, config.run.name)),
    ].join('\n');
  } finally {
    await data.return(undefined);
  }
}

async function contactSheetOf({frames, shape, keys}: VideoBatch, folder: string): Promise<string> {
  if (frames.length === 0) return 'The shards hold latents: there are no frames to show.';
  const [, t, h, w] = shape;
  const bytes = t * h * w * 3;
  mkdirSync(folder, {recursive: true});
  const file = await writeContactSheet(
    path.join(folder, 'first-batch.png'),
    keys.map((_, i) => ({frames: {data: frames.subarray(i * bytes, (i + 1) * bytes), shape: [t, h, w, 3] as const}})),
  );
  return `contact sheet: ${file}`;
}
