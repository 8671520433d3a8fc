// Writes one checkpoint so that a kill, a full disk or a power cut at any instant leaves either the whole of it or none:
// under a temporary name, flushed, read back and compared by hash, renamed; only then does `latest` move.
import {createHash} from 'node:crypto';
import {createReadStream} from 'node:fs';
import path from 'node:path';
import {UserError} from '../src/platform/user_error.ts';
import {errorCode, fileError} from '../src/weights/file_errors.ts';
import {bytesOf, hostF32} from '../src/weights/host_tensor.ts';
import {torchShape, toTorch, usualLayout, type WeightLayout} from '../src/weights/layouts.ts';
import {type TensorSource, type WrittenFile, writeSafetensors} from '../src/weights/safetensors.ts';
import {checkpointName, checkpointNames, readLatest, syncFolder, writeLatest} from './folder.ts';
import {type CheckpointFs, realFs, writeText} from './fs.ts';
import {encodeStateRecord, FORMAT_VERSION, type StateRecord} from './state_json.ts';
import {filesOf, type LoadedState, type NamedTensors} from './train_state.ts';

export interface WriteCheckpointOptions {
  /** A part above this many bytes is split into shards; 5 GB where absent. */
  maxShardBytes?: number;
}

export interface WrittenCheckpoint {
  name: string;
  path: string;
  step: number;
  bytes: number;
}

/**
 * Writes `state` as a new checkpoint in `folder` and moves `latest` to it.
 * @throws UserError in one sentence where the folder cannot be written or the disk is full; what was there stays good.
 */
export async function writeCheckpoint(
  folder: string,
  state: LoadedState,
  options: WriteCheckpointOptions = {},
  fs: CheckpointFs = realFs,
): Promise<WrittenCheckpoint> {
  let temporary: string | undefined;
  let name = checkpointName(state.step, 1);
  try {
    await fs.mkdir(folder, {recursive: true});
    const names = await checkpointNames(folder);
    for (let attempt = 2; names.includes(name); attempt++) name = checkpointName(state.step, attempt);
    temporary = path.join(folder, `.writing-${name}`);
    await fs.rm(temporary, {recursive: true, force: true});
    await fs.mkdir(temporary);
    const files = await writeParts(temporary, state, options.maxShardBytes ?? 5e9, fs);
    await writeText(path.join(temporary, 'state.json'), encodeStateRecord(recordOf(state, files)), fs);
    await syncFolder(temporary);
    for (const {file, sha256} of files) await verifyFile(file, sha256);
    await fs.rename(temporary, path.join(folder, name));
    temporary = undefined;
    await syncFolder(folder);
    await writeLatest(folder, name, fs);
    return {
      name,
      path: path.join(folder, name),
      step: state.step,
      bytes: files.reduce((sum, file) => sum + file.bytes, 0),
    };
  } catch (error) {
    if (temporary) await fs.rm(temporary, {recursive: true, force: true}).catch(() => {});
    throw await writeFailure(error, folder, name);
  }
}

async function writeParts(
  folder: string,
  state: LoadedState,
  maxShardBytes: number,
  fs: CheckpointFs,
): Promise<WrittenFile[]> {
  const written: WrittenFile[] = [];
  for (const [stem, tensors] of filesOf(state)) {
    const metadata = {format: 'pt', ...unusualLayouts(tensors)};
    const file = path.join(folder, `${stem}.safetensors`);
    written.push(...(await writeSafetensors(file, sources(tensors), {metadata, maxShardBytes}, fs)));
  }
  return written;
}

/** Tensors in torch's layout, each transposed when its turn to be written comes. */
function* sources(tensors: NamedTensors<Float32Array>): Generator<[string, TensorSource]> {
  for (const [name, {shape, layout, data}] of tensors) {
    hostF32(shape, data);
    yield [name, {dtype: 'F32', shape: torchShape(shape, layout), data: () => bytesOf(toTorch(data, shape, layout))}];
  }
}

/** The header's record of the layouts that the number of axes does not tell. */
function unusualLayouts(tensors: NamedTensors<Float32Array>): {layouts?: string} {
  const unusual: Record<string, WeightLayout> = {};
  for (const [name, {shape, layout}] of tensors) if (layout !== usualLayout(shape.length)) unusual[name] = layout;
  return Object.keys(unusual).length > 0 ? {layouts: JSON.stringify(unusual)} : {};
}

function recordOf(state: LoadedState, files: readonly WrittenFile[]): StateRecord {
  const {stage, step, data, metrics, config, lineage, engine} = state;
  return {
    formatVersion: FORMAT_VERSION,
    createdAt: new Date().toISOString(),
    stage,
    step,
    data,
    metrics,
    config,
    ...(lineage ? {lineage} : {}),
    engine,
    parts: {
      ema: state.ema !== undefined,
      optimizers: Object.keys(state.optimizers),
      companions: Object.keys(state.companions ?? {}),
    },
    files: Object.fromEntries(files.map(({file, bytes, sha256}) => [path.basename(file), {bytes, sha256}])),
  };
}

/** Reads a file whole. @throws UserError where its SHA-256 is not `sha256`. */
export async function verifyFile(file: string, sha256: string): Promise<void> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(file, {highWaterMark: 2 ** 22})) hash.update(chunk);
  } catch (error) {
    throw fileError(error, 'read', file);
  }
  if (hash.digest('hex') !== sha256)
    throw new UserError(`${file} was altered: its bytes are not those that were written.`);
}

/** One sentence: what could not be written, why, and that the checkpoint before it is unharmed. */
async function writeFailure(error: unknown, folder: string, name: string): Promise<unknown> {
  const cause = error instanceof UserError && errorCode(error.cause) ? error.cause : error;
  const explained = fileError(cause, `write checkpoint ${name} in`, folder);
  if (!(explained instanceof UserError)) return explained;
  const latest = await readLatest(folder);
  const rest = latest ? `; the checkpoint before it, ${latest}, is unharmed.` : '; there is no checkpoint yet.';
  return new UserError(explained.message.replace(/\.$/, rest), {cause});
}
