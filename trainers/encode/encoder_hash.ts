// What tells one encoder from another: latents and text embeddings that were made beforehand belong to exactly one.
import {createHash} from 'node:crypto';
import type {AutoencoderConfig} from '../../src/models/index.ts';
import type {HostModel, HostText, Weights} from '../parents/parts.ts';

/** SHA-256 of the encoder's configuration and weights; the decoder and the scale factor do not matter to raw latents. */
export function autoencoderHash({config, weights}: HostModel<AutoencoderConfig>): string {
  const {channels, layersPerBlock, latentChannels, normGroups, midAttention} = config;
  const own = (path: string) => path.startsWith('encoder.') || path.startsWith('quant_conv.');
  return hashOf({channels, layersPerBlock, latentChannels, normGroups, midAttention}, weights, own);
}

/** SHA-256 of a text encoder's configuration, its tokenizer and its weights. */
export function textEncoderHash({config, weights, tokenizer, tokenizerOptions}: HostText): string {
  const vocabulary = [...tokenizer.vocabulary].sort(([, a], [, b]) => a - b);
  const {length = config.tokens, padding = 'end'} = tokenizerOptions;
  const words = {vocabulary, merges: tokenizer.merges, length, padding};
  return hashOf({config, words}, weights, () => true);
}

function hashOf(settings: object, weights: Weights, wanted: (path: string) => boolean): string {
  const hash = createHash('sha256').update(JSON.stringify(sorted(settings)));
  for (const path of [...weights.keys()].filter(wanted).sort()) {
    const {shape, data} = weights.get(path)!;
    hash.update(`\n${path} ${shape.join()}\n`);
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.digest('hex');
}

/** The same settings in the order of their names. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, inner]) => [name, sorted(inner)]));
}
