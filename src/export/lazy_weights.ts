// Weights read from safetensors files at the moment they are written or computed with, one at a time: nothing is loaded before.
import {closeSync, fstatSync, openSync, readSync} from 'node:fs';
import type {WeightSpec} from '../layers/block.ts';
import {UserError} from '../platform/user_error.ts';
import {f32} from '../weights/host_tensor.ts';
import {fromTorch} from '../weights/layouts.ts';
import {type KeyOptions, matchKeys, refuseMismatch} from '../weights/load_weights.ts';
import {openSafetensors} from '../weights/safetensors.ts';
import {type Header, headerLength, parseHeader} from '../weights/safetensors_header.ts';

/** Gives a weight's values in TensorFlow.js's layout. */
export type WeightValues = (spec: WeightSpec) => Float32Array;

interface OpenFile {
  readonly header: Header;
  readonly bodyStart: number;
}

/**
 * Values of all `specs` from a safetensors file or the `*.index.json` of a split one; every key is accounted for before this
 * returns. The files must stay as they are until the values have been used.
 * @throws UserError for keys that are missing, unexpected or of the wrong shape.
 */
export async function weightsFrom(
  file: string,
  specs: readonly WeightSpec[],
  options: KeyOptions,
): Promise<WeightValues> {
  const opened = await openSafetensors(file);
  const report = matchKeys(specs, opened, options);
  await opened.close();
  refuseMismatch(report, file);
  const placeOf = new Map(
    [...report.matched].map(([name, spec]) => [spec.path, {name, file: opened.tensors.get(name)!.file}]),
  );
  const headers = new Map<string, OpenFile>();
  return spec => {
    const place = placeOf.get(spec.path);
    if (!place) throw new UserError(`${file} holds no values for weight ${spec.path}.`);
    const descriptor = openSync(place.file, 'r');
    try {
      const {header, bodyStart} = headers.get(place.file) ?? readHeader(descriptor, place.file, headers);
      const tensor = header.tensors.get(place.name);
      if (!tensor)
        throw new UserError(`${place.file} changed while its weights were being read: "${place.name}" is gone.`);
      const data = new Uint8Array(tensor.end - tensor.begin);
      fill(descriptor, data, bodyStart + tensor.begin, place.file);
      return fromTorch(f32({dtype: tensor.dtype, shape: tensor.shape, data}), spec.shape, spec.layout);
    } finally {
      closeSync(descriptor);
    }
  };
}

function readHeader(descriptor: number, file: string, headers: Map<string, OpenFile>): OpenFile {
  const {size} = fstatSync(descriptor);
  const first = new Uint8Array(8);
  fill(descriptor, first, 0, file);
  const length = headerLength(first, size, file);
  const text = new Uint8Array(length);
  fill(descriptor, text, 8, file);
  const found = {header: parseHeader(text, size - 8 - length, file), bodyStart: 8 + length};
  headers.set(file, found);
  return found;
}

function fill(descriptor: number, target: Uint8Array, position: number, file: string): void {
  for (let at = 0; at < target.length; ) {
    const count = readSync(descriptor, target, at, Math.min(target.length - at, 2 ** 26), position + at);
    if (count === 0) throw new UserError(`${file} ends before its weights do: it is cut off.`);
    at += count;
  }
}
