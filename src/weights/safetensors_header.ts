// The header of a safetensors file: 8 bytes of length, then JSON naming each tensor's type, shape and place.
// Format: https://huggingface.co/docs/safetensors. A header is hostile until checked: every tensor lies inside the file,
// none overlap, no byte is unaccounted for, and nothing is allocated that the file does not hold.
import {UserError} from '../platform/user_error.ts';
import {type Dtype, dtypeBytes, elements, isDtype} from './host_tensor.ts';
import {type JsonScanner, quote, scanJson} from './json_scanner.ts';

/** Longest header the format allows, in bytes. */
export const MAX_HEADER_BYTES = 100_000_000;
const MAX_RANK = 16;

/** What a header says of one tensor; `begin` and `end` are bytes after the header. */
export interface TensorPlace {
  dtype: Dtype;
  shape: readonly number[];
  begin: number;
  end: number;
}

export interface Header {
  /** In the order of their bytes. */
  tensors: Map<string, TensorPlace>;
  metadata: Record<string, string>;
}

/** The header's length from the first 8 bytes of a file of `fileBytes`. @throws UserError naming `label`. */
export function headerLength(first8: Uint8Array, fileBytes: number, label: string): number {
  if (first8.length < 8) damaged(label, `it has ${fileBytes} bytes, too few for a header`);
  const view = new DataView(first8.buffer, first8.byteOffset, 8);
  const length = view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32;
  const most = Math.min(fileBytes - 8, MAX_HEADER_BYTES);
  if (length < 2 || length > most) {
    damaged(label, `its header claims ${length} bytes where 2 to ${most} are possible`);
  }
  return length;
}

/** Parses and checks a header whose data is `bodyBytes` long. @throws UserError naming `label` and the tensor. */
export function parseHeader(bytes: Uint8Array, bodyBytes: number, label: string): Header {
  const fail = (what: string): never => damaged(label, what);
  let text: string;
  try {
    text = new TextDecoder('utf-8', {fatal: true, ignoreBOM: true}).decode(bytes);
  } catch {
    return fail('its header is not UTF-8 text');
  }
  if (!text.startsWith('{')) fail('its header does not begin with "{"');
  const metadata: Record<string, string> = Object.create(null);
  const places: [string, TensorPlace][] = [];
  const json = scanJson(text, fail);
  json.object(name => {
    if (name === '__metadata__') json.object(key => (metadata[key] = json.string()));
    else places.push([name, tensorPlace(json, what => fail(`tensor ${quote(name)}: ${what}`))]);
  });
  json.end();
  places.sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  checkCoverage(places, bodyBytes, fail);
  return {tensors: new Map(places), metadata};
}

function tensorPlace(json: JsonScanner, fail: (what: string) => never): TensorPlace {
  let dtype: string | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  const naturals = (most: number): number[] => {
    const numbers: number[] = [];
    json.array(() => {
      if (numbers.length === most) fail(`a list of more than ${most} numbers`);
      numbers.push(json.natural());
    });
    return numbers;
  };
  json.object(key => {
    if (key === 'dtype') dtype = json.string();
    else if (key === 'shape') shape = naturals(MAX_RANK);
    else if (key === 'data_offsets') offsets = naturals(2);
    else fail(`the key ${quote(key)} is unknown`);
  });
  if (dtype === undefined || !shape || offsets?.length !== 2) return fail('needs dtype, shape and two data_offsets');
  if (!isDtype(dtype)) {
    return fail(`dtype ${quote(dtype)} is not read here, only ${Object.keys(dtypeBytes).join(', ')} are`);
  }
  if (!Number.isSafeInteger(elements(shape.filter(size => size > 0)))) fail(`shape [${shape}] overflows`);
  const [begin, end] = offsets as [number, number];
  const bytes = elements(shape) * dtypeBytes[dtype];
  if (bytes !== end - begin) {
    fail(`${dtype} of shape [${shape}] is ${bytes} bytes, its data_offsets [${begin}, ${end}] are ${end - begin}`);
  }
  return {dtype, shape, begin, end};
}

/** Tensors, in the order of their bytes, must follow each other without gap or overlap and fill the body. */
function checkCoverage(places: [string, TensorPlace][], bodyBytes: number, fail: (what: string) => never): void {
  let at = 0;
  for (const [name, {begin, end}] of places) {
    if (end > bodyBytes) {
      fail(`tensor ${quote(name)} ends at byte ${end} of its data, the file holds ${bodyBytes} (is it truncated?)`);
    }
    if (begin !== at) {
      const problem = begin < at ? 'overlaps the one before it' : `leaves ${begin - at} bytes unnamed before it`;
      fail(`tensor ${quote(name)} ${problem}`);
    }
    at = end;
  }
  if (at !== bodyBytes) fail(`${bodyBytes - at} bytes follow the last tensor`);
}

function damaged(label: string, what: string): never {
  throw new UserError(`${label} is not a whole safetensors file: ${what}.`);
}
