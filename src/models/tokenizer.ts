// CLIP's tokenizer: byte-pair encoding of lower-cased words, from `tokenizer.json`, or `vocab.json` with `merges.txt`.
import {existsSync, readFileSync, statSync} from 'node:fs';
import path from 'node:path';
import {UserError} from '../platform/user_error.ts';

export interface TokenizerFiles {
  readonly vocabulary: ReadonlyMap<string, number>;
  /** Pairs that merge, first ones first: "a b". */
  readonly merges: readonly string[];
}

export interface TokenizerOptions {
  /** Length every text is cut and filled to. Default 77. */
  readonly length?: number;
  /** What fills a short text: the end token (SD 1.x) or token 0 (SD 2.x). Default 'end'. */
  readonly padding?: 'end' | 'zero';
}

const START = '<|startoftext|>';
const END = '<|endoftext|>';
const WORDS = /<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+/giu;
const MAX_FILE_BYTES = 64 * 2 ** 20;
const MAX_TEXT = 100_000;

/** Texts -> token ids. */
export class Tokenizer {
  readonly length: number;
  readonly startToken: number;
  readonly endToken: number;
  private readonly vocabulary: ReadonlyMap<string, number>;
  private readonly rank: ReadonlyMap<string, number>;
  private readonly padToken: number;
  private readonly known = new Map<string, readonly number[]>();

  constructor({vocabulary, merges}: TokenizerFiles, {length = 77, padding = 'end'}: TokenizerOptions = {}) {
    const token = (name: string) => {
      const id = vocabulary.get(name);
      if (id === undefined) throw new UserError(`The tokenizer's vocabulary has no "${name}": it is not CLIP's.`);
      return id;
    };
    this.length = length;
    this.vocabulary = vocabulary;
    this.rank = new Map(merges.map((pair, i) => [pair, i]));
    this.startToken = token(START);
    this.endToken = token(END);
    this.padToken = padding === 'end' ? this.endToken : 0;
  }

  /** Ids of the text between start and end token, as long as it is. */
  encode(text: string): number[] {
    const clean = text.slice(0, MAX_TEXT).normalize('NFC').replace(/\s+/gu, ' ').trim().toLowerCase();
    return [this.startToken, ...(clean.match(WORDS) ?? []).flatMap(word => this.word(word)), this.endToken];
  }

  /** The same cut (the end token kept) and filled to `length`. */
  encodePadded(text: string): Int32Array {
    const ids = this.encode(text);
    if (ids.length > this.length) ids.splice(this.length - 1, ids.length, this.endToken);
    const filled = new Int32Array(this.length).fill(this.padToken);
    filled.set(ids);
    return filled;
  }

  private word(word: string): readonly number[] {
    if (word === START) return [this.startToken];
    if (word === END) return [this.endToken];
    const found = this.known.get(word);
    if (found) return found;
    const ids = this.merged([...new TextEncoder().encode(word)].map(byte => byteCharacters[byte]!)).map(part =>
      this.id(part, word),
    );
    if (this.known.size > 100_000) this.known.clear();
    this.known.set(word, ids);
    return ids;
  }

  private id(part: string, word: string): number {
    const id = this.vocabulary.get(part);
    if (id === undefined)
      throw new UserError(
        `The tokenizer's vocabulary has no "${part}", which its merges make of "${word}": its files do not belong together.`,
      );
    return id;
  }

  /** Merges the pair of lowest rank until none is left. */
  private merged(characters: string[]): string[] {
    const parts = [...characters.slice(0, -1), `${characters.at(-1)}</w>`];
    for (;;) {
      let best = Number.POSITIVE_INFINITY;
      for (let i = 0; i + 1 < parts.length; i++)
        best = Math.min(best, this.rank.get(`${parts[i]} ${parts[i + 1]}`) ?? best);
      if (best === Number.POSITIVE_INFINITY) return parts;
      for (let i = 0; i + 1 < parts.length; i++) {
        if (this.rank.get(`${parts[i]} ${parts[i + 1]}`) === best) parts.splice(i, 2, `${parts[i]}${parts[i + 1]}`);
      }
    }
  }
}

/** A printable character for every byte: itself where it is one, else from 256 on. */
export const byteCharacters: readonly string[] = (() => {
  let next = 256;
  const printable = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  return Array.from({length: 256}, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++));
})();

/** Reads a tokenizer's folder: vocab.json + merges.txt, or tokenizer.json. @throws UserError for what is not one. */
export function readTokenizer(folder: string): TokenizerFiles {
  const at = (name: string) => path.join(folder, name);
  if (existsSync(at('vocab.json')) && existsSync(at('merges.txt'))) {
    return {
      vocabulary: vocabularyOf(json(at('vocab.json')), at('vocab.json')),
      merges: mergesOf(text(at('merges.txt')).split('\n')),
    };
  }
  if (!existsSync(at('tokenizer.json')))
    throw new UserError(`${folder} holds neither vocab.json with merges.txt nor tokenizer.json.`);
  const {model} = json(at('tokenizer.json')) as {model?: {vocab?: unknown; merges?: unknown}};
  if (!Array.isArray(model?.merges)) throw new UserError(`${at('tokenizer.json')} holds no list of merges.`);
  // Newer files write a pair as a list.
  return {
    vocabulary: vocabularyOf(model.vocab, at('tokenizer.json')),
    merges: mergesOf(model.merges.map(pair => (Array.isArray(pair) ? pair.join(' ') : String(pair)))),
  };
}

function mergesOf(lines: readonly string[]): string[] {
  return lines.map(line => line.trimEnd()).filter(line => line !== '' && !line.startsWith('#version'));
}

function vocabularyOf(value: unknown, file: string): Map<string, number> {
  const entries = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  if (entries.length === 0 || !entries.every(([, id]) => Number.isInteger(id)))
    throw new UserError(`${file} holds no vocabulary: expected an object of tokens and their numbers.`);
  return new Map(entries as [string, number][]);
}

function text(file: string): string {
  const {size} = statSync(file);
  if (size > MAX_FILE_BYTES)
    throw new UserError(`${file} has ${size} bytes, more than a tokenizer's file can have (${MAX_FILE_BYTES}).`);
  return readFileSync(file, 'utf8');
}

function json(file: string): Record<string, unknown> {
  try {
    return JSON.parse(text(file)) as Record<string, unknown>;
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`${file} is no JSON: ${error instanceof Error ? error.message : error}.`);
  }
}
