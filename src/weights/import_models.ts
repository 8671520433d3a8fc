// `video-ldm import`: a diffusers folder, or a single file of Stable Diffusion, into a model folder that stages start from.
// Every key is accounted for before a byte is written; tensors are copied one at a time, without an engine.
import {existsSync, statSync} from 'node:fs';
import {open, readdir} from 'node:fs/promises';
import path from 'node:path';
import {type Prediction, stableDiffusionSchedule} from '../diffusion/index.ts';
import type {Block, WeightSpec} from '../layers/block.ts';
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
} from '../models/index.ts';
import {UserError} from '../platform/user_error.ts';
import {explained} from './file_errors.ts';
import {refusePickle, splitSingleFile, textPathOf} from './import_weights.ts';
import {toSvd} from './key_maps/diffusers.ts';
import {type DiffusionSettings, diffusionToDiffusers} from './key_maps/scheduler_config.ts';
import type {SingleFileKind} from './key_maps/single_file.ts';
import {
  autoencoderToDiffusers,
  textEncoderToTransformers,
  unetToDiffusers,
} from './key_maps/write_diffusers_configs.ts';
import {type KeyReport, matchKeys, refuseMismatch, type WeightSource} from './load_weights.ts';
import {type FolderModel, readModelFolder} from './model_folder.ts';
import {openSafetensors, type SafetensorsFile} from './safetensors.ts';
import {
  type FloatDtype,
  type PartName,
  type PartToWrite,
  type SmallFile,
  tensorsFrom,
  writeModelFolder,
} from './write_model_folder.ts';

export interface ImportOptions {
  /** A folder as diffusers saves it, or a .safetensors file (an index where it is split). */
  readonly source: string;
  /** The folder to write; it must not be there yet. */
  readonly out: string;
  /** Take the UNet's averaged weights from a single file that has both. */
  readonly ema?: boolean;
  /** What the network predicts, where the files say it wrongly or not at all (SD 2.x single files). */
  readonly prediction?: Prediction | undefined;
  /** Picks files such as `model.fp16.safetensors`. */
  readonly variant?: string | undefined;
  /** Store weights in this type; as they are where absent. */
  readonly dtype?: FloatDtype | undefined;
  /** A folder with vocab.json and merges.txt, or tokenizer.json: single files hold none. */
  readonly tokenizer?: string | undefined;
  /** A model folder whose layers over time go onto the source's UNet, with their own text where it is another one. */
  readonly temporal?: string | undefined;
  /** latents = rawLatents x this, for an autoencoder whose file does not say. */
  readonly scaleFactor?: number | undefined;
  /** Give missing weights their initial values; leave unexpected ones out. Wrong shapes are always refused. */
  readonly allowMissing?: boolean;
  readonly allowUnexpected?: boolean;
}

/** What was imported, and what did not fit. */
export interface ImportReport {
  readonly out: string;
  readonly kind: string;
  readonly parts: Readonly<Record<string, {tensors: number; parameters: number; missing: readonly string[]}>>;
  readonly unexpected: readonly string[];
  readonly diffusion: DiffusionSettings | undefined;
  readonly bytes: number;
  /** Said to the user: what the folder lacks. */
  readonly notes: readonly string[];
}

/** A model of the source, ready to be matched. */
interface Found {
  readonly part: PartName;
  readonly model: Block;
  readonly source: WeightSource;
  readonly pathOf: (name: string) => string | undefined;
  readonly config: PartToWrite['config'];
  readonly nameOf: (path: string) => string;
  /** The weights that the part holds; absent: all. */
  readonly wanted?: (spec: WeightSpec) => boolean;
}

interface Source {
  readonly kind: string;
  readonly found: readonly Found[];
  readonly files: readonly SmallFile[];
  readonly diffusion: DiffusionSettings | undefined;
  readonly hasTokenizer: boolean;
  readonly unexpected: readonly string[];
}

/**
 * Imports published models.
 * @throws UserError for a pickle, for a source of no known kind, and listing every key that is missing, unexpected or of the
 * wrong shape.
 */
export async function importModels(options: ImportOptions): Promise<ImportReport> {
  const {source, out} = options;
  if (!existsSync(source)) throw new UserError(`There is no file or folder ${source}.`);
  if (existsSync(out) && !(statSync(out).isDirectory() && (await readdir(out)).length === 0))
    throw new UserError(`${out} is there already: choose another --out, or remove it first.`);
  const opened: SafetensorsFile[] = [];
  const openFile = async (file: string) => {
    const tensors = await openSafetensors(file);
    opened.push(tensors);
    return tensors;
  };
  try {
    const what = statSync(source).isDirectory()
      ? await fromFolder(options, openFile)
      : await fromFile(options, openFile);
    return await write(options, await withTemporal(what, options.temporal, openFile));
  } finally {
    for (const file of opened) await file.close();
  }
}

