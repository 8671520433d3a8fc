// Words -> token ids by hashing, for text encoders trained from scratch: no vocabulary to download or to count. Each word
// and each mark of punctuation is one token; two words share one with probability 1 / buckets (Weinberger et al. 2009,
// "Feature Hashing for Large Scale Multitask Learning").
import {streamOf} from '../random/index.ts';

const MAX_TEXT = 100_000;
const WORDS = /\p{L}+|\p{N}+|[^\s\p{L}\p{N}]/gu;

/** Ids 0 .. vocabulary-3 are words, then the start token, then the end token, which also fills. */
export class WordTokenizer {
  readonly length: number;
  readonly startToken: number;
  readonly endToken: number;
  private readonly buckets: number;

  constructor({vocabulary, length}: {vocabulary: number; length: number}) {
    if (vocabulary < 3) throw new Error(`A vocabulary needs 3 tokens or more, got ${vocabulary}.`);
    this.buckets = vocabulary - 2;
    this.startToken = vocabulary - 2;
    this.endToken = vocabulary - 1;
    this.length = length;
  }

  /** Start token, words, end token, cut (the end token kept) and filled to `length`. */
  encodePadded(text: string): Int32Array {
    const clean = text.slice(0, MAX_TEXT).normalize('NFC').toLowerCase();
    const words = (clean.match(WORDS) ?? []).slice(0, Math.max(0, this.length - 2));
    const filled = new Int32Array(this.length).fill(this.endToken);
    filled.set([this.startToken, ...words.map(word => streamOf(word) % this.buckets)]);
    return filled;
  }
}
