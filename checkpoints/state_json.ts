// `state.json`: what a checkpoint is besides its tensors, with the size and SHA-256 of every file and, on its last line,
// of its own text. Formats of older versions are migrated on reading; newer ones are refused.
import {createHash} from 'node:crypto';
import {UserError} from '../src/platform/user_error.ts';
import type {Ancestor, JsonValue, TrainState} from './train_state.ts';

/** The version written now. Raise it with a migration whenever a reader of the last one would misread. */
export const FORMAT_VERSION = 1;

export const MAX_STATE_JSON_BYTES = 2 ** 26;

export interface FileRecord {
  bytes: number;
  /** Hexadecimal. */
  sha256: string;
}

/** A `TrainState` without its tensors, and the files that hold them. */
export interface StateRecord extends Omit<TrainState, 'weights' | 'ema' | 'companions' | 'optimizers'> {
  formatVersion: number;
  /** ISO time of writing. */
  createdAt: string;
  /** Files beside `state.json`, by name. */
  files: Readonly<Record<string, FileRecord>>;
  /** Names of the optimisers, companions, and whether there is an EMA: empty ones leave no trace in files. */
  parts: {ema: boolean; optimizers: readonly string[]; companions: readonly string[]};
}

type Json = Record<string, JsonValue>;
/** `migrations[n]` turns a record of version n into one of version n + 1. */
export type Migrations = Readonly<Record<number, (record: Json) => Json>>;

const migrations: Migrations = {};

const hashLine = (text: string) => createHash('sha256').update(text).digest('hex');

export function encodeStateRecord(record: StateRecord): string {
  const metrics = Object.fromEntries(
    Object.entries(record.metrics).map(([name, value]) => [name, numberToJson(value)]),
  );
  const text = JSON.stringify({...record, metrics}, null, 1).slice(0, -2);
  return `${text},\n "sha256": "${hashLine(text)}"\n}\n`;
}

/** @throws UserError naming `label` where the text is torn, altered, or of a version that cannot be read. */
export function decodeStateRecord(text: string, label: string, known: Migrations = migrations): StateRecord {
  const found = /,\n "sha256": "([0-9a-f]{64})"\n\}\n$/.exec(text);
  if (!found) throw new UserError(`${label} is torn: its last line is not its hash.`);
  if (hashLine(text.slice(0, found.index)) !== found[1]) throw new UserError(`${label} was altered: its hash differs.`);
  const json = migrated(parseObject(text, label), label, known);
  return asStateRecord(json, label);
}

function parseObject(text: string, label: string): Json {
  try {
    const json: unknown = JSON.parse(text);
    if (isObject(json)) return json;
  } catch {}
  throw new UserError(`${label} is not a JSON object.`);
}

function migrated(record: Json, label: string, known: Migrations): Json {
  let json = record;
  for (;;) {
    const version = json.formatVersion;
    if (version === FORMAT_VERSION) return json;
    if (typeof version !== 'number' || version > FORMAT_VERSION) {
      throw new UserError(
        `${label} has format version ${version}, this video-ldm reads up to ${FORMAT_VERSION}: use the video-ldm that wrote it, or a newer one.`,
      );
    }
    const migrate = known[version];
    if (!migrate) {
      throw new UserError(
        `${label} has format version ${version}, which this video-ldm no longer reads: resume it once with an older video-ldm, which writes a newer version.`,
      );
    }
    json = {...migrate(json), formatVersion: version + 1};
  }
}

/** The fields that reading relies on, checked; the writer's hash vouches for the rest. */
function asStateRecord(json: Json, label: string): StateRecord {
  const {stage, step, files, parts, metrics, engine} = json;
  const broken = (field: string): never => {
    throw new UserError(`${label} has no usable "${field}".`);
  };
  if (typeof stage !== 'string') return broken('stage');
  if (typeof step !== 'number' || !Number.isSafeInteger(step) || step < 0) return broken('step');
  if (!isObject(parts)) return broken('parts');
  const fileRecords: Record<string, FileRecord> = {};
  for (const [name, record] of Object.entries(isObject(files) ? files : broken('files'))) {
    if (!/^[a-z0-9_-]+\.safetensors(\.index\.json)?$/.test(name) || !isObject(record)) return broken(`files.${name}`);
    const {bytes, sha256} = record;
    if (typeof bytes !== 'number' || typeof sha256 !== 'string') return broken(`files.${name}`);
    fileRecords[name] = {bytes, sha256};
  }
  const figures: Record<string, number> = {};
  for (const [name, value] of Object.entries(isObject(metrics) ? metrics : {})) figures[name] = Number(value);
  const description: Record<string, string | number> = {};
  for (const [name, value] of Object.entries(isObject(engine) ? engine : {})) {
    if (typeof value === 'string' || typeof value === 'number') description[name] = value;
  }
  return {
    formatVersion: FORMAT_VERSION,
    createdAt: String(json.createdAt),
    stage,
    step,
    data: json.data ?? null,
    metrics: figures,
    config: json.config ?? null,
    engine: description,
    ...(json.lineage === undefined ? {} : {lineage: ancestors(json.lineage) ?? broken('lineage')}),
    files: fileRecords,
    parts: {ema: parts.ema === true, optimizers: strings(parts.optimizers), companions: strings(parts.companions)},
  };
}

function ancestors(value: JsonValue): Ancestor[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const list = (value as readonly JsonValue[]).map(one => {
    const {path, stage, step} = isObject(one) ? one : {};
    return typeof path === 'string' && typeof stage === 'string' && typeof step === 'number'
      ? {path, stage, step}
      : undefined;
  });
  return list.every(one => one !== undefined) ? list : undefined;
}

/** JSON has no NaN or infinities; a figure may be one. */
function numberToJson(value: number): JsonValue {
  return Number.isFinite(value) ? value : String(value);
}

function strings(value: JsonValue | undefined): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