/** The source with the layers over time of another folder (the paper's personalisation). */
async function withTemporal(what: Source, folder: string | undefined, openFile: Open): Promise<Source> {
  if (folder === undefined) return what;
  const {temporal, text, tokenizer, temporalText, temporalTokenizer} = await readModelFolder(folder);
  if (!temporal) throw new UserError(`--temporal ${folder} has no layers over time (temporal/).`);
  const unet = what.found.find(({part}) => part === 'unet')?.model;
  if (!(unet instanceof UNet))
    throw new UserError(`--temporal ${folder} needs a UNet to go onto: the source has none.`);
  const config = {copyOf: path.join(temporal.folder, 'config.json')};
  const found: Found[] = [
    ...what.found,
    {
      part: 'temporal',
      model: new UNet({...unet.config, temporal: temporal.config}),
      wanted: ({part}) => part === 'temporal',
      source: await openFile(temporal.file),
      pathOf: temporal.pathOf,
      config,
      nameOf: toSvd,
    },
  ];
  const [own, ownTokenizer] = temporalText ? [temporalText, temporalTokenizer] : [text, tokenizer];
  const spatial = what.found.find(({part}) => part === 'text_encoder');
  const files = [...what.files];
  if (own && !(spatial && (await sameTensors(spatial.source, await openFile(own.file))))) {
    found.push({
      part: 'temporal_text_encoder',
      model: new TextEncoder(own.config),
      source: await openFile(own.file),
      pathOf: own.pathOf,
      config: {copyOf: path.join(own.folder, 'config.json')},
      nameOf: textName,
    });
    files.push(...tokenizerFiles(ownTokenizer?.folder, 'temporal_tokenizer'));
  }
  return {...what, found, files};
}

/** Whether two text encoders hold the same bytes. */
async function sameTensors(one: WeightSource, other: WeightSource): Promise<boolean> {
  const pathsOf = (source: WeightSource) =>
    new Map([...source.tensors.keys()].flatMap(name => (textPathOf(name) ? [[textPathOf(name)!, name] as const] : [])));
  const [a, b] = [pathsOf(one), pathsOf(other)];
  if (a.size !== b.size) return false;
  for (const [key, name] of a) {
    const match = b.get(key);
    if (match === undefined) return false;
    const [x, y] = [await one.read(name), await other.read(match)];
    if (x.dtype !== y.dtype || !Buffer.from(x.data).equals(y.data)) return false;
  }
  return true;
}

async function write(options: ImportOptions, what: Source): Promise<ImportReport> {
  const reports = what.found.map(one => ({one, report: matchKeys(one.model.weightSpecs(), one.source, one)}));
  refuseTogether(reports, options);
  const parts = reports.map(({one, report}): PartToWrite => {
    const tensors = tensorsFrom(one.source, report, specsOf(one), {...options, nameOf: one.nameOf});
    return {part: one.part, config: one.config, tensors};
  });
  const written = await writeModelFolder(options.out, parts, what.files);
  const names = new Set(parts.map(({part}) => part));
  const notes = [
    !names.has('vae') && 'no autoencoder: stages need one, in vae/',
    names.has('text_encoder') &&
      !what.hasTokenizer &&
      'no tokenizer: give --tokenizer FOLDER with vocab.json and merges.txt',
    names.has('unet') && !names.has('text_encoder') && 'no text encoder: captions cannot be used without one',
  ].filter(note => note !== false);
  return {
    out: options.out,
    kind: what.kind,
    parts: Object.fromEntries(
      reports.map(({one, report}) => {
        const specs = specsOf(one);
        const parameters = specs.reduce((sum, {shape}) => sum + shape.reduce((a, b) => a * b, 1), 0);
        return [one.part, {tensors: specs.length, parameters, missing: report.missing}];
      }),
    ),
    unexpected: [...what.unexpected, ...reports.flatMap(({report}) => report.unexpected)],
    diffusion: what.diffusion,
    bytes: written.reduce((sum, {bytes}) => sum + bytes, 0),
    notes,
  };
}

const specsOf = ({model, wanted = () => true}: Found) => model.weightSpecs().filter(wanted);

/** One error for all parts, so that nobody mends one only to meet the next. */
function refuseTogether(
  reports: readonly {one: Found; report: KeyReport}[],
  {source, allowMissing: missing = false, allowUnexpected: unexpected = false}: ImportOptions,
): void {
  const prefixed = (select: (report: KeyReport) => readonly string[]) =>
    reports.flatMap(({one, report}) => select(report).map(name => `${one.part}/${name}`));
  const all: KeyReport = {
    matched: new Map(),
    missing: prefixed(report => report.missing),
    unexpected: prefixed(report => report.unexpected),
    misshaped: reports.flatMap(({one, report}) =>
      report.misshaped.map(entry => ({...entry, name: `${one.part}/${entry.name}`})),
    ),
  };
  refuseMismatch(all, source, {missing, unexpected});
}

type Open = (file: string) => Promise<SafetensorsFile>;

async function fromFolder(options: ImportOptions, openFile: Open): Promise<Source> {
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

const textName = (name: string) => `text_model.${name}`;
const decoderToSvd = (name: string) => (name.startsWith('decoder.') ? toSvd(name) : name);

async function fromFile(options: ImportOptions, openFile: Open): Promise<Source> {
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

function scheduler(settings: DiffusionSettings, folder = 'scheduler'): SmallFile {
  return {name: `${folder}/scheduler_config.json`, json: diffusionToDiffusers(settings)};
}

const tokenizerNames = [
  'vocab.json',
  'merges.txt',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
];

function tokenizerFiles(folder: string | undefined, to: string): SmallFile[] {
  if (folder === undefined) return [];
  const there = tokenizerNames.filter(name => existsSync(path.join(folder, name)));
  if (!there.some(name => name === 'vocab.json' || name === 'tokenizer.json'))
    throw new UserError(`${folder} holds no tokenizer: neither vocab.json with merges.txt nor tokenizer.json.`);
  return there.map(name => ({name: `${to}/${name}`, copyOf: path.join(folder, name)}));
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
