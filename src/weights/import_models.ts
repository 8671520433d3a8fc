// `video-ldm import`: a diffusers folder, or a single file of Stable Diffusion, into a model folder that stages start from.
// Every key is accounted for before a byte is written; tensors are copied one at a time, without an engine.
import {existsSync, statSync} from 'node:fs';
import {readdir} from 'node:fs/promises';
import {UserError} from '../platform/user_error.ts';
import {fromFolder} from './import_sources/from_folder.ts';
import {fromFile} from './import_sources/from_single_file.ts';
import type {Found, ImportOptions, Source} from './import_sources/source.ts';
import {withTemporal} from './import_sources/with_temporal.ts';
import type {DiffusionSettings} from './key_maps/scheduler_config.ts';
import {type KeyReport, matchKeys, refuseMismatch} from './load_weights.ts';
import {openSafetensors, type SafetensorsFile} from './safetensors.ts';
import {type PartToWrite, tensorsFrom, writeModelFolder} from './write_model_folder.ts';

export type {ImportOptions};

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
