// CLIP's tokenizer: byte-pair encoding of lower-cased words. It runs in browsers too: tokenizer_files.ts reads its files.
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
