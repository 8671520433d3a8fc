// Recomputes a file of reference outputs: which model it is comes from the file's name, its configuration from the metadata.
// Outputs are given in the reference's layout, so that anyone can compare them.
import {readFile} from 'node:fs/promises';
import path from 'node:path';
import {UserError} from '../platform/user_error.ts';
import * as tf from '../tf.ts';
import {f32, type HostTensor, hostF32, integersOf} from '../weights/host_tensor.ts';
import {parseSafetensors} from '../weights/safetensors.ts';
import {type GoldenCase, goldenCases} from './cases.ts';

export interface GoldenResult {
  readonly file: string;
  readonly case: string;
  /** Relative L2 error of each output the file holds. */
  readonly errors: Readonly<Record<string, number>>;
  /** What was computed, under the file's names. */
  readonly outputs: ReadonlyMap<string, HostTensor>;
}

/** Everything a case may ask of its file. */
export interface GoldenFile {
  readonly config: Readonly<Record<string, unknown>>;
  /** The model's weights under the reference's names. */
  readonly weights: ReadonlyMap<string, HostTensor>;
  /** An input as float32, in the reference's layout. */
  input(name: string): tf.Tensor;
  integers(name: string): number[];
}

/** Recomputes the outputs of one file on the engine in use. @throws UserError for a file that names no known case. */
export async function runGolden(file: string): Promise<GoldenResult> {
  const name = path.basename(file);
  const found = Object.entries(goldenCases).find(([key]) => name.includes(key));
  if (!found)
    throw new UserError(
      `${name} names none of the known cases (${Object.keys(goldenCases).join(', ')}): rename the file after its case.`,
    );
  const {tensors, metadata} = parseSafetensors(await readFile(file), name);
  const part = (prefix: string) =>
    new Map(
      [...tensors].flatMap(([key, tensor]) =>
        key.startsWith(prefix) ? [[key.slice(prefix.length), tensor] as const] : [],
      ),
    );
  const io = part('io.');
  const wanted = (key: string) => io.get(key) ?? missing(name, key);
  const golden: GoldenFile = {
    config: JSON.parse(metadata.config ?? '{}') as Record<string, unknown>,
    weights: part('weights.'),
    input: key => tf.tensor(f32(wanted(key)), [...wanted(key).shape], 'float32'),
    integers: key => {
      const tensor = wanted(key);
      return tensor.dtype === 'F32' ? [...f32(tensor)] : integersOf(tensor);
    },
  };
  const run: GoldenCase = found[1];
  const computed = await run(golden);
  const errors: Record<string, number> = {};
  const outputs = new Map<string, HostTensor>();
  for (const [key, tensor] of Object.entries(computed)) {
    const values = Float32Array.from(await tensor.data<'float32'>());
    outputs.set(`io.${key}`, hostF32(tensor.shape, values));
    const reference = io.get(key);
    if (reference) errors[key] = relativeError(values, f32(reference), key);
  }
  tf.dispose(computed);
  return {file, case: found[0], errors, outputs};
}

/** |a - b| / |b| in L2. */
export function relativeError(values: Float32Array, reference: Float32Array, name: string): number {
  if (values.length !== reference.length)
    throw new Error(`${name}: ${values.length} values computed, the file has ${reference.length}.`);
  let difference = 0;
  let size = 0;
  for (let i = 0; i < values.length; i++) {
    difference += (values[i]! - reference[i]!) ** 2;
    size += reference[i]! ** 2;
  }
  return Math.sqrt(difference / size);
}

function missing(file: string, key: string): never {
  throw new UserError(`${file} holds no tensor io.${key}, which its case needs.`);
}
