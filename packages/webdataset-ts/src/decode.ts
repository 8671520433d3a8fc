// From bytes to values by extension. The registry is data: a caller spreads `decoders` and adds or replaces entries.
import {type ErrorHandler, messageOf, throwError, WebDatasetError} from './errors.ts';
import type {Sample, Stated} from './types.ts';

/** Turns one member into a value; throws when the bytes are not what the extension says. */
export type Decoder = (bytes: Uint8Array, context: {key: string; extension: string}) => unknown;

export interface DecodedSample extends Stated {
  readonly key: string;
  readonly shard: string;
  readonly members: Readonly<Record<string, unknown>>;
}

const MOST_TEXT_BYTES = 16 * 2 ** 20;
const utf8 = new TextDecoder('utf-8', {fatal: true});

function text(bytes: Uint8Array): string {
  if (bytes.length > MOST_TEXT_BYTES)
    throw new Error(`${bytes.length} bytes of text, at most ${MOST_TEXT_BYTES} are read`);
  try {
    return utf8.decode(bytes);
  } catch {
    throw new Error('the text is not UTF-8');
  }
}

function json(bytes: Uint8Array): unknown {
  return JSON.parse(text(bytes));
}

function integer(bytes: Uint8Array): number {
  const found = text(bytes.subarray(0, 100)).trim();
  if (/^[+-]?\d+$/.test(found) && Number.isSafeInteger(Number(found))) return Number(found);
  throw new Error(`a whole number was expected, found ${JSON.stringify(found.slice(0, 40))}`);
}

/** The decoders of Python's webdataset that need no codec; everything else stays bytes. */
export const decoders: Readonly<Record<string, Decoder>> = {
  json,
  jsn: json,
  txt: text,
  text,
  transcript: text,
  cls: integer,
  cls2: integer,
  index: integer,
  inx: integer,
  id: integer,
};

/** The decoder for an extension: of "latents.safetensors", that of the whole if there is one, else of "safetensors". */
export function decoderOf(extension: string, registry: Readonly<Record<string, Decoder>>): Decoder | undefined {
  for (let rest = extension; ; ) {
    if (Object.hasOwn(registry, rest)) return registry[rest];
    const dot = rest.indexOf('.');
    if (dot < 0) return undefined;
    rest = rest.slice(dot + 1);
  }
}

/** Decodes every member that has a decoder. A member that does not decode makes its sample bad. */
export async function* decode(
  samples: AsyncIterable<Sample>,
  options: {decoders?: Readonly<Record<string, Decoder>>; onError?: ErrorHandler} = {},
): AsyncGenerator<DecodedSample> {
  const registry = options.decoders ?? decoders;
  const handle = options.onError ?? throwError;
  for await (const {key, shard, members, state} of samples) {
    const values: Record<string, unknown> = Object.create(null);
    let error: WebDatasetError | undefined;
    for (const extension of Object.keys(members)) {
      const bytes = members[extension]!;
      try {
        const decoder = decoderOf(extension, registry);
        values[extension] = decoder ? await decoder(bytes, {key, extension}) : bytes;
      } catch (cause) {
        error = new WebDatasetError('decode', `the member .${extension} does not decode: ${messageOf(cause)}`, {
          scope: 'sample',
          shard,
          key,
          cause,
        });
        break;
      }
    }
    if (error) await handle(error);
    else yield {key, shard, members: values, state};
  }
}
